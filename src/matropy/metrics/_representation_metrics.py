"""The measures of hidden states as a streaming metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matropy._core._errors import MissingExtraError
from matropy._core._validation import check_choice
from matropy.metrics._representation_statistics import REPRESENTATION_METRICS, representation_statistics

try:
    import torch
    from torchmetrics import Metric
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"RepresentationMetrics needs {error.name}, which is not installed: pip install 'matropy[torch]'"
    ) from error

__all__ = ["RepresentationMetrics"]


class RepresentationMetrics(Metric):
    """Every measure of hidden states, averaged over a stream of texts.

    The states are sums and counts in float64, so batches and processes add up exactly; a value that is not defined
    for a text (the calibrated entropy of two tokens) is left out of its own mean only.

    Parameters
    ----------
    metrics : sequence of str, optional
        Which to compute; all by default: ``matrix_nuclear_norm``, ``matrix_nuclear_norm_calibrated`` (over the
        isotropic null), ``matrix_nuclear_norm_exact``, ``matrix_entropy`` (nats), ``matrix_entropy_relative``,
        ``matrix_entropy_calibrated``, ``effective_rank``, ``renyi_entropy_2`` (nats), ``participation_ratio``,
        ``anisotropy``, ``rankme``, ``alpha_req``.
    **kwargs
        Of :class:`torchmetrics.Metric`.

    Raises
    ------
    ValueError
        For an unknown metric; on update, for states that are not finite, fewer than two tokens, or a token that
        cannot be normalized.

    Examples
    --------
    >>> import torch
    >>> from matropy.metrics import RepresentationMetrics
    >>> metric = RepresentationMetrics(["matrix_entropy"])
    >>> axes = torch.cat([torch.eye(4), -torch.eye(4)])
    >>> metric.update(axes[None])
    >>> round(float(metric.compute()["matrix_entropy"].exp()), 4)
    4.0
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    total: torch.Tensor
    count: torch.Tensor

    def __init__(self, metrics: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metrics = tuple(REPRESENTATION_METRICS if metrics is None else metrics)
        if not self.metrics:
            raise ValueError("metrics is empty")
        for name in self.metrics:
            check_choice(name, "metrics", REPRESENTATION_METRICS)
        self.add_state("total", torch.zeros(len(self.metrics), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(len(self.metrics), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, hidden: torch.Tensor, mask: torch.Tensor | None = None) -> None:
        """Add texts.

        Parameters
        ----------
        hidden : Tensor, shape (B, N, d) or (N, d)
            Hidden states.
        mask : Tensor of bool, shape (B, N) or (N,), optional
            True where there is a token.
        """
        statistics = representation_statistics(hidden, mask, self.metrics)
        if not bool(statistics.finite.all()):
            raise ValueError("hidden holds NaN or infinite values")
        if bool(statistics.degenerate.any()):
            raise ValueError(
                "hidden holds a text of fewer than two tokens, or a token that cannot be normalized"
            )
        values = torch.stack([statistics.values[name].double().reshape(-1) for name in self.metrics])
        defined = ~values.isnan()
        self.total = self.total + values.nan_to_num(0.0).sum(1).to(self.total.device)
        self.count = self.count + defined.sum(1).to(self.count.device)

    def compute(self) -> dict[str, torch.Tensor]:
        """Mean of every metric over the texts; NaN for one that no text defined.

        Returns
        -------
        dict of str to Tensor, shape ()
        """
        return dict(zip(self.metrics, (self.total / self.count).unbind(), strict=True))
