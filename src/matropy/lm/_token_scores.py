"""How well a model predicts each token, and how sure it is, without ever holding the logits of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from matropy.lm._model import LanguageModel

__all__ = ["TokenScores", "prediction_head", "token_scores"]

_LOGITS_AT_ONCE = 2**23


@dataclass(frozen=True)
class TokenScores:
    """Scores of predictions.

    Attributes
    ----------
    loss : Tensor, shape (n,)
        Negative log-likelihood of the true next token, nats.
    entropy : Tensor, shape (n,)
        Entropy of the predicted distribution, nats.
    """

    loss: torch.Tensor
    entropy: torch.Tensor


def token_scores(
    states: torch.Tensor, targets: torch.Tensor, head: Callable[[torch.Tensor], torch.Tensor]
) -> TokenScores:
    r"""Loss :math:`-\ln p_t` and entropy :math:`-\sum_v p_v\ln p_v` of predictions, a few rows of logits at a time.

    Parameters
    ----------
    states : Tensor, shape (n, d)
        Hidden states after the final norm.
    targets : Tensor of int64, shape (n,)
        The token that came next.
    head : callable
        From states to logits, :func:`prediction_head`.

    Returns
    -------
    TokenScores
        In float32.
    """
    import torch

    # What is kept has its place from the start: small blocks between large ones would keep those from being reused.
    loss, entropy = torch.empty(2, len(targets), device=states.device)
    start, rows = 0, 16
    with torch.inference_mode():
        while start < len(targets):
            block = slice(start, start + rows)
            log_p = head(states[block]).float().log_softmax(-1)
            loss[block] = -log_p.gather(-1, targets[block, None])[:, 0]
            # A class of probability zero may stand at -inf, which must not meet that zero.
            p = log_p.exp()
            entropy[block] = -p.mul_(log_p.clamp_(min=-1e4)).sum(-1)
            start += rows
            rows = max(1, _LOGITS_AT_ONCE // log_p.shape[-1])
    return TokenScores(loss, entropy)


def prediction_head(model: LanguageModel) -> Callable[[torch.Tensor], torch.Tensor]:
    """The map from final hidden states to logits, checked against the model's own logits on a few tokens.

    Raises
    ------
    ValueError
        If the model's logits are not what its output layer (with the scalings that its configuration names) gives.
    """
    import torch

    output = model.model.get_output_embeddings()
    config: Any = model.model.config.get_text_config()
    softcap = getattr(config, "final_logit_softcapping", None)
    scale = float(getattr(config, "logit_scale", None) or 1) / float(
        getattr(config, "logits_scaling", None) or 1
    )

    def head(states: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = output(states)
        if scale != 1:
            logits = logits * scale
        return softcap * torch.tanh(logits / softcap) if softcap else logits

    with torch.inference_mode():
        probe = torch.arange(8, device=model.device)[None] % model.vocabulary
        own = model.model(input_ids=probe, use_cache=False).logits.float()
        ours = head(model.model.base_model(input_ids=probe, use_cache=False).last_hidden_state).float()
    # NaN is not this check's business: the run names the layer that makes it.
    apart = (own - ours).nan_to_num(0.0).abs().max()
    if apart > 0.02 * own.nan_to_num(0.0).abs().max():
        raise ValueError(f"{model.architecture} makes its logits in a way that is not supported")
    return head
