"""From values to positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matropy.reporting._ticks import log_ticks, nice_ticks, tick_labels

__all__ = ["Axis", "fit_axis"]


@dataclass(frozen=True)
class Axis:
    """A scale from ``[low, high]`` to the positions ``[start, stop]``, with its ticks."""

    low: float
    high: float
    start: float
    stop: float
    scale: str
    ticks: tuple[float, ...]
    labels: tuple[str, ...]

    def position(self, value: float) -> float:
        """Where ``value`` is drawn."""
        if self.scale == "log":
            low = math.log10(self.low)
            fraction = (math.log10(value) - low) / (math.log10(self.high) - low)
        else:
            fraction = (value - self.low) / (self.high - self.low)
        return self.start + fraction * (self.stop - self.start)


def fit_axis(
    values: Sequence[float],
    *,
    start: float,
    stop: float,
    scale: str = "linear",
    count: int = 5,
    margin: float = 0.05,
) -> Axis:
    """Fit an axis around ``values`` with some air; it crosses zero only where the values do."""
    low, high = (_log_limits if scale == "log" else _linear_limits)(values, margin)
    if scale == "log":
        ticks = log_ticks(low, high, count)
    else:
        whole = bool(values) and all(float(value).is_integer() for value in values)
        ticks = nice_ticks(low, high, count, whole=whole)
    return Axis(low, high, start, stop, scale, ticks, tick_labels(ticks, scale))


def _linear_limits(values: Sequence[float], margin: float) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-280):
        air = max(abs(low) * 0.1, 1.0 if float(low).is_integer() else 1e-280)
    else:
        air = margin * (high - low)
    return (
        max(0.0, low - air) if low >= 0 else low - air,
        min(0.0, high + air) if high <= 0 and low < 0 else high + air,
    )


def _log_limits(values: Sequence[float], margin: float) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    decades = math.log10(high) - math.log10(low)
    air = 10 ** (margin * decades) if decades > 1e-9 else 2.0
    return max(low / air, 1e-300), min(high * air, 1e300)
