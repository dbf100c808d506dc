"""The redundancy ratio of a stream of codes."""

from __future__ import annotations

from typing import Any

import numpy as np

from matropy._core._errors import MissingExtraError
from matropy.metrics._activation_codes._distinct import digest_rows, distinct_rows
from matropy.metrics._activation_codes._packing import pack_binary

try:
    import torch
    from torchmetrics import Metric
    from torchmetrics.utilities import dim_zero_cat
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"CodeRedundancy needs {error.name}, which is not installed: pip install 'matropy[torch]'"
    ) from error

__all__ = ["CodeRedundancy"]


class CodeRedundancy(Metric):
    """The redundancy ratio of codes that arrive in batches, on one process or many.

    Only a 128-bit digest of each different code is kept, 16 bytes whatever its width. Different codes share one with
    probability below n²/2¹²⁹, so the figure is that of :func:`matropy.metrics.redundancy_ratio` for every purpose;
    :class:`matropy.metrics.CodeBook` is exact and keeps the codes.

    Parameters
    ----------
    **kwargs
        Of :class:`torchmetrics.Metric`.

    Raises
    ------
    TypeError, ValueError
        On update, for codes that are no array of zeros and ones or change their width; on compute, without any.

    Examples
    --------
    >>> import torch
    >>> from matropy.metrics import CodeRedundancy
    >>> metric = CodeRedundancy()
    >>> metric.update(torch.tensor([[0, 1], [1, 1]]))
    >>> metric.update(torch.tensor([[0, 1], [0, 1]]))
    >>> metric.compute()
    tensor(0.5000, dtype=torch.float64)
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    examples: torch.Tensor
    width: torch.Tensor
    digests: list[torch.Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("examples", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("width", torch.tensor(0), dist_reduce_fx="max")
        self.add_state("digests", [], dist_reduce_fx="cat")

    def update(self, bits: torch.Tensor) -> None:
        """Add codes.

        Parameters
        ----------
        bits : Tensor of 0 and 1, shape (B, w)
        """
        packed, width = pack_binary(bits)
        if self.width not in (0, width):
            raise ValueError(f"bits must have {int(self.width)} columns, as in earlier batches; got {width}")
        self.width = torch.full_like(self.width, width)
        self.examples = self.examples + len(packed)
        self.digests.append(torch.from_numpy(digest_rows(packed)).to(self.examples.device))
        # Merged when the new ones are as many as the old: a sort of all, a logarithmic number of times.
        if sum(map(len, self.digests[1:])) >= len(self.digests[0]):
            self.digests = [self._distinct()]

    def compute(self) -> torch.Tensor:
        """Share of surplus examples, float64.

        Returns
        -------
        Tensor, shape ()
        """
        if not self.examples:
            raise ValueError("there is no code to compute the redundancy of: update was not called")
        return (self.examples - len(self._distinct())) / self.examples.double()

    def _distinct(self) -> torch.Tensor:
        """The different digests."""
        digests = dim_zero_cat(self.digests)  # one tensor already where processes were synchronized
        first, _ = distinct_rows(digests.cpu().numpy().view(np.uint64))
        return digests[torch.from_numpy(first).to(digests.device)]

    def _sync_dist(self, *args: Any, **kwargs: Any) -> None:
        if not self.digests:
            # A process without data takes part with digests of the same type and shape.
            self.digests = [torch.empty((0, 2), dtype=torch.int64, device=self.examples.device)]
        super()._sync_dist(*args, **kwargs)
