"""A number with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Estimate"]


@dataclass(frozen=True)
class Estimate:
    """A value that was estimated, and how far off it may be.

    Attributes
    ----------
    value : float
    standard_error : float or None
        In the unit of the value; None where the route has none.

    Examples
    --------
    >>> from matropy.linalg import Estimate
    >>> print(Estimate(12.5, 0.25))
    12.5 ± 0.25
    """

    value: float
    standard_error: float | None

    def __str__(self) -> str:
        return f"{self.value:g}" + ("" if self.standard_error is None else f" ± {self.standard_error:.2g}")
