"""Kernels between vectors."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Literal

import numpy as np
from array_api_compat import is_dask_array

from matropy._core._validation import Array, check_array, check_finite, scalar
from matropy.linalg._symmetric_operator import to_numpy

__all__ = ["checked_pair", "checked_sigma", "cosine", "is_dask", "median_sigma", "rbf", "unit_rows"]

_MEDIAN_OF = 500


def cosine(x: Array, y: Array | None = None) -> Array:
    r"""Cosine of the angle between rows, :math:`K_{ij}=x_i^\top y_j/(\|x_i\|\|y_j\|)`.

    Parameters
    ----------
    x : array, shape (n, d)
        NumPy or torch; no row may be zero.
    y : array, shape (m, d), optional
        ``x`` itself by default.

    Returns
    -------
    array, shape (n, m)
        In the library and precision of ``x``; differentiable in torch.

    Raises
    ------
    ValueError
        For input that is empty, not finite, of other widths, or holds a zero row.

    Examples
    --------
    >>> from matropy.metrics import kernels
    >>> kernels.cosine([[1.0, 0.0], [3.0, 4.0]]).round(6).tolist()
    [[1.0, 0.6], [0.6, 1.0]]
    """
    x, y, xp = checked_pair(x, y)
    x = unit_rows(x, xp)
    return x @ x.mT if y is None else x @ unit_rows(y, xp, "y").mT


def rbf(
    x: Array,
    y: Array | None = None,
    *,
    sigma: float | Literal["median"] = "median",
    rng: int | np.random.Generator | None = None,
) -> Array:
    r"""Gaussian kernel :math:`K_{ij}=\exp(-\|x_i-y_j\|^2/2\sigma^2)`.

    Parameters
    ----------
    x : array, shape (n, d)
        NumPy or torch.
    y : array, shape (m, d), optional
        ``x`` itself by default.
    sigma : float or "median"
        Bandwidth, in the unit of the rows; ``"median"`` is the median distance between two different rows of ``x``
        over :math:`\sqrt2`, of 500 drawn rows where there are more.
    rng : int or Generator, optional
        Draws those; None always draws the same.

    Returns
    -------
    array, shape (n, m)
        In the library and precision of ``x``; differentiable in torch.

    Raises
    ------
    ValueError
        For input that is empty, not finite or of other widths; for a bandwidth that is no positive number; where the
        median distance is zero.

    Examples
    --------
    >>> from matropy.metrics import kernels
    >>> kernels.rbf([[0.0], [2.0]], sigma=1.0).round(4).tolist()
    [[1.0, 0.1353], [0.1353, 1.0]]
    """
    x, y, xp = checked_pair(x, y)
    scale = checked_sigma(sigma, x, rng)
    # About a common point, so that the squares do not cancel far from the origin.
    origin = xp.mean(x, axis=0)
    x = (x - origin) / scale
    other = x if y is None else (y - origin) / scale
    squares = xp.sum(x * x, axis=1)[:, None] + xp.sum(other * other, axis=1)[None, :] - 2 * (x @ other.mT)
    squares = xp.clip(squares, min=0.0)
    if y is None:
        squares = squares * (1 - xp.eye(len(x), dtype=x.dtype, device=x.device))
    return xp.exp(-0.5 * squares)


def checked_pair(x: Array, y: Array | None) -> tuple[Array, Array | None, Any]:
    """Two arrays of rows of one width and one library."""
    x, xp = check_array(x, "x", min_ndim=2, max_ndim=2)
    check_finite(x, "x")
    if y is None:
        return x, None, xp
    y, other = check_array(y, "y", min_ndim=2, max_ndim=2)
    if other is not xp:
        raise TypeError(f"x and y must be of one library, got {type(x).__name__} and {type(y).__name__}")
    check_finite(y, "y")
    if y.shape[1] != x.shape[1]:
        raise ValueError(f"y must have {x.shape[1]} columns like x, got {y.shape[1]}")
    return x, xp.astype(y, x.dtype), xp


def unit_rows(x: Array, xp: Any, name: str = "x") -> Array:
    """Rows over their norms."""
    with np.errstate(over="ignore"):
        norms = xp.linalg.vector_norm(x, axis=1, keepdims=True)
    smallest = float(xp.finfo(x.dtype).smallest_normal) ** 0.5
    if scalar(xp.min(norms)) < smallest or not math.isfinite(scalar(xp.max(norms))):
        # Squares under- or overflow: bring the rows near one first.
        largest = xp.max(xp.abs(x), axis=1, keepdims=True)
        if scalar(xp.min(largest)) == 0:
            row = int(scalar(xp.argmin(largest)))
            raise ValueError(f"{name} holds a zero row (number {row}): it has no direction")
        x = x / largest
        norms = xp.linalg.vector_norm(x, axis=1, keepdims=True)
    return x / norms


def checked_sigma(sigma: float | Literal["median"], x: Array, rng: int | np.random.Generator | None) -> float:
    """The bandwidth as a number."""
    if isinstance(sigma, str) and sigma == "median":
        return median_sigma(x, rng)
    if isinstance(sigma, bool) or not (isinstance(sigma, Real) and math.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma must be a positive number or 'median', got {sigma!r}")
    return float(sigma)


def median_sigma(x: Array, rng: int | np.random.Generator | None) -> float:
    """Median distance between two of at most 500 rows, over the root of two."""
    from scipy.spatial.distance import pdist

    n = x.shape[0]
    if n < 2:
        return 1.0  # one row is alike itself at any bandwidth
    if n > _MEDIAN_OF:
        rows = np.sort(np.random.default_rng(0 if rng is None else rng).choice(n, _MEDIAN_OF, replace=False))
        x = x[rows.tolist()]
    x, _ = check_array(x.compute() if is_dask(x) else x, "x")
    check_finite(x, "x")
    sigma = float(np.median(pdist(to_numpy(x).astype(np.float64)))) / math.sqrt(2)
    if not sigma > 0:
        raise ValueError(
            "sigma='median' is zero, since at least half of the pairs of rows coincide: give a number"
        )
    return sigma


def is_dask(x: Any) -> bool:
    """Whether ``x`` is computed when it is asked for."""
    return bool(is_dask_array(x))
