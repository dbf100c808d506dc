"""The Vendi score as a streaming metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from array_api_compat import array_namespace

from matropy._core._errors import MissingExtraError
from matropy._core._validation import check_choice
from matropy.linalg._norms import gram_eigenvalues
from matropy.metrics._vendi._items import VectorItems, checked_rows
from matropy.metrics._vendi._spectrum import answer, checked_orders, cleaned, scores_of

try:
    import torch
    from torchmetrics import Metric
    from torchmetrics.utilities.distributed import gather_all_tensors
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"VendiScore needs {error.name}, which is not installed: pip install 'matropy[torch]'"
    ) from error

__all__ = ["VendiScore"]


class VendiScore(Metric):
    r"""Vendi score of rows that arrive in batches and on several processes.

    The states are the sum :math:`\sum_i\hat x_i\hat x_i^\top` over unit rows and their number, in float64: memory is
    ``d x d`` whatever the number of rows, and batches and processes add up exactly.

    Parameters
    ----------
    kernel : {"cosine", "linear"}
        ``"linear"`` takes the rows as they are and needs unit rows. Other kernels have no features that could be
        added up: see :func:`vendi_score_estimate` with ``method="rff"``.
    order : float or sequence of float
        As for :func:`vendi_score`.
    **kwargs
        Of :class:`torchmetrics.Metric`.

    Raises
    ------
    ValueError
        For another kernel or a negative order; on update, for rows that are not finite, zero, of another length, or no
        unit rows where these are needed; on compute, if there were none.

    Examples
    --------
    >>> import torch
    >>> from matropy.metrics import VendiScore
    >>> metric = VendiScore()
    >>> metric.update(torch.eye(4))
    >>> metric.update(3 * torch.eye(4)[:2])
    >>> round(float(metric.compute()), 4)
    3.7798
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    scatter: torch.Tensor
    count: torch.Tensor

    def __init__(
        self,
        *,
        kernel: Literal["cosine", "linear"] = "cosine",
        order: float | Sequence[float] = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dist_sync_fn": _gather, **kwargs})
        check_choice(kernel, "kernel", ("cosine", "linear"))
        self.kernel = kernel
        self.orders, self.single = checked_orders(order)
        # The width is known with the first batch; until then one zero stands for a matrix of them.
        self.add_state("scatter", torch.zeros(1, 1, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, x: torch.Tensor) -> None:
        """Add rows.

        Parameters
        ----------
        x : Tensor, shape (B, d)
        """
        items = VectorItems(checked_rows(x), given_unit=self.kernel == "linear")
        width = self.scatter.shape[0]
        if int(self.count) and items.width != width:
            raise ValueError(f"x must have {width} columns like the rows before, got {items.width}")
        for unit in items.unit_blocks():
            self.scatter = self.scatter + (unit.mT @ unit).to(self.scatter.device)
        # Not in place: processes that a metric is sent to share its tensors.
        self.count = self.count + items.n

    def compute(self) -> torch.Tensor:
        """Vendi score of all rows.

        Returns
        -------
        Tensor of float64, shape () or (orders,)
        """
        n = int(self.count)
        if n == 0:
            raise ValueError("VendiScore has seen no rows")
        eigenvalues = cleaned(
            gram_eigenvalues(self.scatter / n, array_namespace(self.scatter))[:n],
            max(n, len(self.scatter)) * torch.finfo(torch.float64).eps,
        )
        scores: torch.Tensor = answer(scores_of(eigenvalues, self.orders), self.single, eigenvalues[:0])
        return scores


def _gather(state: torch.Tensor, group: Any = None) -> list[torch.Tensor]:
    """Gather a state, where a process that has seen no rows does not know their width."""
    states: list[torch.Tensor] = gather_all_tensors(state, group)
    largest = max((one.shape for one in states), key=tuple)
    return [one.expand(largest) for one in states]
