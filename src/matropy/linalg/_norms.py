"""Singular values and the norms made of them."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Literal

import numpy as np
from array_api_compat import is_numpy_array
from numpy.typing import NDArray

from matropy._core._validation import Array, check_array, check_choice, check_finite, check_integer
from matropy.linalg._tridiagonal import symmetric_eigenvalues

__all__ = [
    "gram_eigenvalues",
    "l12_norm",
    "nuclear_norm",
    "schatten_norm",
    "singular_values",
    "small_gram",
    "small_gram_triangle",
    "square_root",
]


_GRAM_BLOCKS = 4


def singular_values(x: Array, *, method: Literal["svd", "gram"] = "svd") -> Array:
    r"""Singular values in falling order.

    Parameters
    ----------
    x : array, shape (..., n, d)
        Matrices; NumPy or torch.
    method : {"svd", "gram"}
        ``"svd"`` is accurate for every singular value. ``"gram"`` takes the square roots of the eigenvalues of
        the smaller of :math:`XX^\top` and :math:`X^\top X`: several times faster, and singular values below
        :math:`\sqrt{\epsilon}\,\sigma_1` are lost in rounding.

    Returns
    -------
    array, shape (..., min(n, d))

    Raises
    ------
    ValueError
        If ``x`` is empty, has fewer than two axes or holds NaN or infinite values.

    Examples
    --------
    >>> from matropy.linalg import singular_values
    >>> singular_values([[3.0, 0.0], [0.0, -4.0]]).tolist()
    [4.0, 3.0]
    """
    check_choice(method, "method", ("svd", "gram"))
    x, xp = _check_matrices(x)
    if method == "svd":
        return xp.linalg.svdvals(x)
    return square_root(gram_eigenvalues(small_gram(x), xp), xp)


def nuclear_norm(x: Array) -> Array:
    r"""Nuclear norm :math:`\|X\|_*=\sum_k\sigma_k`.

    Parameters
    ----------
    x : array, shape (..., n, d)

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        As :func:`singular_values`.

    Examples
    --------
    >>> from matropy.linalg import nuclear_norm
    >>> float(nuclear_norm([[3.0, 0.0], [0.0, -4.0]]))
    7.0
    """
    return schatten_norm(x, 1)


def schatten_norm(x: Array, p: float) -> Array:
    r"""Schatten norm :math:`\big(\sum_k\sigma_k^p\big)^{1/p}`: 1 is nuclear, 2 Frobenius, infinity spectral.

    Parameters
    ----------
    x : array, shape (..., n, d)
    p : float
        At least 1, infinity allowed.

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If ``p`` is below 1 or NaN, or as :func:`singular_values`.

    References
    ----------
    R. Bhatia, Matrix Analysis, 1997, section IV.2.

    Examples
    --------
    >>> from matropy.linalg import schatten_norm
    >>> float(schatten_norm([[3.0, 0.0], [0.0, -4.0]], 2))
    5.0
    """
    if not (isinstance(p, Real) and p >= 1):
        raise ValueError(f"p must be a number >= 1 (infinity allowed), got {p!r}")
    x, xp = _check_matrices(x)
    if p == 2:
        return xp.linalg.matrix_norm(x)
    sigma = xp.linalg.svdvals(x)
    if p == math.inf:
        return sigma[..., 0]
    if p == 1:
        return xp.sum(sigma, axis=-1)
    top = sigma[..., :1]
    scale = xp.where(top > 0, top, xp.ones_like(top))
    return scale[..., 0] * xp.sum((sigma / scale) ** p, axis=-1) ** (1 / p)


def l12_norm(x: Array, *, top: int | None = None) -> Array:
    r"""Sum of the Euclidean norms of the columns, :math:`\sum_j\|X_{:,j}\|_2`, or of the ``top`` largest.

    The whole sum is never below the nuclear norm (Schur-Horn); it costs one pass over the matrix.

    Parameters
    ----------
    x : array, shape (..., n, d)
    top : int, optional
        How many of the largest column norms to add; all of them by default.

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If ``top`` is outside 1 ... d, or as :func:`singular_values`.

    Examples
    --------
    >>> from matropy.linalg import l12_norm
    >>> float(l12_norm([[3.0, 0.0], [0.0, -4.0]], top=1))
    4.0
    """
    x, xp = _check_matrices(x)
    norms = xp.linalg.vector_norm(x, axis=-2)
    if top is None:
        return xp.sum(norms, axis=-1)
    top = check_integer(top, "top", low=1, high=x.shape[-1])
    return xp.sum(xp.sort(norms, axis=-1, descending=True)[..., :top], axis=-1)


def small_gram(x: Array) -> Array:
    """The smaller of ``x xᵀ`` and ``xᵀ x``: they share their non-zero eigenvalues."""
    return x @ x.mT if x.shape[-2] <= x.shape[-1] else x.mT @ x


def small_gram_triangle(x: NDArray[Any]) -> NDArray[Any]:
    """The lower triangle of :func:`small_gram` of one matrix, and above it anything.

    Of few rows, products of blocks with all rows that come before are faster than BLAS's own product of a triangle.
    """
    n, d = x.shape
    if n > d:
        return small_gram(x)  # type: ignore[no-any-return]
    gram = np.zeros((n, n), x.dtype)
    step = -(-n // _GRAM_BLOCKS)
    for start in range(0, n, step):
        stop = min(start + step, n)
        np.matmul(x[start:stop], x[:stop].T, out=gram[start:stop, :stop])
    return gram


def gram_eigenvalues(gram: Array, xp: Any) -> Array:
    """Eigenvalues of positive semidefinite matrices, falling; what rounding made negative is zero."""
    if is_numpy_array(gram) and gram.ndim == 2:
        eigenvalues = symmetric_eigenvalues(gram)[::-1]
    else:
        eigenvalues = xp.flip(xp.linalg.eigvalsh(gram), axis=-1)
    return xp.where(eigenvalues > 0, eigenvalues, xp.zeros_like(eigenvalues))


def square_root(x: Array, xp: Any) -> Array:
    """Square roots of eigenvalues, with the gradient zero instead of infinite where an eigenvalue is zero."""
    positive = x > 0
    return xp.where(positive, xp.sqrt(xp.where(positive, x, xp.ones_like(x))), xp.zeros_like(x))


def _check_matrices(x: Array) -> tuple[Array, Any]:
    x, xp = check_array(x, "x", min_ndim=2)
    check_finite(x, "x")
    return x, xp
