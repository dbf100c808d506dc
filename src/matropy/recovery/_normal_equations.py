"""The normal equations of rows that arrive in blocks."""

from __future__ import annotations

import copy
import math

import numpy as np
from scipy.linalg import solve_triangular, svdvals
from scipy.linalg.lapack import dpstrf

from matropy._core._errors import InputError
from matropy.linalg import Gram
from matropy.recovery._least_squares import ROUNDING, LeastSquares, solve_least_squares
from matropy.recovery._rows import Floats, RowBuffer

__all__ = ["NormalEquations"]

_CHUNK = 2**13
_CONSTANT = _CHUNK * np.finfo(float).eps
"""Spread, relative to its size, that the mean of a chunk of a constant column may have from rounding."""


class NormalEquations:
    r"""Second moments of rows ``[x, y]``, and the least-squares solution that they give.

    The rows are added a chunk at a time, so the result does not depend on how they were cut. With an intercept the
    moments are about the mean: eliminating the column of ones first costs none of the digits that it would cost later.

    Parameters
    ----------
    n_columns : int
        Features and targets.
    n_targets : int
        The last of them.
    intercept : bool
        Whether a column of ones is in front of the design.
    """

    def __init__(self, n_columns: int, n_targets: int, *, intercept: bool) -> None:
        self._gram = Gram(n_columns, center=intercept, side="features")
        self._buffer = RowBuffer(_CHUNK)
        self._n_targets = n_targets

    def update(self, rows: Floats) -> None:
        """Add rows."""
        for chunk in self._buffer.add(rows, "rows"):
            self._gram.update(chunk)

    def solve(self) -> tuple[LeastSquares, float]:
        """The solution for the design ``[1, x]`` or ``x``, and the condition number of its columns at unit norm."""
        gram = self._gram
        if self._buffer.count:
            gram = copy.deepcopy(gram).update(self._buffer.rows())
        d = gram.n_features - self._n_targets
        moments, mean, n = gram.covariance() * gram.count, gram.mean, gram.count
        if not np.isfinite(moments).all():
            raise InputError("the values are so large that their squares overflow")
        squares = np.diagonal(moments) + (n * mean**2 if gram.center else 0)
        w, target = _cholesky(moments[:d, :d], moments[:d, d:], squares[:d])
        rest = np.diagonal(moments)[d:] - np.square(target).sum(axis=0)
        if gram.center:
            w = np.block([[np.array([[1.0]]), mean[None, :d]], [np.zeros((len(w), 1)), w / math.sqrt(n)]])
            w *= math.sqrt(n)
            target = np.vstack([math.sqrt(n) * mean[None, d:], target])
        return solve_least_squares(w, target, np.maximum(rest, 0)), _condition(w)


def _cholesky(moments: Floats, cross: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """``W`` of full row rank with ``W'W = moments``, and ``W'⁺ cross``; pivots that are rounding are left out."""
    diagonal = np.diagonal(moments)
    constant = diagonal <= _CONSTANT**2 * squares
    scale = np.where(constant, 1.0, np.sqrt(np.where(constant, 1.0, diagonal)))
    scaled = np.where(constant[:, None] | constant[None, :], 0.0, moments / np.outer(scale, scale))
    d = len(scale)
    upper, pivots, rank, _ = dpstrf(scaled, tol=max(ROUNDING, d * np.finfo(float).eps))
    order = pivots - 1
    upper = np.triu(upper)[:rank]
    w = np.empty((rank, d))
    w[:, order] = upper
    target = (cross / scale[:, None])[order[:rank]]
    if rank:
        target = solve_triangular(upper[:, :rank], target, trans="T")
    return w * scale, target


def _condition(w: Floats) -> float:
    norms = np.sqrt(np.square(w).sum(axis=0))
    if len(w) < w.shape[1] or not norms.all():
        return math.inf
    sigma = svdvals(w / norms)
    return float(sigma[0] / sigma[-1]) if sigma[-1] > 0 else math.inf
