"""Loss and token statistics of Hugging Face causal language models, without their logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from matropy._core._errors import InputError, require
from matropy.nn._prediction_head import prediction_head

if TYPE_CHECKING:
    import torch

    from matropy.nn.cut_cross_entropy._token_statistics import TokenStatistics

__all__ = ["causal_lm_loss", "causal_lm_statistics"]


def causal_lm_loss(
    model: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    labels: torch.Tensor | None = None,
    **options: Any,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of the next tokens: the model's own loss, and its gradients, in a fraction of the memory.

    Runs ``model.base_model`` and hands its last hidden state and the weight of ``model.get_output_embeddings()`` to
    :func:`linear_cross_entropy`. Softcaps and scales that the configuration names are honoured; the model is left as it
    is. What a model adds to its loss (that of a router, for example) is not in it.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        With a language-model head.
    input_ids : Tensor of int64, shape (B, T)
    attention_mask : Tensor, shape (B, T), optional
        Zero at padding.
    labels : Tensor of int64, shape (B, T), optional
        As the model takes them: those at place ``t + 1`` are compared with the prediction at ``t``, and -100 is
        ignored. By default ``input_ids`` without padding.
    **options
        Of :func:`linear_cross_entropy`, except ``linear_bias``, ``softcap`` and ``shift``.

    Returns
    -------
    Tensor, or two with ``return_lse``

    Raises
    ------
    ValueError
        If the head is no plain linear layer, the model under it gives no hidden state, or shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from transformers import AutoModelForCausalLM, LlamaConfig
    >>> from matropy.nn import causal_lm_loss
    >>> config = LlamaConfig(vocab_size=100, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
    ...                      num_attention_heads=2)
    >>> model = AutoModelForCausalLM.from_config(config)
    >>> ids = torch.arange(20)[None]
    >>> loss = causal_lm_loss(model, ids)
    >>> torch.allclose(loss, model(ids, labels=ids).loss)
    True
    """
    from matropy.nn.cut_cross_entropy._linear_cross_entropy import linear_cross_entropy

    operands = _operands(model, input_ids, attention_mask, labels, options.get("ignore_index", -100))
    return linear_cross_entropy(
        operands.states,
        operands.weight,
        operands.labels,
        linear_bias=operands.bias,
        softcap=operands.softcap,
        shift=1,
        **options,
    )


def causal_lm_statistics(
    model: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    labels: torch.Tensor | None = None,
    **options: Any,
) -> TokenStatistics:
    """Likelihood, entropy and rank of every next token.

    Parameters
    ----------
    model, input_ids, attention_mask, labels
        As for :func:`causal_lm_loss`.
    **options
        Of :func:`token_statistics`, except ``linear_bias``, ``softcap`` and ``shift``.

    Returns
    -------
    TokenStatistics
        Of shape ``(B, T - 1)``: place ``t`` is the prediction of token ``t + 1``.

    Raises
    ------
    ValueError
        As :func:`causal_lm_loss`.

    Examples
    --------
    >>> import torch
    >>> from transformers import AutoModelForCausalLM, LlamaConfig
    >>> from matropy.nn import causal_lm_statistics
    >>> config = LlamaConfig(vocab_size=100, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
    ...                      num_attention_heads=2)
    >>> statistics = causal_lm_statistics(AutoModelForCausalLM.from_config(config), torch.arange(20)[None])
    >>> statistics.nll.shape
    torch.Size([1, 19])
    """
    import torch

    from matropy.nn.cut_cross_entropy._token_statistics import token_statistics

    with torch.no_grad():
        operands = _operands(model, input_ids, attention_mask, labels, options.get("ignore_index", -100))
    return token_statistics(
        operands.states,
        operands.weight,
        operands.labels,
        linear_bias=operands.bias,
        softcap=operands.softcap,
        shift=1,
        **options,
    )


class _Operands(NamedTuple):
    states: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    softcap: float | None
    labels: torch.Tensor


def _operands(
    model: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor | None,
    labels: torch.Tensor | None,
    ignore_index: int,
) -> _Operands:
    require("transformers", purpose="a causal language model", extra="llm")
    if input_ids.ndim != 2 or input_ids.shape[1] < 2:
        raise InputError(
            f"input_ids must have shape (B, T) with two tokens at least, got {tuple(input_ids.shape)}"
        )
    if labels is None:
        labels = input_ids
        if attention_mask is not None:
            _check_like("attention_mask", attention_mask, input_ids)
            labels = labels.masked_fill(attention_mask == 0, ignore_index)
    _check_like("labels", labels, input_ids)
    head = prediction_head(model)
    output = model.base_model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
    states = getattr(output, "last_hidden_state", None)
    if states is None:
        raise InputError(
            f"the base model of {type(model).__name__} gives no last_hidden_state; of a model in an adapter's wrapper,"
            " pass the one inside"
        )
    states = states.to(head.weight.device)
    states, bias = head.scaled(states)
    return _Operands(states, head.weight, bias, head.softcap, labels.to(states.device))


def _check_like(name: str, tensor: torch.Tensor, input_ids: torch.Tensor) -> None:
    if tensor.shape != input_ids.shape:
        raise InputError(
            f"{name} must have the shape of input_ids, {tuple(input_ids.shape)}, got {tuple(tensor.shape)}"
        )
