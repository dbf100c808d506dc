"""Traces of matrix functions by stochastic Lanczos quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matropy._core._validation import Array, check_integer, scalar
from matropy.linalg._estimate import Estimate
from matropy.linalg._lanczos import quadrature_rules
from matropy.linalg._symmetric_operator import SymmetricOperator, symmetric_operator, to_numpy

__all__ = ["stochastic_lanczos_quadrature"]

_EXACT = 0.02
"""A Ritz pair with a smaller relative residual counts as an eigenpair; the others would bias the trace."""


def stochastic_lanczos_quadrature(
    operator: object,
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    size: int | None = None,
    n_probes: int = 8,
    steps: int = 20,
    rank: int = 0,
    trace: float | None = None,
    squared_norm: float | None = None,
    rng: int | np.random.Generator | None = None,
) -> Estimate:
    r"""Trace of a function of a symmetric operator, :math:`\mathrm{tr}\,f(A)=\sum_if(\lambda_i)`, from products alone.

    Rademacher probes :math:`v` and the Gauss rules of their Lanczos matrices give
    :math:`\mathrm E\,v^\top f(A)v\approx\mathrm E\,\|v\|^2\sum_jw_jf(\theta_j)`. Two things lower the variance:

    - *Deflation.* The largest ``rank`` eigenpairs, by a randomized range finder of two passes, are taken out and the
      probes see the rest. Pairs with a residual :math:`\|Au-\theta u\|>0.02\,|\theta|` stay with the rest; smaller
      residuals are accounted for to second order.
    - *Control variates.* Of a quadratic fitted to :math:`f` at the nodes, the trace is known where that of
      :math:`A` and :math:`\|A\|_F^2` are; only the difference to :math:`f` is left to chance.

    Parameters
    ----------
    operator : array, sparse matrix, LinearOperator or callable
        As for :func:`lanczos`.
    function : callable
        From a NumPy array of nodes to the values there, elementwise.
    size : int, optional
        ``n``, needed where ``operator`` is a function.
    n_probes : int
        Probes, at least 2.
    steps : int
        Lanczos steps of each: the rule is exact for polynomials of degree ``2 steps - 1``.
    rank : int
        Largest eigenpairs to deflate; 0 for none.
    trace, squared_norm : float, optional
        :math:`\mathrm{tr}A` and :math:`\|A\|_F^2`, where known; of an array they are computed.
    rng : int or Generator, optional
        Draws the probes.

    Returns
    -------
    Estimate
        The trace; its standard error is that of the mean over probes, and 0 where everything was deflated.

    Raises
    ------
    ValueError
        As :func:`lanczos`; for fewer than two probes; for a function that is not elementwise or not finite.

    References
    ----------
    S. Ubaru, J. Chen, Y. Saad, 2017, algorithm 1; R. A. Meyer, C. Musco, C. Musco, D. P. Woodruff, 2021 (deflation);
    N. Halko, P.-G. Martinsson, J. A. Tropp, 2011, algorithm 4.4.

    Examples
    --------
    The logarithm of a determinant, its error beside the standard error:

    >>> import numpy as np
    >>> from matropy.linalg import stochastic_lanczos_quadrature
    >>> factor = np.random.default_rng(0).normal(size=(300, 400)) / 20
    >>> matrix = np.eye(300) + factor @ factor.T
    >>> estimate = stochastic_lanczos_quadrature(matrix, np.log, rng=0)
    >>> exact = np.linalg.slogdet(matrix)[1]
    >>> bool(abs(estimate.value - exact) < 4 * estimate.standard_error < 0.01 * exact)
    True
    """
    n_probes = check_integer(n_probes, "n_probes", low=2)
    steps = check_integer(steps, "steps", low=1)
    rank = check_integer(rank, "rank", low=0)
    symmetric = symmetric_operator(operator, size)
    rng = np.random.default_rng(rng)
    if symmetric.matrix is not None:
        # What is known of an array costs one look at it.
        diagonal = symmetric.xp.linalg.diagonal(symmetric.matrix)
        trace = scalar(symmetric.xp.sum(diagonal)) if trace is None else trace
        if squared_norm is None:
            squared_norm = scalar(symmetric.xp.linalg.matrix_norm(symmetric.matrix)) ** 2
    deflated = _deflate(symmetric, min(rank, symmetric.size), rng)
    exact = deflated.trace(function)
    left = symmetric.size - len(deflated.values)
    if left == 0:
        return Estimate(exact, 0.0)
    probes = symmetric.array(rng.integers(0, 2, (symmetric.size, n_probes)) * 2.0 - 1.0)
    probes = deflated.project(probes)
    nodes, weights = quadrature_rules(deflated.rest, probes, min(steps, left))
    nodes, weights = to_numpy(nodes), to_numpy(weights)
    weights = weights * to_numpy(symmetric.xp.sum(probes * probes, axis=0))[:, None]
    values = _values(function, nodes)
    moments = [float(left)]
    if trace is not None:
        moments.append(trace - float(np.sum(deflated.values)))
        if squared_norm is not None:
            moments.append(squared_norm - deflated.squared_norm)
    fitted, known = _control_variate(nodes, values, weights, moments)
    of_probe = np.sum(weights * (values - fitted), axis=1)
    return Estimate(exact + known + float(np.mean(of_probe)), float(np.std(of_probe, ddof=1) / n_probes**0.5))


@dataclass(frozen=True)
class _Deflated:
    """Eigenpairs that were found: their values, the projection onto the rest, the operator there, its share of ‖A‖².

    They are not quite exact: ``residuals`` couple each to a direction of the rest, in which the operator is ``beside``.
    """

    values: NDArray[np.float64]
    residuals: NDArray[np.float64]
    beside: NDArray[np.float64]
    project: Callable[[Array], Array]
    rest: SymmetricOperator
    squared_norm: float

    def trace(self, function: Callable[[Any], Any]) -> float:
        """Their part of the trace; the 2 x 2 matrix of a pair and its residual is right to second order in these."""
        middle, half = (
            (self.values + self.beside) / 2,
            np.hypot((self.values - self.beside) / 2, self.residuals),
        )
        apart = np.concatenate([self.values, self.beside])
        coupled = np.concatenate([middle + half, middle - half])
        return float(
            np.sum(_values(function, self.values))
            + np.sum(_values(function, coupled) - _values(function, apart))
        )


def _deflate(operator: SymmetricOperator, rank: int, rng: np.random.Generator) -> _Deflated:
    if rank == 0:
        none = np.zeros(0)
        return _Deflated(none, none, none, lambda v: v, operator, 0.0)
    xp = operator.xp
    basis = operator.array(rng.standard_normal((operator.size, rank)))
    for _ in range(2):
        basis, _ = xp.linalg.qr(operator.apply(basis))
    image = operator.apply(basis)
    small = basis.mT @ image
    values, vectors = xp.linalg.eigh((small + small.mT) / 2)
    u, image = basis @ vectors, image @ vectors
    apart = image - u * values
    residuals = xp.linalg.vector_norm(apart, axis=0)
    # In all of the space nothing is left over, however inexact an eigenpair of zero looks.
    kept = residuals <= _EXACT * xp.abs(values) if rank < operator.size else residuals == residuals
    u, image, values, apart, residuals = (
        u[:, kept],
        image[:, kept],
        values[kept],
        apart[:, kept],
        residuals[kept],
    )
    if rank == operator.size:
        residuals = beside = xp.zeros_like(values)
    else:
        apart = apart / xp.where(residuals > 0, residuals, xp.ones_like(residuals))
        beside = xp.sum(apart * operator.apply(apart), axis=0)

    def project(v: Array) -> Array:
        return v - u @ (u.mT @ v)

    rest = SymmetricOperator(operator.size, lambda v: project(operator.apply(v)), operator.like)
    share = 2 * xp.sum(image * image) - xp.sum(values * values)
    return _Deflated(to_numpy(values), to_numpy(residuals), to_numpy(beside), project, rest, scalar(share))


def _values(function: Callable[[Any], Any], nodes: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.asarray(function(nodes), dtype=float)
    if values.shape != nodes.shape:
        raise ValueError(f"function must map shape {nodes.shape} to itself, got {values.shape}")
    if not np.all(np.isfinite(values)):
        raise ValueError("function gives NaN or infinite values at the nodes")
    return values


def _control_variate(
    nodes: NDArray[np.float64],
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    moments: list[float],
) -> tuple[NDArray[np.float64], float]:
    """Fit a polynomial at the nodes by least squares in the measure of the rules; its values and its known trace.

    The variance of a probe grows with the squared distance between function and fit in this very measure.
    """
    scale = float(np.max(np.abs(nodes))) or 1.0
    powers = np.stack([(nodes / scale) ** k for k in range(len(moments))], axis=-1)
    root = np.sqrt(weights)
    coefficients = np.linalg.lstsq(
        (powers * root[..., None]).reshape(-1, len(moments)), (values * root).ravel(), rcond=None
    )[0]
    known = math.fsum(
        c * moment / scale**k for k, (c, moment) in enumerate(zip(coefficients, moments, strict=True))
    )
    return powers @ coefficients, known
