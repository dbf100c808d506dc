"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import SupportsFloat, TypeGuard

import numpy as np

__all__ = ["MISSING", "format_column", "format_number", "is_number", "is_value"]

MISSING = "–"
_LARGEST_EXPONENT = 8
_SMALLEST_EXPONENT = -4


def format_number(value: SupportsFloat | None, digits: int = 4) -> str:
    """Write a number the way every table, figure and card of a report writes it.

    Parameters
    ----------
    value : number or None
        Whole numbers keep all their digits, with a comma at the thousands. Truth values read yes and no.
    digits : int
        Significant digits of a float; trailing zeros are dropped and digits before the point are kept.

    Returns
    -------
    str
        An en dash where there is no value (None, NaN); scientific notation below 1e-4 and from 1e9 on.

    Examples
    --------
    >>> format_number(0.71587), format_number(12345), format_number(1.2e-7), format_number(None)
    ('0.7159', '12,345', '1.2e-07', '–')
    """
    if value is None:
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    value = float(value)
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    mantissa, exponent = _scientific(value, digits)
    if not _SMALLEST_EXPONENT <= exponent <= _LARGEST_EXPONENT:
        return f"{_without_zeros(mantissa)}e{exponent:+03d}"
    return _without_zeros(f"{value:,.{max(0, digits - 1 - exponent)}f}")


def format_column(values: Sequence[SupportsFloat | None], digits: int = 4) -> list[str]:
    """Write numbers that stand below each other: decimals line up as far as ``digits`` allows."""
    texts = [format_number(value, digits) for value in values]
    decimals = max((_decimals(text) for text in texts), default=0)
    return [_padded(value, text, decimals, digits) for value, text in zip(values, texts, strict=True)]


def is_number(value: object) -> TypeGuard[SupportsFloat]:
    """Whether ``value`` is a real number; a truth value is not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_value(value: object) -> TypeGuard[SupportsFloat | None]:
    """Whether :func:`format_number` writes ``value``: a number, a truth value or None."""
    return value is None or isinstance(value, bool | np.bool_) or is_number(value)


def _padded(value: SupportsFloat | None, text: str, decimals: int, digits: int) -> str:
    if value is None or not isinstance(value, Real) or isinstance(value, Integral):
        return text
    number = float(value)
    if not math.isfinite(number) or number == 0 or "e" in text:
        return text
    own = max(0, digits - 1 - _scientific(number, digits)[1])
    return f"{number:,.{min(own, decimals)}f}"


def _scientific(value: float, digits: int) -> tuple[str, int]:
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return mantissa, int(exponent)


def _without_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimals(text: str) -> int:
    return 0 if "e" in text else len(text.partition(".")[2])
