"""Round numbers along an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matropy.reporting._numbers import format_number

__all__ = ["log_ticks", "nice_ticks", "tick_labels"]


def nice_ticks(low: float, high: float, count: int = 5, *, whole: bool = False) -> tuple[float, ...]:
    """Place multiples of 1, 2 or 5 times a power of ten in ``[low, high]``.

    Parameters
    ----------
    low, high : float
        Ends of the axis, ``low < high``.
    count : int
        At most ``count + 1`` ticks come back.
    whole : bool
        Whole numbers only.

    Examples
    --------
    >>> nice_ticks(0.0, 1.0)
    (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    """
    factor, exponent = _nice_step(high / count - low / count)
    if whole and exponent < 0:
        factor, exponent = 1, 0
    step = factor * 10.0**exponent
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(_multiple(number * factor, exponent) for number in range(first, last + 1))


def log_ticks(low: float, high: float, count: int = 5) -> tuple[float, ...]:
    """Place powers of ten in ``[low, high]``; 1, 2 and 5 times them where those are too few.

    Examples
    --------
    >>> log_ticks(1e-3, 1e2, 6)
    (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
    >>> log_ticks(1.0, 30.0)
    (1.0, 2.0, 5.0, 10.0, 20.0)
    """
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    decades = last - first + 1
    if decades >= 3:
        stride = math.ceil(decades / (count + 1))
        return tuple(_multiple(1, exponent) for exponent in range(first, last + 1, stride))
    between = [
        tick
        for exponent in range(first - 1, last + 1)
        for tick in (_multiple(1, exponent), _multiple(2, exponent), _multiple(5, exponent))
        if low <= tick * (1 + 1e-9) and tick <= high * (1 + 1e-9)
    ]
    return tuple(between) if len(between) >= 3 else nice_ticks(low, high, count)


def tick_labels(ticks: Sequence[float], scale: str = "linear") -> tuple[str, ...]:
    """Write ticks with as many digits as tell them apart; on a linear axis with equal decimals."""
    labels = _shortest_exact(ticks)
    if scale == "log" or any("e" in label for label in labels):
        return labels
    decimals = max((len(label.partition(".")[2]) for label in labels), default=0)
    return tuple(f"{tick + 0.0:,.{decimals}f}" for tick in ticks)


def _nice_step(raw: float) -> tuple[int, int]:
    exponent = math.floor(math.log10(raw))
    mantissa = raw / 10.0**exponent
    for factor in (1, 2, 5):
        if mantissa <= factor * (1 + 1e-9):
            return factor, exponent
    return 1, exponent + 1


def _multiple(number: int, exponent: int) -> float:
    """``number * 10**exponent``, rounded once."""
    return float(number * 10**exponent) if exponent >= 0 else number / 10**-exponent


def _shortest_exact(ticks: Sequence[float]) -> tuple[str, ...]:
    for digits in range(1, 17):
        labels = tuple(format_number(tick, digits) for tick in ticks)
        values = [float(label.replace(",", "")) for label in labels]
        if all(math.isclose(value, tick, rel_tol=1e-12) for value, tick in zip(values, ticks, strict=True)):
            return labels
    return tuple(format_number(tick, 17) for tick in ticks)
