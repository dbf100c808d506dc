"""The kernel between sets given as bits."""

from __future__ import annotations

from matropy._core._validation import Array, scalar
from matropy.metrics.kernels._vectors import checked_pair

__all__ = ["tanimoto"]


def tanimoto(x: Array, y: Array | None = None) -> Array:
    r"""Tanimoto (Jaccard) similarity of binary fingerprints, :math:`K_{ij}=|a_i\cap b_j|/|a_i\cup b_j|`.

    Two empty fingerprints have similarity 1. Positive semidefinite on binary vectors (Gower, 1971), not on counts.

    Parameters
    ----------
    x : array of bool or of 0 and 1, shape (n, d)
        NumPy or torch.
    y : array, shape (m, d), optional
        ``x`` itself by default.

    Returns
    -------
    array of float, shape (n, m)
        float64, unless ``x`` is of another floating type.

    Raises
    ------
    ValueError
        For input that is empty, not finite, of other widths, or holds anything but 0 and 1.

    References
    ----------
    J. C. Gower, 1971, theorem 1 for the coefficient without double zeros.

    Examples
    --------
    >>> from matropy.metrics import kernels
    >>> kernels.tanimoto([[1, 1, 0], [1, 0, 0], [0, 0, 0]]).tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    x, y, xp = checked_pair(x, y)
    for array, name in ((x, "x"), (y, "y")):
        if array is not None and scalar(xp.max(xp.abs(array * (array - 1)))) != 0:
            raise ValueError(f"{name} must hold 0 and 1 only, for kernel 'tanimoto'")
    other = x if y is None else y
    # Counts of bits are whole numbers, which float32 holds exactly at half the cost.
    bits, other_bits = xp.astype(x, xp.float32), xp.astype(other, xp.float32)
    common = xp.astype(bits @ other_bits.mT, x.dtype)
    union = xp.sum(x, axis=1)[:, None] + xp.sum(other, axis=1)[None, :] - common
    empty = union == 0
    return xp.where(empty, xp.ones_like(union), common / xp.where(empty, xp.ones_like(union), union))
