"""Checks at the door: every function says what is wrong with its input before it works on it."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

__all__ = ["Array", "check_array", "check_base", "check_choice", "check_finite", "check_integer", "scalar"]

Array = Any
"""An array of any library that follows the array API standard (NumPy, torch, ...)."""


def check_array(
    x: Array, name: str, *, min_ndim: int = 1, max_ndim: int | None = None, allow_complex: bool = False
) -> tuple[Array, Any]:
    """Return ``x`` as a floating array and its array namespace.

    Lists become NumPy arrays; integers and booleans become the default floating type. float16 and bfloat16
    become float32, since statistics over thousands of rows need its accumulation.

    Raises
    ------
    TypeError
        If ``x`` is no array or is complex.
    ValueError
        If it has too few or too many axes, or is empty.
    """
    if not is_array_api_obj(x):
        came = type(x).__name__
        try:
            x = np.asarray(x)
        except ValueError as error:
            raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from error
        if x.dtype == object:
            raise TypeError(f"{name} must be an array of numbers, got {came}")
    xp = array_namespace(x)
    if xp.isdtype(x.dtype, "complex floating"):
        if not allow_complex:
            raise TypeError(f"{name} must be real, got dtype {x.dtype}")
    elif not xp.isdtype(x.dtype, "real floating"):
        if not xp.isdtype(x.dtype, ("integral", "bool")):
            raise TypeError(f"{name} must be an array of numbers, got dtype {x.dtype}")
        x = xp.astype(x, xp.float64)
    elif xp.finfo(x.dtype).bits < 32:
        x = xp.astype(x, xp.float32)
    if x.ndim < min_ndim or (max_ndim is not None and x.ndim > max_ndim):
        allowed = {None: f"at least {min_ndim}", min_ndim: f"{min_ndim}"}
        wanted = allowed.get(max_ndim, f"{min_ndim} to {max_ndim}")
        raise ValueError(f"{name} must have {wanted} axes, got shape {tuple(x.shape)}")
    if math.prod(x.shape) == 0:
        raise ValueError(f"{name} is empty: shape {tuple(x.shape)}")
    return x, xp


def check_finite(x: Array, name: str) -> None:
    """Raise ``ValueError`` when ``x`` holds NaN or infinity."""
    xp = array_namespace(x)
    if not scalar(xp.all(xp.isfinite(x))):
        raise ValueError(f"{name} holds NaN or infinite values")


def check_base(base: float) -> float:
    """Return the natural logarithm of ``base``, which must be positive and not 1."""
    if not (isinstance(base, Real) and math.isfinite(base) and base > 0 and base != 1):
        raise ValueError(f"base must be a positive number other than 1, got {base!r}")
    return math.log(float(base))


def check_choice(value: object, name: str, choices: tuple[object, ...]) -> None:
    """Raise ``ValueError`` unless ``value`` is one of ``choices``."""
    if not any(value is choice or value == choice for choice in choices):
        allowed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {allowed}; got {value!r}")


def check_integer(value: object, name: str, *, low: int, high: int | None = None) -> int:
    """Return ``value`` as an ``int`` within ``[low, high]``."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    number = int(value.__index__())
    if number < low or (high is not None and number > high):
        allowed = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} must be {allowed}, got {number}")
    return number


def scalar(x: Array) -> float:
    """The Python number in a zero-dimensional array."""
    return float(x.item()) if hasattr(x, "item") else float(x)
