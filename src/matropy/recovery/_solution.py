"""Coefficients with their error bars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from matropy._core._errors import InputError
from matropy.recovery._least_squares import Factor, LeastSquares, solve_least_squares
from matropy.recovery._refinement import Refined
from matropy.recovery._rows import Floats

__all__ = ["Solution", "exact_solution", "refined_solution", "sketched_solution"]


@dataclass(frozen=True)
class Solution:
    """What a regression found, for every coefficient (the intercept is the first) and every target.

    Attributes
    ----------
    method : {"sketch", "normal"}
    coefficients : array, shape (d, k)
    sketching : array, shape (d, k)
        Standard errors against the full-data solution.
    sampling : array, shape (d, k)
        Classical standard errors of the full-data solution.
    degrees : int
        Degrees of freedom of the former.
    factor : Factor
        Of the design, or of its sketch.
    dependent : dict of int to tuple of int
        Columns that are linear combinations of earlier ones, and those ones.
    n_iter : int
        Iterations of the refinement.
    """

    method: Literal["sketch", "normal"]
    coefficients: Floats
    sketching: Floats
    sampling: Floats
    degrees: int
    factor: Factor
    dependent: dict[int, tuple[int, ...]]
    n_iter: int = 0


def exact_solution(found: LeastSquares, n: int) -> Solution:
    """From the normal equations of all ``n`` rows."""
    return Solution(
        "normal",
        found.solution,
        np.zeros_like(found.solution),
        _sampling(found.residual, found.factor.variances(), n, found.factor.rank),
        max(1, n - found.factor.rank),
        found.factor,
        found.dependent,
    )


def sketched_solution(sketched: Floats, n_targets: int, n: int) -> Solution:
    r"""From the sketch ``[SA, Sb]`` of ``n`` rows.

    :math:`E\,\|Sb-SAx'\|^2=\|r\|^2(m-d)/m` and :math:`E\,(A^\top S^\top SA)^{-1}=(A^\top A)^{-1}m/(m-d-1)` for a
    Gaussian sketch; the sampling error undoes both.
    """
    if not np.isfinite(sketched).all():
        raise InputError("the values are so large that their sums overflow")
    m, d = len(sketched), sketched.shape[1] - n_targets
    r = np.asarray(np.linalg.qr(sketched, mode="r"))
    found = solve_least_squares(r[:d, :d], r[:d, d:], np.square(r[d:, d:]).sum(axis=0))
    variances, rank = found.factor.variances(), found.factor.rank
    return Solution(
        "sketch",
        found.solution,
        np.sqrt(np.outer(variances, found.residual / (m - rank))),
        _sampling(found.residual * m / (m - rank), variances * (m - rank - 1) / m, n, rank),
        m - rank,
        found.factor,
        found.dependent,
    )


def refined_solution(sketched: Solution, refined: Refined, m: int, n: int) -> Solution:
    """The full-data solution; its residual is known, its design through the sketch with ``m`` rows."""
    rank = sketched.factor.rank
    variances = sketched.factor.variances() * (m - rank - 1) / m
    return replace(
        sketched,
        coefficients=refined.solution,
        sketching=np.zeros_like(refined.solution),
        sampling=_sampling(refined.residual, variances, n, rank),
        n_iter=refined.n_iter,
    )


def _sampling(residual: Floats, variances: Floats, n: int, rank: int) -> Floats:
    """Without a row to spare the error is unknown: infinite."""
    if n <= rank:
        return np.full((len(variances), len(residual)), np.inf)
    return np.sqrt(np.outer(variances, residual / (n - rank)))
