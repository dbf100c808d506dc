"""Entropy of density matrices."""

from __future__ import annotations

import math

from matropy._core._validation import Array, check_array, check_finite, scalar
from matropy.entropy._distributions import shannon_entropy

__all__ = ["von_neumann_entropy"]


def von_neumann_entropy(rho: Array, *, base: float = math.e) -> Array:
    r"""Von Neumann entropy :math:`-\mathrm{tr}\,\rho\ln\rho` of density matrices.

    Parameters
    ----------
    rho : array, shape (..., n, n)
        Hermitian (real symmetric or complex), positive semidefinite, of trace one.
    base : float
        Base of the logarithm; ``2`` gives bits.

    Returns
    -------
    array, shape (...)
        Nats, unless ``base`` says otherwise. Differentiable in torch, also at repeated eigenvalues.

    Raises
    ------
    ValueError
        If a matrix is not square, Hermitian, positive semidefinite or of trace one (to the square root of the
        precision), or not finite.

    References
    ----------
    J. von Neumann, 1932, chapter V.

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.entropy import von_neumann_entropy
    >>> round(float(von_neumann_entropy(np.eye(4) / 4, base=2)), 6)
    2.0
    """
    rho, xp = check_array(rho, "rho", min_ndim=2, allow_complex=True)
    if rho.shape[-1] != rho.shape[-2]:
        raise ValueError(f"rho must be square, got shape {tuple(rho.shape)}")
    check_finite(rho, "rho")
    tolerance = float(xp.finfo(rho.dtype).eps) ** 0.5
    adjoint = xp.conj(xp.matrix_transpose(rho)) if xp.isdtype(rho.dtype, "complex floating") else rho.mT
    asymmetry = scalar(xp.max(xp.abs(rho - adjoint)))
    if asymmetry > tolerance:
        raise ValueError(f"rho must be Hermitian, off by up to {asymmetry:.3g}")
    eigenvalues = xp.linalg.eigvalsh(rho)
    smallest = scalar(xp.min(eigenvalues))
    if smallest < -tolerance:
        raise ValueError(f"rho must be positive semidefinite, smallest eigenvalue {smallest:.3g}")
    eigenvalues = xp.where(eigenvalues > 0, eigenvalues, xp.zeros_like(eigenvalues))
    trace = xp.sum(eigenvalues, axis=-1, keepdims=True)
    worst = scalar(xp.max(xp.abs(trace - 1)))
    if worst > tolerance * rho.shape[-1]:
        raise ValueError(f"rho must have trace one, off by up to {worst:.3g}")
    return shannon_entropy(eigenvalues / trace, base=base)
