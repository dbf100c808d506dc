"""The curves and points of a figure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Numbers", "Series"]

Numbers = Sequence[float | None]
_KINDS = ("line", "points", "reference")
_INFINITE = 1e280


@dataclass(frozen=True)
class Series:
    """Values over x, with an interval where one is known.

    Parameters
    ----------
    name : str
        Stands in the legend.
    x : sequence of float
        Finite.
    y : sequence of float or None
        As long as ``x``; a line has a gap where a value is None, NaN or infinite (1e280 and more).
    low, high : sequence of float or None, optional
        Ends of the interval around each y; both or neither.
    kind : {"line", "points", "reference"}
        A reference is a dashed, muted line: a null, a bound, a published value.

    Raises
    ------
    ValueError
        If lengths differ, x is not finite, one end of the interval is missing or the ends are swapped.
    """

    name: str
    x: Sequence[float]
    y: Numbers
    low: Numbers | None = None
    high: Numbers | None = None
    kind: Literal["line", "points", "reference"] = "line"

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(
                f"kind of series {self.name!r} must be one of {', '.join(_KINDS)}; got {self.kind!r}."
            )
        if (self.low is None) != (self.high is None):
            raise ValueError(f"Series {self.name!r} needs both low and high, or neither.")
        for field in ("x", "y", "low", "high"):
            values = getattr(self, field)
            if values is None:
                continue
            if len(values) != len(self.x):
                raise ValueError(
                    f"{field} of series {self.name!r} has {len(values)} values for {len(self.x)} values of x."
                )
            object.__setattr__(self, field, tuple(finite(value) for value in values))
        if None in self.x:
            raise ValueError(f"x of series {self.name!r} must be finite.")
        if any(point.has_interval and point.low > point.high for point in self.points):
            raise ValueError(f"low of series {self.name!r} must not exceed high.")

    @property
    def points(self) -> Iterator[Point]:
        """Points in order, the missing ones too."""
        none = (None,) * len(self.x)
        rows = zip(self.x, self.y, self.low or none, self.high or none, strict=True)
        return (Point(*row) for row in rows)


@dataclass(frozen=True)
class Point:
    """One value of a series; NaN stands for an end that is not there."""

    x: float
    y: float | None
    low: float
    high: float

    def __init__(self, x: float, y: float | None, low: float | None, high: float | None) -> None:
        complete = low is not None and high is not None
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "low", low if complete else math.nan)
        object.__setattr__(self, "high", high if complete else math.nan)

    @property
    def has_interval(self) -> bool:
        """Whether both ends are known."""
        return not math.isnan(self.low)


def finite(value: float | None) -> float | None:
    """Return the float, or None where there is none that can be drawn."""
    return float(value) if value is not None and abs(value) < _INFINITE else None
