r"""Least squares from a small factor of the design: :math:`W^\top W=A^\top A`, or that of its sketch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

from matropy.recovery._rows import Floats

__all__ = ["ROUNDING", "Factor", "LeastSquares", "solve_least_squares"]

ROUNDING = 1e-13
"""Of a column of unit norm, what earlier columns do not explain is rounding when it is less than this."""


@dataclass(frozen=True)
class Factor:
    r"""The pseudo-inverse :math:`K=W^+=BT^{-1}` of a factor of rank ``r``, by a triangular matrix.

    Attributes
    ----------
    basis : array, shape (d, r)
        ``B``: a scaled permutation at full rank, otherwise an orthonormal basis of the row space.
    triangle : array, shape (r, r)
        ``T``.
    lower : bool
        Whether the triangle is a lower one.
    norms : array, shape (d,)
        Of the columns of the factor.
    """

    basis: Floats
    triangle: Floats
    lower: bool
    norms: Floats

    @property
    def rank(self) -> int:
        """``r``."""
        return len(self.triangle)

    def apply(self, y: Floats) -> Floats:
        """``K y``."""
        return np.asarray(self.basis @ solve_triangular(self.triangle, y, lower=self.lower))

    def apply_transpose(self, g: Floats) -> Floats:
        """``K' g``."""
        return np.asarray(solve_triangular(self.triangle, self.basis.T @ g, lower=self.lower, trans="T"))

    def variances(self) -> Floats:
        r"""Diagonal of :math:`KK^\top=(W^\top W)^+`, shape (d,)."""
        return np.asarray(np.square(self.apply_transpose(np.eye(len(self.basis)))).sum(axis=0))


@dataclass(frozen=True)
class LeastSquares:
    """The minimum-norm solution of a least-squares problem.

    Attributes
    ----------
    solution : array, shape (d, k)
    residual : array, shape (k,)
        Squared norms of the residuals.
    factor : Factor
    dependent : dict of int to tuple of int
        Columns that are linear combinations of earlier ones, and those ones.
    """

    solution: Floats
    residual: Floats
    factor: Factor
    dependent: dict[int, tuple[int, ...]]


def solve_least_squares(w: Floats, target: Floats, rest: Floats) -> LeastSquares:
    r"""Minimize :math:`\|Wx-t\|^2+\text{rest}` column by column of ``t``; of all minimizers take the shortest.

    The rank is found on columns of unit norm, so it does not depend on their units.

    Parameters
    ----------
    w : array, shape (q, d), q <= d
    target : array, shape (q, k)
    rest : array, shape (k,)
        Squared norm of what of the target lies outside the ``q`` rows.
    """
    d = w.shape[1]
    norms = np.sqrt(np.square(w / (largest := np.abs(w).max(initial=0.0) or 1.0)).sum(axis=0)) * largest
    scale = np.where(norms > 0, norms, 1.0)
    q, r, order = qr(w / scale, mode="economic", pivoting=True)
    pivots = np.abs(np.diagonal(r))
    rank = int(np.sum(pivots > ROUNDING * pivots.max(initial=0.0)))
    rotated = q.T @ target
    if rank == d:
        basis = np.zeros((d, d))
        basis[order, np.arange(d)] = 1 / scale[order]
        factor = Factor(basis, r, lower=False, norms=norms)
    else:
        rows = np.empty((rank, d))
        rows[:, order] = r[:rank]
        basis, upper = qr((rows * scale).T, mode="economic")
        factor = Factor(basis, upper.T, lower=True, norms=norms)
    residual = rest + np.square(rotated[rank:]).sum(axis=0)
    return LeastSquares(factor.apply(rotated[:rank]), residual, factor, _dependent_columns(r, order, rank))


def _dependent_columns(r: Floats, order: NDArray[np.intp], rank: int) -> dict[int, tuple[int, ...]]:
    """Columns that depend on earlier ones: a basis of the null space, reduced from the last column on."""
    d = len(order)
    null = np.zeros((d - rank, d))
    null[:, order[:rank]] = -solve_triangular(r[:rank, :rank], r[:rank, rank:]).T if rank else 0
    null[:, order[rank:]] = np.eye(d - rank)
    dependent = {}
    tolerance = np.sqrt(np.finfo(float).eps)
    free = list(range(d - rank))
    for column in reversed(range(d)):
        if not free:
            break
        row = max(free, key=lambda i: abs(null[i, column]))
        if abs(null[row, column]) <= tolerance * np.abs(null[row]).max():
            continue
        free.remove(row)
        null[row] /= null[row, column]
        others = np.arange(d - rank) != row
        null[others] -= np.outer(null[others, column], null[row])
        dependent[column] = row
    return {
        column: tuple(j for j in np.flatnonzero(np.abs(null[row]) > tolerance).tolist() if j != column)
        for column, row in sorted(dependent.items())
    }
