"""The Lanczos recurrence, with full re-orthogonalization."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from matropy._core._validation import Array, check_array, check_finite, check_integer
from matropy.linalg._symmetric_operator import SymmetricOperator, symmetric_operator

__all__ = ["LanczosResult", "lanczos", "quadrature_rules", "tridiagonalize"]


@dataclass(frozen=True)
class LanczosResult:
    r"""The tridiagonal matrix :math:`T=Q^\top AQ` of an operator on the Krylov space of a start vector.

    Attributes
    ----------
    diagonal : array, shape (k,)
    off_diagonal : array, shape (k - 1,)
    basis : array, shape (n, k)
        Orthonormal columns; the first is the normalized start vector.
    remainder : float
        Norm :math:`\beta_k` of what leaves the space: zero when it is invariant, and then every Ritz value is an
        eigenvalue.
    """

    diagonal: Array
    off_diagonal: Array
    basis: Array
    remainder: float

    @cached_property
    def _eigenpairs(self) -> tuple[Array, Array]:
        pairs: tuple[Array, Array] = _tridiagonal_eigenpairs(self.diagonal[None], self.off_diagonal[None])
        return pairs[0][0], pairs[1][0]

    @property
    def ritz_values(self) -> Array:
        """Eigenvalues of the tridiagonal matrix, rising; shape (k,)."""
        return self._eigenpairs[0]

    @property
    def ritz_vectors(self) -> Array:
        """Approximate eigenvectors, one a column in the order of the values; shape (n, k)."""
        return self.basis @ self._eigenpairs[1]

    @property
    def residual_norms(self) -> Array:
        r"""How far each pair is from an eigenpair, :math:`\|Au-\theta u\|`: an eigenvalue is that near; shape (k,)."""
        last = self._eigenpairs[1][-1, :]
        return self.remainder * (last * last) ** 0.5

    @property
    def weights(self) -> Array:
        r"""Weights of the Gauss quadrature :math:`v^\top f(A)v\approx\|v\|^2\sum_jw_jf(\theta_j)`; shape (k,)."""
        first = self._eigenpairs[1][0, :]
        return first * first


def lanczos(
    operator: object,
    steps: int,
    *,
    start: Array | None = None,
    size: int | None = None,
    rng: int | np.random.Generator | None = None,
) -> LanczosResult:
    r"""Lanczos tridiagonalization of a symmetric operator, every new vector orthogonalized twice against all others.

    .. math:: AQ_k=Q_kT_k+\beta_kq_{k+1}e_k^\top

    The extreme Ritz values converge first; ``scipy.sparse.linalg.eigsh`` restarts the same recurrence where only a few
    eigenpairs are wanted and memory is short.

    Parameters
    ----------
    operator : array, sparse matrix, LinearOperator or callable
        Symmetric, ``n x n``: a NumPy or torch array, anything that :func:`scipy.sparse.linalg.aslinearoperator` takes,
        or a function that maps one NumPy vector to its product.
    steps : int
        Most steps, at least 1; fewer are made where the space becomes invariant.
    start : array, shape (n,), optional
        Start vector, not zero; Gaussian by default.
    size : int, optional
        ``n``, needed where ``operator`` is a function and there is no start vector.
    rng : int or Generator, optional
        Draws the start vector.

    Returns
    -------
    LanczosResult
        Arrays of the library, precision and device of an array operator; otherwise NumPy float64.

    Raises
    ------
    ValueError
        For an operator that is not square, not symmetric (arrays are checked), or gives another shape, NaN or
        infinity; for a start vector of another length or zero; for less than one step.
    TypeError
        For a complex operator.

    References
    ----------
    C. Lanczos, 1950; G. H. Golub, C. F. Van Loan, Matrix Computations, 2013, section 10.1.

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.linalg import lanczos
    >>> result = lanczos(np.diag([1.0, 2.0, 5.0]), 3, rng=0)
    >>> result.ritz_values.round(6).tolist()
    [1.0, 2.0, 5.0]
    """
    steps = check_integer(steps, "steps", low=1)
    if start is not None and size is None:
        size = len(start)
    symmetric = symmetric_operator(operator, size)
    if start is None:
        vector = np.random.default_rng(rng).standard_normal(symmetric.size)
    else:
        vector, _ = check_array(start, "start", max_ndim=1)
        if vector.shape[0] != symmetric.size:
            raise ValueError(f"start must have {symmetric.size} entries, got {vector.shape[0]}")
        check_finite(vector, "start")
        if not bool((vector != 0).any()):
            raise ValueError("start is zero")
    vector = symmetric.array(vector)
    diagonal, off, basis = tridiagonalize(symmetric, vector[:, None], min(steps, symmetric.size))
    remainders = [float(beta) for beta in off[0]]
    # A zero among the off-diagonal entries ends the recurrence: the space is invariant.
    length = next((k + 1 for k, beta in enumerate(remainders) if beta == 0), len(remainders))
    return LanczosResult(
        diagonal[0, :length], off[0, : length - 1], basis[0, :, :length], remainders[length - 1]
    )


def tridiagonalize(operator: SymmetricOperator, starts: Array, steps: int) -> tuple[Array, Array, Array]:
    """Run the recurrence from ``b`` start vectors, the columns of ``starts (n, b)``, at the same time.

    Gives the diagonals ``(b, k)``, what follows each step ``(b, k)``, and the bases ``(b, n, k)``. A run whose space
    becomes invariant goes on with zeros, which no quadrature sees.
    """
    xp = operator.xp
    b = starts.shape[1]
    like = {"dtype": starts.dtype, "device": starts.device}
    diagonal, off = xp.zeros((b, steps), **like), xp.zeros((b, steps), **like)
    basis = xp.zeros((b, operator.size, steps), **like)
    v = starts.mT
    norms = xp.linalg.vector_norm(v, axis=1, keepdims=True)
    v = v / xp.where(norms > 0, norms, xp.ones_like(norms))
    scale = xp.zeros((b,), **like)
    for k in range(steps):
        basis[:, :, k] = v
        w = operator.apply(v.mT).mT
        diagonal[:, k] = xp.sum(w * v, axis=1)
        scale = xp.maximum(scale, xp.linalg.vector_norm(w, axis=1))
        known = basis[:, :, : k + 1]
        for _ in range(2):
            w = w - (known @ (known.mT @ w[:, :, None]))[:, :, 0]
        beta = xp.linalg.vector_norm(w, axis=1)
        ended = beta <= 100 * float(xp.finfo(starts.dtype).eps) * scale
        beta = xp.where(ended, xp.zeros_like(beta), beta)
        off[:, k] = beta
        v = xp.where(ended[:, None], xp.zeros_like(w), w) / xp.where(ended, xp.ones_like(beta), beta)[:, None]
    return diagonal, off, basis


def quadrature_rules(operator: SymmetricOperator, starts: Array, steps: int) -> tuple[Array, Array]:
    """Nodes and weights ``(b, k)`` of the Gauss rules that belong to ``b`` start vectors."""
    diagonal, off, _ = tridiagonalize(operator, starts, steps)
    nodes, vectors = _tridiagonal_eigenpairs(diagonal, off[:, :-1])
    return nodes, vectors[:, 0, :] ** 2


def _tridiagonal_eigenpairs(diagonal: Array, off: Array) -> Any:
    xp = array_namespace(diagonal)
    k = diagonal.shape[1]
    matrices = xp.zeros((*diagonal.shape, k), dtype=diagonal.dtype, device=diagonal.device)
    for i in range(k):
        matrices[:, i, i] = diagonal[:, i]
        if i + 1 < k:
            matrices[:, i + 1, i] = off[:, i]
            matrices[:, i, i + 1] = off[:, i]
    return xp.linalg.eigh(matrices)
