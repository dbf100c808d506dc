"""The Vendi score where an exact spectrum costs too much, with the error that is left."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

from matropy._core._validation import Array, check_choice, check_integer, scalar
from matropy.entropy import hill_number
from matropy.linalg import Estimate, Gram, stochastic_lanczos_quadrature
from matropy.linalg._symmetric_operator import SymmetricOperator, symmetric_operator
from matropy.linalg._tridiagonal import symmetric_eigenvalues
from matropy.metrics._vendi._fourier import fourier_score
from matropy.metrics._vendi._items import (
    FeatureItems,
    Items,
    Kernel,
    checked_rows,
    checked_weights,
    make_items,
    second_moments,
    tolerance_of,
)
from matropy.metrics._vendi._spectrum import (
    check_semidefinite,
    checked_orders,
    cleaned,
    spectrum,
    weighted,
)
from matropy.metrics.kernels._vectors import checked_sigma

__all__ = ["vendi_score_estimate"]


def vendi_score_estimate(
    x: Any,
    *,
    method: Literal["slq", "rff", "nystrom", "truncated"] = "slq",
    kernel: Kernel = "cosine",
    order: float = 1.0,
    weights: Array | None = None,
    sigma: float | Literal["median"] = "median",
    normalize: bool = False,
    n_features: int = 1024,
    extrapolate: bool = True,
    rank: int = 64,
    n_probes: int = 8,
    steps: int = 20,
    rng: int | np.random.Generator | None = None,
) -> Estimate:
    r"""Vendi score from part of the spectrum, from random features or from landmarks.

    - ``"slq"``: stochastic Lanczos quadrature of the kernel matrix, which is formed and kept. The ``rank`` largest
      eigenpairs count exactly, ``n_probes`` random vectors see the rest. Ten times faster than all eigenvalues at
      :math:`n=5000`, within 1 %, and the only route with a standard error.
    - ``"rff"``: random Fourier features of ``"rbf"``, streamed: memory is :math:`(2r)^2` whatever n is. Low by
      construction; ``extrapolate`` removes the term in :math:`1/r` with
      :math:`2\ln\mathrm{VS}_r-\ln\mathrm{VS}_{r/2}`, from the same pass.
    - ``"nystrom"``: ``n_features`` items are landmarks :math:`L`, and the kernel becomes
      :math:`K_{nL}K_{LL}^{+}K_{Ln}`. Low too: it tends to the truncated score.
    - ``"truncated"``: the ``rank`` = t largest eigenvalues, each with a t-th of what the others sum to. Another, smaller
      number than the Vendi score; it converges with a number of items proportional to t.

    Parameters
    ----------
    x, kernel, weights, sigma, normalize
        As for :func:`vendi_score`, without a Gram. For ``"slq"`` and ``"truncated"`` a precomputed kernel may be a
        :class:`scipy.sparse.linalg.LinearOperator`, of which ones on the diagonal are taken for granted.
    method : {"slq", "rff", "nystrom", "truncated"}
    order : float
        One order; ``"slq"`` takes positive finite ones.
    n_features : int
        Frequencies r of ``"rff"``, even if extrapolated, each a cosine and a sine; landmarks of ``"nystrom"``.
    extrapolate : bool
        Of ``"rff"``.
    rank : int
        Eigenpairs that ``"slq"`` deflates; t of ``"truncated"``.
    n_probes, steps : int
        Of ``"slq"``, see :func:`matropy.linalg.stochastic_lanczos_quadrature`.
    rng : int or Generator, optional
        Draws frequencies, landmarks, probes, and the rows for the median distance.

    Returns
    -------
    Estimate
        Effective number of items; the standard error is None but for ``"slq"``, where it is that of the trace carried
        through the exponential.

    Raises
    ------
    ValueError, TypeError
        As :func:`vendi_score`; for ``"rff"`` with another kernel than ``"rbf"``; for numbers out of range.

    References
    ----------
    S. Ubaru, J. Chen, Y. Saad, 2017 (slq); A. Ospanov, J. Zhang, M. Jalali, X. Cao, A. Bogdanov, F. Farnia, 2024
    (Fourier features); A. Ospanov, F. Farnia, 2025 (truncated).

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.metrics import vendi_score, vendi_score_estimate
    >>> rows = np.random.default_rng(0).normal(size=(600, 5))
    >>> exact = vendi_score(rows, kernel="rbf")
    >>> estimate = vendi_score_estimate(rows, kernel="rbf", rng=0)
    >>> bool(abs(estimate.value / exact - 1) < 0.01)
    True
    """
    check_choice(method, "method", ("slq", "rff", "nystrom", "truncated"))
    (q, *others), single = checked_orders(order)
    if not single or others:
        raise ValueError(f"order must be one number, got {order!r}")
    if method == "slq" and not 0 < q < math.inf:
        raise ValueError(
            f"order must be positive and finite for method='slq', got {q:g}; vendi_score takes any"
        )
    if isinstance(x, Gram):
        raise TypeError(
            "an estimate needs the items, which a Gram does not keep; vendi_score takes it, exactly"
        )
    n_features = check_integer(n_features, "n_features", low=1)
    rank = check_integer(rank, "rank", low=0 if method == "slq" else 1)
    # Without a seed the bandwidth is that of vendi_score.
    generator = np.random.default_rng(rng)
    of_median = None if rng is None else generator
    if method == "rff":
        rows = _fourier_rows(x, kernel, n_features, extrapolate)
        scale = checked_sigma(sigma, rows, of_median)
        return Estimate(fourier_score(rows, scale, q, weights, n_features, extrapolate, generator), None)
    if isinstance(x, LinearOperator):
        operator = _given_operator(x, kernel, weights, method)
    else:
        items = make_items(x, kernel, sigma=sigma, normalize=normalize, rng=of_median)
        p = checked_weights(weights, items.n, items.like)
        if method == "nystrom":
            return _nystrom(items, p, q, min(n_features, items.n), generator)
        if method == "truncated" and (isinstance(items, FeatureItems) or not is_numpy_array(items.like)):
            return _truncated(spectrum(items, p), q, rank)
        operator = _matrix_operator(items, p)
        if method == "truncated" and not items.semidefinite:
            check_semidefinite(operator.matrix, tolerance_of(items.like))
    if method == "truncated":
        return _truncated(_largest(operator, rank, generator), q, rank)
    return _quadrature(operator, q, rank=rank, n_probes=n_probes, steps=steps, rng=generator)


def _quadrature(operator: SymmetricOperator, order: float, **options: Any) -> Estimate:
    r"""Estimate :math:`T=\sum_i(\lambda_i^q-\lambda_i)/(1-q)`, which is the entropy at order 1 and smooth through it.

    :math:`\mathrm{VS}_q=(1+(1-q)T)^{1/(1-q)}`, and the error goes through its derivative.
    """
    squared_norm = None
    if operator.matrix is not None:
        squared_norm = scalar(operator.xp.linalg.matrix_norm(operator.matrix)) ** 2
    # The sum of squares of eigenvalues that sum to one is at most the largest of them.
    noise = operator.size * float(np.finfo(float).eps) * (squared_norm or 1.0)

    def function(eigenvalues: NDArray[np.float64]) -> NDArray[np.float64]:
        smallest = float(np.min(eigenvalues, initial=0.0))
        if smallest < -1e-5:
            raise ValueError(
                f"the kernel is not positive semidefinite: K/n has an eigenvalue near {smallest:.3g}"
            )
        real = eigenvalues > noise
        logarithm = np.log(np.where(real, eigenvalues, 1.0))
        if order == 1:
            return np.where(real, -eigenvalues * logarithm, 0.0)
        return np.where(real, eigenvalues * np.expm1((order - 1) * logarithm) / (1 - order), 0.0)

    entropy = stochastic_lanczos_quadrature(
        operator, function, trace=1.0, squared_norm=squared_norm, **options
    )
    if order == 1:
        score = slope = math.exp(entropy.value)
    else:
        power_sum = 1 + (1 - order) * entropy.value
        score = power_sum ** (1 / (1 - order))
        slope = score / power_sum
    return Estimate(score, slope * (entropy.standard_error or 0.0))


def _fourier_rows(x: Any, kernel: Kernel, n_features: int, extrapolate: bool) -> Array:
    if kernel != "rbf":
        raise ValueError(f"method='rff' is for kernel='rbf', got {kernel!r}")
    if extrapolate and n_features % 2:
        raise ValueError(f"n_features must be even to be extrapolated, got {n_features}")
    return checked_rows(x)


def _nystrom(
    items: Items, p: Array | None, order: float, landmarks: int, rng: np.random.Generator
) -> Estimate:
    chosen = np.sort(rng.choice(items.n, landmarks, replace=False))
    among = items.block(chosen, chosen)
    xp = array_namespace(among)
    values, vectors = xp.linalg.eigh(among)
    if scalar(values[0]) < -tolerance_of(items.like) * landmarks:
        raise ValueError(
            f"the kernel is not positive semidefinite: among the landmarks it has an eigenvalue {scalar(values[0]):.3g}"
        )
    kept = values > 1e-10 * values[-1]
    root = vectors[:, kept] / xp.sqrt(values[kept])

    def features() -> Iterator[Array]:
        step = max(1, 2**22 // landmarks)
        for start in range(0, items.n, step):
            yield items.block(slice(start, start + step), chosen) @ root

    eigenvalues = second_moments(features(), p, root.shape[1]).eigenvalues()
    # What the landmarks miss of the diagonal is spread over all directions, as in the truncated score.
    return _truncated(eigenvalues, order, eigenvalues.shape[0])


def _truncated(eigenvalues: Array, order: float, t: int) -> Estimate:
    r"""Score of :math:`\lambda_i+(1-\sum_{j\le t}\lambda_j)/t`, :math:`i\le t`."""
    xp = array_namespace(eigenvalues)
    largest = eigenvalues[:t]
    missing = max(0.0, 1 - scalar(xp.sum(largest)))
    completed = cleaned(largest + missing / largest.shape[0], len(eigenvalues) * float(np.finfo(float).eps))
    return Estimate(scalar(hill_number(completed, order)), None)


def _largest(operator: SymmetricOperator, t: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The ``t`` largest eigenvalues of a NumPy operator, falling."""
    n = operator.size
    if t > n // 50:
        # All eigenvalues are no dearer than many of them one product with a vector at a time.
        matrix = operator.apply(np.eye(n)) if operator.matrix is None else operator.matrix
        return np.asarray(symmetric_eigenvalues(matrix)[::-1])
    products = LinearOperator((n, n), matvec=lambda v: operator.apply(v.reshape(n, 1))[:, 0], dtype=float)
    values = eigsh(products, k=t, which="LA", v0=rng.standard_normal(n), return_eigenvectors=False)
    return np.sort(values)[::-1]


def _matrix_operator(items: Items, p: Array | None) -> SymmetricOperator:
    matrix = weighted(items.block(slice(None)), p)
    matrix = matrix.detach() if hasattr(matrix, "detach") else matrix
    return SymmetricOperator(items.n, lambda v: matrix @ v, matrix[:0, 0], matrix)


def _given_operator(
    x: LinearOperator, kernel: Kernel, weights: Array | None, method: str
) -> SymmetricOperator:
    if kernel != "precomputed":
        raise ValueError(f"a LinearOperator is a kernel: it needs kernel='precomputed', got {kernel!r}")
    if method == "nystrom":
        raise ValueError("method='nystrom' needs entries of the kernel, which a LinearOperator does not give")
    given = symmetric_operator(x)
    p = checked_weights(weights, given.size, given.like)
    root = np.full(given.size, given.size**-0.5) if p is None else np.sqrt(p)
    return SymmetricOperator(given.size, lambda v: root[:, None] * given.apply(root[:, None] * v), given.like)
