"""Surprise over a stream of logits, as a metric."""

from __future__ import annotations

from typing import Any

from matropy._core._errors import MissingExtraError
from matropy._core._validation import check_array
from matropy.information._provenance._decoding import FULL_LAW, Decoding
from matropy.information._provenance._record import check_tokens
from matropy.information._provenance._token_statistics import token_statistics

try:
    import torch
    from torchmetrics import Metric
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"TokenSurprise needs {error.name}, which is not installed: pip install 'matropy[torch]'"
    ) from error

__all__ = ["TokenSurprise"]


class TokenSurprise(Metric):
    r"""How surprising tokens are under a law, beside how surprising the law says they should be.

    ``log_perplexity`` is the mean of :math:`s_t` over all tokens, ``entropy`` that of :math:`h_t`, ``D`` their
    difference (all in nats a token), and ``z`` is :math:`\sum_t(s_t-h_t)/\sqrt{\sum_tv_t}`; notation of
    :class:`TokenRecord`. The states are sums in float64, so batches and processes add up exactly.

    Parameters
    ----------
    decoding : Decoding
        The declared law.
    **kwargs
        Of :class:`torchmetrics.Metric`.

    Raises
    ------
    ValueError
        On update, for shapes that disagree, NaN logits or token ids outside the vocabulary.

    Examples
    --------
    >>> import torch
    >>> from matropy.information import TokenSurprise
    >>> metric = TokenSurprise()
    >>> metric.update(torch.zeros(2, 5, 8), torch.zeros(2, 5, dtype=torch.int64))
    >>> {name: round(float(value), 4) for name, value in metric.compute().items()}
    {'log_perplexity': 2.0794, 'entropy': 2.0794, 'D': 0.0, 'z': 0.0}
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    sums: torch.Tensor
    count: torch.Tensor

    def __init__(self, decoding: Decoding = FULL_LAW, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decoding = decoding
        self.add_state("sums", torch.zeros(3, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, logits: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor | None = None) -> None:
        """Add tokens.

        Parameters
        ----------
        logits : Tensor, shape (..., V)
            The full law of each token.
        tokens : Tensor of int, shape (...)
            The tokens that came.
        mask : Tensor of bool, shape (...), optional
            True where a token counts; logits and tokens elsewhere may be anything.
        """
        rows, _ = check_array(logits.detach(), "logits", min_ndim=2)
        if tokens.shape != rows.shape[:-1] or (mask is not None and mask.shape != tokens.shape):
            shapes = [tuple(rows.shape), tuple(tokens.shape), *([] if mask is None else [tuple(mask.shape)])]
            raise ValueError(f"logits (..., V), tokens (...) and mask (...) must agree, got shapes {shapes}")
        if mask is not None:
            rows, tokens = rows[mask.bool()], tokens[mask.bool()]
        rows = rows.reshape(-1, rows.shape[-1])
        if len(rows) == 0:
            return
        ids = torch.from_numpy(check_tokens(tokens.reshape(-1), rows.shape[-1])).to(rows.device)
        found = token_statistics(rows, ids, self.decoding, ())
        sums = torch.stack([found.surprise.sum(), found.entropy.sum(), found.variance.sum()])
        self.sums = self.sums + sums.to(self.sums.device)
        self.count = self.count + len(rows)

    def compute(self) -> dict[str, torch.Tensor]:
        """The four figures over all tokens; NaN before the first.

        Returns
        -------
        dict of str to Tensor, shape ()
        """
        surprise, entropy, variance = self.sums.unbind()
        excess = surprise - entropy
        spread = torch.where(variance > 0, variance.sqrt(), torch.ones_like(variance))
        return {
            "log_perplexity": surprise / self.count,
            "entropy": entropy / self.count,
            "D": excess / self.count,
            "z": torch.where(self.count > 0, excess / spread, torch.nan),
        }
