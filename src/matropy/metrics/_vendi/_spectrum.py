"""From items to the eigenvalues of their weighted kernel, by the route that costs least."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from numbers import Real
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace, is_numpy_array

from matropy._core._validation import Array, scalar
from matropy.entropy import hill_number
from matropy.linalg import Gram
from matropy.linalg._tridiagonal import symmetric_eigenvalues
from matropy.metrics._vendi._items import FeatureItems, Items, second_moments, tolerance_of

__all__ = [
    "answer",
    "check_semidefinite",
    "checked_orders",
    "cleaned",
    "gram_spectrum",
    "power_sums",
    "scores_of",
    "spectrum",
    "weighted",
]

Method = Literal["auto", "eigh", "dual"]
PSD = Literal["raise", "clip"]
_PIECE = 2**22
_SMALL = 128
"""Below this many items all eigenvalues cost no more than the largest one."""


def checked_orders(order: float | Sequence[float]) -> tuple[list[float], bool]:
    """Orders as numbers, and whether there was only one."""
    given: Any = order.tolist() if hasattr(order, "tolist") else order
    single = not isinstance(given, list | tuple)
    orders = [given] if single else list(given)
    if not orders:
        raise ValueError("order is empty")
    for q in orders:
        if isinstance(q, bool) or not (isinstance(q, Real) and float(q) >= 0):
            raise ValueError(f"order must be a number >= 0 (infinity allowed), got {q!r}")
    return [float(q) for q in orders], single


def spectrum(items: Items, p: Array | None, *, method: Method = "auto", psd: PSD = "raise") -> Array:
    r"""Eigenvalues of :math:`\mathrm{diag}(\sqrt p)K\,\mathrm{diag}(\sqrt p)`, falling, float64, of sum one.

    With explicit features :math:`K=FF^\top` they are those of :math:`F^\top\mathrm{diag}(p)F`, which is smaller where
    there are fewer columns than items.
    """
    featured = isinstance(items, FeatureItems)
    if method == "dual" and not featured:
        raise ValueError("method='dual' needs a kernel with explicit features: 'cosine', 'linear' or 'ngram'")
    if isinstance(items, FeatureItems) and (method == "dual" or (method == "auto" and items.width < items.n)):
        gram = second_moments(items.unit_blocks(), p, items.width)
        return cleaned(gram.eigenvalues(), max(items.n, items.width) * items.epsilon)
    matrix = weighted(items.block(slice(None)), p)
    xp = array_namespace(matrix)
    if is_numpy_array(matrix):
        eigenvalues: Any = symmetric_eigenvalues(matrix)[::-1]
    else:
        eigenvalues = xp.flip(xp.linalg.eigvalsh(matrix), axis=0)
    clips = psd == "clip" and not items.semidefinite
    if not items.semidefinite and psd == "raise":
        smallest = scalar(eigenvalues[-1])
        if smallest < -tolerance_of(items.like):
            raise ValueError(indefinite(f"smallest eigenvalue of K/n {smallest:.3g}"))
    return cleaned(eigenvalues, items.n * items.epsilon, rescales=clips)


def gram_spectrum(gram: Gram) -> Array:
    """Eigenvalues of streamed unit rows."""
    if gram.center:
        raise ValueError("the Gram was made with center=True; the Vendi score needs center=False")
    eigenvalues = gram.eigenvalues()
    total = float(eigenvalues.sum())
    if abs(total - 1) > 1e-6:
        raise ValueError(
            f"the Gram must hold unit rows: its trace is {total * gram.count:.9g} for {gram.count} rows; "
            "make it with normalize='rows'"
        )
    return cleaned(eigenvalues, max(gram.count, gram.n_features) * float(np.finfo(float).eps))


def power_sums(items: Items, p: Array | None, orders: Sequence[float], psd: PSD) -> dict[float, Array] | None:
    r"""Scores of orders 2, 3 and infinity without all eigenvalues, or None where that cannot be.

    :math:`\sum\lambda^2=\|M\|_F^2` by blocks of rows, :math:`\sum\lambda^3=\mathrm{tr}M^3` by one product of matrices,
    and the largest eigenvalue by Lanczos iteration. A matrix or function must first be shown to be positive
    semidefinite, by a Cholesky factorization.
    """
    if not set(orders) <= {2.0, 3.0, math.inf} or (psd == "clip" and not items.semidefinite):
        return None
    if math.inf in orders and (items.n < _SMALL or not is_numpy_array(items.like)):
        return None
    whole = None
    if set(orders) != {2.0} or not items.semidefinite:
        whole = weighted(items.block(slice(None)), p)
        if not items.semidefinite:
            check_semidefinite(whole, tolerance_of(items.like))
    scores: dict[float, Array] = {}
    step = max(1, _PIECE // items.n)
    squares, cubes = [], []
    for start in range(0, items.n, step):
        rows = slice(start, start + step)
        block = _weighted_rows(items, p, rows) if whole is None else whole[rows]
        xp = array_namespace(block)
        squares.append(xp.sum(block * block))
        if 3.0 in orders:
            cubes.append(xp.sum((block @ whole) * block))
    scores[2.0] = 1 / sum(squares)
    if cubes:
        scores[3.0] = sum(cubes) ** -0.5
    if math.inf in orders:
        from scipy.sparse.linalg import eigsh

        start_vector = np.random.default_rng(0).standard_normal(items.n)
        (largest,) = eigsh(whole, k=1, which="LA", v0=start_vector, return_eigenvectors=False)
        scores[math.inf] = 1 / largest
    return scores


def scores_of(eigenvalues: Array, orders: Sequence[float]) -> list[Array]:
    """Hill numbers of one spectrum; the rank, at order 0, without rounding."""
    xp = array_namespace(eigenvalues)
    return [
        xp.sum(xp.astype(eigenvalues > 0, eigenvalues.dtype)) if q == 0 else hill_number(eigenvalues, q)
        for q in orders
    ]


def answer(scores: Sequence[Array], single: bool, like: Array) -> Any:
    """A float or a float64 array for NumPy, a tensor in the precision of the input for torch."""
    if is_numpy_array(like):
        values = np.asarray([float(score) for score in scores])
        return float(values[0]) if single else values
    xp = array_namespace(like)
    if is_numpy_array(scores[0]):
        values = xp.asarray(np.asarray(scores), dtype=like.dtype, device=like.device)
    else:
        values = xp.astype(xp.stack(list(scores)), like.dtype)
    return values[0] if single else values


def weighted(kernel: Array, p: Array | None) -> Array:
    r"""The matrix :math:`\mathrm{diag}(\sqrt p)K\,\mathrm{diag}(\sqrt p)`, of trace one."""
    if p is None:
        return kernel / kernel.shape[0]
    root = array_namespace(p).sqrt(p)
    return kernel * root[:, None] * root[None, :]


def _weighted_rows(items: Items, p: Array | None, rows: slice) -> Array:
    block = items.block(rows)
    if p is None:
        return block / items.n
    root = array_namespace(p).sqrt(p)
    return block * root[rows, None] * root[None, :]


def check_semidefinite(matrix: Array, tolerance: float) -> None:
    """Raise ``ValueError`` where an eigenvalue lies below ``-tolerance``, by a Cholesky factorization."""
    if is_numpy_array(matrix):
        from scipy.linalg import cholesky

        shifted = matrix.copy()
        shifted.flat[:: len(shifted) + 1] += tolerance
        factorize = partial(cholesky, shifted.T, lower=True, overwrite_a=True, check_finite=False)
    else:
        xp = array_namespace(matrix)
        shift = tolerance * xp.eye(matrix.shape[0], dtype=matrix.dtype, device=matrix.device)
        factorize = partial(xp.linalg.cholesky, matrix.detach() + shift)
    try:
        factorize()
    except (np.linalg.LinAlgError, RuntimeError) as error:
        raise ValueError(indefinite(f"K/n has an eigenvalue below {-tolerance:g}")) from error


def indefinite(what: str) -> str:
    return f"the kernel is not positive semidefinite, {what}: psd='clip' takes negative eigenvalues as zero"


def cleaned(eigenvalues: Array, noise: float, *, rescales: bool = False) -> Array:
    """Rounding, and what is negative, become zero before any power is taken; small orders would count it."""
    xp = array_namespace(eigenvalues)
    real = eigenvalues > noise * scalar(eigenvalues[0])
    kept = xp.where(real, eigenvalues, xp.zeros_like(eigenvalues))
    total = xp.sum(kept)
    # Up to rounding the sum is one already, and gradients are those of K itself; not so after clipping.
    return kept / (total if rescales else scalar(total))
