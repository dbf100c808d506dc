"""The exact solution by conjugate gradients, preconditioned with the factor of a sketch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from matropy.recovery._least_squares import Factor
from matropy.recovery._rows import Floats

__all__ = ["Refined", "refine"]

Pieces = Callable[[], Iterator[tuple[Any, Floats]]]

_TOLERANCE = 1e-13
_MOST_ITERATIONS = 200
_ORTHOGONAL, _ROUNDING = 1e-8, 1e-12


@dataclass(frozen=True)
class Refined:
    """The full-data solution.

    Attributes
    ----------
    solution : array, shape (d, k)
    residual : array, shape (k,)
        Squared norms of the residuals.
    n_iter : int
        Passes over the rows that took a step.
    """

    solution: Floats
    residual: Floats
    n_iter: int


def refine(pieces: Pieces, start: Floats, factor: Factor, *, intercept: bool) -> Refined:
    r"""Minimize :math:`\|Ax-b\|` by conjugate gradients on the normal equations of :math:`AK`.

    ``K`` is the pseudo-inverse of the factor of the sketch, so the condition number of ``AK`` is about
    :math:`(1+\sqrt{d/m})/(1-\sqrt{d/m})` and the error falls by about :math:`\sqrt{d/m}` a step. One pass over the rows
    a step, none of the length of the data is kept. Every target has a step length of its own.

    Parameters
    ----------
    pieces : callable
        Gives the rows again, as pieces of the design (without the column of ones) and of the targets.
    start : array, shape (d, k)
        The sketched solution: from zero the iteration loses digits.
    factor : Factor
    intercept : bool
        Whether a column of ones is in front of the design.
    """
    solution, n_iter = start, 0
    for _ in range(2):  # the second time from a residual that is computed anew
        residual = _residual(pieces, solution, intercept)
        step, taken, converged = _conjugate_gradients(pieces, factor, residual, intercept)
        solution = solution + factor.apply(step)
        n_iter += taken
        if not converged:
            break
    residual = _residual(pieces, solution, intercept)
    if not (converged and residual.is_orthogonal(factor.norms)):
        warnings.warn(
            f"the refinement has not converged in {n_iter} iterations: take more sketch rows",
            ConvergenceWarning,
            stacklevel=5,
        )
    return Refined(solution, residual.squares, n_iter)


@dataclass(frozen=True)
class _Residual:
    """Of ``r = b - A x``: ``A' r``, the squared norms of ``r``, and those of ``b``."""

    gradient: Floats
    squares: Floats
    targets: Floats

    def is_orthogonal(self, norms: Floats) -> bool:
        """Whether no column, of these norms, explains more of the residual than rounding would."""
        cosines = np.abs(self.gradient) / np.where(norms > 0, norms, 1.0)[:, None]
        least = _ORTHOGONAL * np.sqrt(self.squares) + _ROUNDING * np.sqrt(self.targets)
        return bool((cosines <= least).all())


def _residual(pieces: Pieces, x: Floats, intercept: bool) -> _Residual:
    gradient, squares, targets = np.zeros_like(x), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for rows, target in pieces():
        residual = target - _forward(rows, x, intercept)
        gradient += _backward(rows, residual, intercept)
        squares += np.square(residual).sum(axis=0)
        targets += np.square(target).sum(axis=0)
    return _Residual(gradient, squares, targets)


def _conjugate_gradients(
    pieces: Pieces, factor: Factor, start: _Residual, intercept: bool
) -> tuple[Floats, int, bool]:
    s = factor.apply_transpose(start.gradient)
    y, p = np.zeros_like(s), s
    gamma, squares = np.square(s).sum(axis=0), start.squares
    rounding = np.finfo(float).eps ** 2 * start.targets
    for iteration in range(_MOST_ITERATIONS):
        going = gamma > np.maximum(_TOLERANCE**2 * squares, rounding)
        if not going.any():
            return y, iteration, True
        w = factor.apply_transpose(_normal_product(pieces, factor.apply(p), intercept))
        alpha = np.where(going, gamma / np.where(going, (p * w).sum(axis=0), 1.0), 0.0)
        y, s = y + alpha * p, s - alpha * w
        squares = squares - alpha * gamma
        fresh = np.square(s).sum(axis=0)
        p = s + np.where(going, fresh / np.where(going, gamma, 1.0), 0.0) * p
        gamma = fresh
    return y, _MOST_ITERATIONS, False


def _normal_product(pieces: Pieces, z: Floats, intercept: bool) -> Floats:
    """``A'A z`` in one pass."""
    product = np.zeros_like(z)
    for rows, _ in pieces():
        product += _backward(rows, _forward(rows, z, intercept), intercept)
    return product


def _forward(rows: Any, x: Floats, intercept: bool) -> Floats:
    return np.asarray(x[0] + rows @ x[1:] if intercept else rows @ x)


def _backward(rows: Any, r: Floats, intercept: bool) -> Floats:
    back = np.asarray(rows.T @ r)
    return np.vstack([r.sum(axis=0), back]) if intercept else back
