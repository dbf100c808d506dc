"""The steps that the measures of hidden states are made of, in the order in which they run.

They take and give whole batches. Those that do not check never look at a value, so a device is not waited for; what
is not defined comes out as NaN, and the callers decide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add, or_
from typing import Any

import numpy as np
from array_api_compat import is_numpy_array
from numpy.typing import NDArray

from matropy._core._validation import Array, check_array, check_finite, scalar
from matropy.linalg import Gram
from matropy.linalg._norms import gram_eigenvalues, small_gram, small_gram_triangle, square_root
from matropy.linalg._tridiagonal import raw_and_centered_eigenvalues, symmetric_eigenvalues

_BLOCK = 2**19
"""States in a block: what a cache holds, where fresh memory for whole matrices would cost more than the arithmetic."""


@dataclass(frozen=True)
class Rows:
    """Hidden states ``x (..., N, d)`` with zeros in masked rows, and their ``count (...)`` of tokens."""

    x: Array
    keep: Array | None
    count: Array
    xp: Any

    @cached_property
    def mean(self) -> Array:
        """The mean token, (..., 1, d)."""
        # A product with ones, since torch takes three times as long to sum over rows.
        ones = self.xp.ones((1, self.x.shape[-2]), dtype=self.x.dtype, device=self.x.device)
        return ones @ self.x / self.count[..., None, None]

    @property
    def blocks(self) -> Iterator[Rows]:
        """A few tokens at a time."""
        length = self.x.shape[-2]
        step = max(1, _BLOCK * length // math.prod(self.x.shape))
        for start in range(0, length, step):
            block = (..., slice(start, start + step), slice(None))
            yield replace(self, x=self.x[block], keep=None if self.keep is None else self.keep[block])


def make_rows(hidden: Array, mask: Array | None) -> Rows:
    """Check shapes and apply the mask."""
    x, xp = check_array(hidden, "hidden", min_ndim=2)
    if mask is None:
        count = xp.full(x.shape[:-2], float(x.shape[-2]), dtype=x.dtype, device=x.device)
        return Rows(x, None, count, xp)
    mask = xp.asarray(mask, device=x.device)
    if tuple(mask.shape) != tuple(x.shape[:-1]):
        raise ValueError(
            f"mask must have the shape of hidden without its last axis, {tuple(x.shape[:-1])}, got {tuple(mask.shape)}"
        )
    keep = xp.astype(mask, xp.bool)[..., None]
    return Rows(
        xp.where(keep, x, xp.zeros_like(x)), keep, xp.sum(xp.astype(keep[..., 0], x.dtype), axis=-1), xp
    )


def checked_rows(hidden: Array, mask: Array | None) -> Rows:
    rows = make_rows(hidden, mask)
    if scalar(rows.xp.min(rows.count)) < 2:
        raise ValueError(f"hidden must have at least two tokens, got {scalar(rows.xp.min(rows.count)):.0f}")
    # The sum is finite only if every state is, and looking at each of them takes longer than all the rest.
    if not math.isfinite(scalar(rows.xp.sum(rows.mean))):
        check_finite(rows.x, "hidden")
    return rows


def centered(rows: Rows, mean: Array | None = None) -> Array:
    """Rows less their mean, or less the given one of the whole that they are a block of."""
    x = rows.x - (rows.mean if mean is None else mean)
    return x if rows.keep is None else rows.xp.where(rows.keep, x, rows.xp.zeros_like(x))


def normalized(x: Array, rows: Rows) -> tuple[Array, Array]:
    """Rows of ``x`` over their norms, and which matrices hold a row that cannot be normalized.

    ``x`` is used up, unless it is that of ``rows`` or a gradient needs it.
    """
    divisors, degenerate = nonzero_norms(row_norms(x, rows.xp), rows, None if x is rows.x else rows.mean)
    if x is rows.x or getattr(x, "requires_grad", False):
        return x / divisors, degenerate
    x /= divisors
    return x, degenerate


def row_norms(x: Array, xp: Any) -> Array:
    """Norms (..., N, 1) of rows (..., N, d)."""
    if is_numpy_array(x):  # whose vector_norm squares into an array of the size of x
        return np.sqrt(np.vecdot(x, x))[..., None]
    return xp.linalg.vector_norm(x, axis=-1, keepdims=True)


def nonzero_norms(norms: Array, rows: Rows, subtracted: Array | None) -> tuple[Array, Array]:
    """Norms (..., N, 1) with 1 for those of no meaning, and which matrices hold such a row.

    That is a norm as small as the rounding of the row that was subtracted, or one whose square underflows.
    """
    xp = rows.xp
    numbers = xp.finfo(norms.dtype)
    least: Array = float(numbers.smallest_normal) ** 0.5
    if subtracted is not None:
        least = xp.clip(100 * float(numbers.eps) * row_norms(subtracted, xp), min=least)
    flat = norms <= least
    norms = xp.where(flat, xp.ones_like(norms), norms)
    if rows.keep is not None:
        flat = flat & rows.keep
    return norms, xp.any(flat[..., 0], axis=-1)


def unit_rows(x: Array, rows: Rows) -> Array:
    z, degenerate = normalized(x, rows)
    check_normalizable(degenerate, rows)
    return z


def check_normalizable(degenerate: Array, rows: Rows) -> None:
    if bool(rows.xp.any(degenerate)):
        raise ValueError(
            "hidden holds a token that cannot be normalized: it is zero, or equals the mean of all tokens"
            " (is one token repeated?)"
        )


def nonzero(x: Array, rows: Rows) -> Array:
    """``x`` itself, made of ``rows``, unless a matrix of it is zero or what rounding leaves of zero."""
    xp = rows.xp
    largest, raw = (xp.max(xp.max(xp.abs(part), axis=-1), axis=-1) for part in (x, rows.x))
    if bool(xp.any(largest <= 100 * float(xp.finfo(x.dtype).eps) * raw)):
        raise ValueError("hidden is zero, or all its tokens are the same: it has no spectrum")
    return x


def positions(rows: Rows) -> Array:
    return rows.xp.arange(min(rows.x.shape[-2:]), dtype=rows.x.dtype, device=rows.x.device)


def largest_rank(rows: Rows) -> Array:
    """The largest possible rank, min(N, d), with an axis for the spectrum."""
    return rows.xp.clip(rows.count, max=float(rows.x.shape[-1]))[..., None]


def degrees_of_freedom(rows: Rows) -> Array:
    """The largest possible rank after centering, min(N - 1, d)."""
    return rows.xp.clip(rows.count - 1, max=float(rows.x.shape[-1]))


def unit_column_squares(rows: Rows) -> Array:
    """Squared column norms (..., d) of the centered and normalized rows, which are never there all at once."""
    xp = rows.xp
    totals, degenerate = [], []
    for block in rows.blocks:
        squares = squared(centered(block, rows.mean))
        norms = root(xp.sum(squares, axis=-1, keepdims=True), xp)
        norms, flat = nonzero_norms(norms, block, rows.mean)
        totals.append(((1 / (norms * norms)).mT @ squares)[..., 0, :])
        degenerate.append(flat)
    check_normalizable(reduce(or_, degenerate), rows)
    return reduce(add, totals)


def squared(x: Array) -> Array:
    """Squares of numbers that nobody else looks at: in their place, unless a gradient needs them."""
    if getattr(x, "requires_grad", False):
        return x * x
    if hasattr(
        x, "square_"
    ):  # of torch, whose forward mode follows no product of an array with itself in its place
        return x.square_()
    x *= x
    return x


def column_norm_sum(z: Array, rows: Rows) -> Array:
    # vector_norm along columns is an order of magnitude slower in torch.
    blocks = [block.x for block in replace(rows, x=z).blocks] if is_numpy_array(z) else [z]
    return largest_norm_sum(sum(rows.xp.sum(block * block, axis=-2) for block in blocks), rows)


def largest_norm_sum(squares: Array, rows: Rows, top: int | None = None) -> Array:
    xp = rows.xp
    norms, ceiling = root(squares, xp), min(rows.x.shape[-2:])
    if top is not None or rows.keep is not None or ceiling < norms.shape[-1]:
        norms = _falling(norms, ceiling if top is None else top, xp)
    if top is None and rows.keep is not None:
        norms = xp.where(positions(rows) < largest_rank(rows), norms, xp.zeros_like(norms))
    return xp.sum(norms, axis=-1) / rows.count


def _falling(x: Array, count: int, xp: Any) -> Array:
    """The ``count`` largest, falling."""
    if hasattr(xp, "topk"):  # of torch, which sorts slowly
        return xp.topk(x, count, dim=-1).values
    return xp.sort(x, axis=-1, descending=True)[..., :count]


def root(squares: Array, xp: Any) -> Array:
    """Square root with a slope of zero at zero, like that of a norm."""
    return xp.sqrt(xp.clip(squares, min=float(xp.finfo(squares.dtype).smallest_normal)))


def unit_spectrum(z: Array, rows: Rows) -> Array:
    """Eigenvalues of the smaller Gram matrix of ``z`` over their sum, falling.

    The product is in the precision of the states; eigenvalues of sides up to 512 are found in float64, where
    that costs little and keeps the tail.
    """
    xp = rows.xp
    if is_numpy_array(z) and z.ndim == 2:
        return unit_eigenvalues(z, double_up_to=512)
    gram = small_gram(z)
    if gram.shape[-1] <= 512:
        gram = xp.astype(gram, xp.float64)
    eigenvalues = gram_eigenvalues(gram, xp)
    eigenvalues = eigenvalues / xp.sum(eigenvalues, axis=-1, keepdims=True)
    return xp.astype(eigenvalues, z.dtype)


def unit_eigenvalues(z: NDArray[Any], *, double_up_to: int) -> NDArray[Any]:
    """:func:`unit_spectrum` of one matrix, shape (min(N, d),), in float64 up to the given side."""
    triangle = small_gram_triangle(merged(z))
    if len(triangle) <= double_up_to:
        triangle = triangle.astype(np.float64)
    eigenvalues = np.maximum(symmetric_eigenvalues(triangle, overwrite=True)[::-1], 0.0)
    total = eigenvalues.sum()
    spectrum = np.zeros(min(z.shape), z.dtype)
    spectrum[: len(eigenvalues)] = eigenvalues / total if total > 0 else math.nan
    return spectrum


def merged(z: NDArray[Any]) -> NDArray[Any]:
    """Rows of the same second moments without repetitions: what occurs k times stands there once, times the root of k.

    Embeddings of repeated tokens would leave eigenvalues that are zero but for rounding, whose roots add up.
    """
    # The bits of the first few features tell rows apart at a fraction of the cost of comparing whole ones.
    keys = np.ascontiguousarray(z[:, : max(1, 8 // z.itemsize)])
    keys = keys.view(np.uint64 if keys[0].nbytes == 8 else np.uint32)[:, 0]
    if len(np.unique(keys)) == len(keys):
        return z
    _, first, place, times = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    if not np.array_equal(z[first[place]], z):
        return z
    once: NDArray[Any] = z[first] * np.sqrt(times).astype(z.dtype)[:, None]
    return once


def raw_spectrum(x: Array, rows: Rows) -> Array:
    """Eigenvalues of the smaller Gram matrix of raw states, in float64: a few directions outweigh the rest there."""
    return gram_eigenvalues(small_gram(rows.xp.astype(x, rows.xp.float64)), rows.xp)


def raw_and_centered_spectra(rows: Rows) -> tuple[Array, Array]:
    """:func:`raw_spectrum` of the states as they are and about their mean, from one product."""
    xp = rows.xp
    x = xp.astype(rows.x, xp.float64)
    if is_numpy_array(x) and x.ndim == 2:
        return raw_and_centered_eigenvalues(x)
    gram = small_gram(x)
    count = xp.astype(rows.count, xp.float64)[..., None, None]
    if x.shape[-2] <= x.shape[-1]:
        ones = xp.ones_like(x[..., :1]) if rows.keep is None else xp.astype(rows.keep, xp.float64)
        del x
        means = gram @ ones / count
        shift = means @ ones.mT
        centered_gram = gram - shift - shift.mT + (ones.mT @ means / count) * (ones @ ones.mT)
    else:
        mean = xp.sum(x, axis=-2, keepdims=True) / count
        centered_gram = gram - count * (mean.mT @ mean)
    return gram_eigenvalues(gram, xp), gram_eigenvalues(centered_gram, xp)


def streamed_spectrum(gram: Gram, mask: Array | None, *, center: bool, normalize: str | None) -> Array:
    if mask is not None:
        raise ValueError("mask applies to an array of hidden states, not to a Gram")
    if center and normalize:
        raise ValueError(
            "a Gram cannot hold rows that are centered and then normalized, since the mean is only known at the end:"
            " give the array, or ask for center=False or normalize=None"
        )
    for name, wanted in (("center", center), ("normalize", normalize)):
        if getattr(gram, name) != wanted:
            raise ValueError(
                f"the Gram was made with {name}={getattr(gram, name)!r}; this needs {name}={wanted!r}"
            )
    eigenvalues = gram.eigenvalues()
    total = eigenvalues.sum()
    if not total > 0:
        raise ValueError("the Gram is zero: it has no spectrum")
    return eigenvalues / total


def nuclear_norm_of(spectrum: Array, rows: Rows) -> Array:
    # The singular values of Z are sqrt(N lambda). Beyond the largest possible rank there is nothing but rounding,
    # whose square roots would add up.
    within = positions(rows) < degrees_of_freedom(rows)[..., None]
    roots = square_root(rows.xp.where(within, spectrum, rows.xp.zeros_like(spectrum)), rows.xp)
    return rows.xp.sum(roots, axis=-1) / rows.xp.sqrt(rows.count)


def rankme_of(eigenvalues: Array, within: Array, xp: Any) -> Array:
    sigma = square_root(xp.where(within, eigenvalues, xp.zeros_like(eigenvalues)), xp)
    p = sigma / xp.sum(sigma, axis=-1, keepdims=True) + 1e-7
    return xp.exp(-xp.sum(xp.where(within, p * xp.log(p), xp.zeros_like(p)), axis=-1))


def mean_cosine(rows: Rows) -> tuple[Array, Array]:
    norms, zero = nonzero_norms(row_norms(rows.x, rows.xp), rows, None)
    total = ((1 / norms).mT @ rows.x)[..., 0, :]
    n = rows.count
    return (rows.xp.sum(total * total, axis=-1) - n) / (n * (n - 1)), zero


def spectral_decay(eigenvalues: Array, degrees: Array, k_min: int, k_max: int, xp: Any) -> Array:
    like = {"dtype": eigenvalues.dtype, "device": eigenvalues.device}
    k = xp.arange(1, eigenvalues.shape[-1] + 1, **like)
    last = xp.clip(xp.floor(xp.astype(degrees, eigenvalues.dtype) / 2), max=float(k_max))[..., None]
    used = (k >= k_min) & (k <= last) & (eigenvalues > 1e-14 * eigenvalues[..., :1])
    weight = xp.where(used, 1 / k, xp.zeros_like(eigenvalues))
    log_k = xp.log(k)
    log_lambda = xp.log(xp.where(used, eigenvalues, xp.ones_like(eigenvalues)))
    total = xp.sum(weight, axis=-1, keepdims=True)
    total = xp.where(total > 0, total, xp.ones_like(total))
    log_k = log_k - xp.sum(weight * log_k, axis=-1, keepdims=True) / total
    spread = xp.sum(weight * log_k * log_k, axis=-1)
    covariance = xp.sum(weight * log_k * log_lambda, axis=-1)
    points = xp.sum(xp.astype(used, eigenvalues.dtype), axis=-1)
    undefined = xp.full(spread.shape, math.nan, **like)
    return xp.where(points >= 2, -covariance / xp.where(spread > 0, spread, xp.ones_like(spread)), undefined)
