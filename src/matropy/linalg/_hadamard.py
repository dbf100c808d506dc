"""The Walsh-Hadamard transform."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from array_api_compat import device
from numpy.typing import NDArray

from matropy._core._validation import Array, check_array, check_integer

__all__ = ["fast_walsh_hadamard"]

_LARGEST_RADIX_BITS = 5
"""Passes multiply by Hadamard matrices of order at most 32: larger ones cost more than the passes that they save."""


def fast_walsh_hadamard(x: Array, axis: int = 0) -> Array:
    r"""Walsh-Hadamard transform :math:`H_nx` along one axis, in Sylvester's order and not normalized.

    .. math::
        H_1=1,\qquad H_{2n}=\begin{pmatrix}H_n&H_n\\H_n&-H_n\end{pmatrix},\qquad
        (H_n)_{ij}=(-1)^{\mathrm{popcount}(i\,\&\,j)}

    Twice the transform is ``n`` times the input. The matrix is never formed: :math:`H_{rs}=H_r\otimes H_s` turns it into
    a few products with small Hadamard matrices, :math:`O(n\log n)` work.

    Parameters
    ----------
    x : array, shape (..., n, ...)
        NumPy or torch (differentiable); ``n`` is a power of two.
    axis : int
        The axis to transform.

    Returns
    -------
    array
        Of the shape of ``x``, a new array.

    Raises
    ------
    ValueError
        If the length of the axis is no power of two, there is no such axis, or ``x`` is empty.

    References
    ----------
    B. J. Fino and V. R. Algazi, 1976, Unified matrix treatment of the fast Walsh-Hadamard transform.

    Examples
    --------
    >>> from matropy.linalg import fast_walsh_hadamard
    >>> fast_walsh_hadamard([1.0, 0.0, 2.0, 0.0]).tolist()
    [3.0, 3.0, -1.0, -1.0]
    """
    x, xp = check_array(x, "x")
    axis = check_integer(axis, "axis", low=-x.ndim, high=x.ndim - 1) % x.ndim
    n = x.shape[axis]
    if n & (n - 1):
        raise ValueError(f"x must have a power of two of entries along axis {axis}, got {n}")
    y, done = (x if n > 1 else x + 0), 1
    for bits in _radices(n.bit_length() - 1):
        radix = 2**bits
        inner = math.prod(x.shape[axis + 1 :]) * (n // done // radix)
        hadamard = xp.asarray(_hadamard(radix), dtype=x.dtype, device=device(x))
        if inner == 1:
            y = xp.matmul(xp.reshape(y, (-1, radix)), hadamard)
        else:
            y = xp.matmul(hadamard, xp.reshape(y, (-1, radix, inner)))
        done *= radix
    return xp.reshape(y, x.shape)


def _radices(bits: int) -> list[int]:
    """Cut ``bits`` into the fewest parts of at most five, as even as can be."""
    passes = -(-bits // _LARGEST_RADIX_BITS)
    return [bits * (i + 1) // passes - bits * i // passes for i in range(passes)]


@lru_cache
def _hadamard(order: int) -> NDArray[np.float64]:
    if order == 1:
        return np.ones((1, 1))
    half = _hadamard(order // 2)
    return np.block([[half, half], [half, -half]])
