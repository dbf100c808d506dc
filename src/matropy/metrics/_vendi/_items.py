"""Items and the kernel between them: what every Vendi score is computed from.

A kernel is positive semidefinite with ones on its diagonal. Named kernels are so by construction; of matrices and
functions it is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, Protocol, cast

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj, is_numpy_array
from numpy.typing import NDArray

from matropy._core._validation import Array, check_array, check_choice, check_finite, scalar
from matropy.linalg import Gram
from matropy.linalg._symmetric_operator import check_symmetric, to_numpy
from matropy.metrics.kernels._fingerprints import tanimoto
from matropy.metrics.kernels._texts import ngram_features
from matropy.metrics.kernels._vectors import checked_sigma, is_dask, rbf, unit_rows

__all__ = [
    "FeatureItems",
    "Items",
    "Kernel",
    "array_like",
    "checked_rows",
    "checked_weights",
    "make_items",
    "row_blocks",
    "second_moments",
    "tolerance_of",
    "weighted_rows",
]

Kernel = Literal["cosine", "linear", "rbf", "tanimoto", "ngram", "precomputed"] | Callable[[Any, Any], float]
KERNELS = ("cosine", "linear", "rbf", "tanimoto", "ngram", "precomputed")
_PIECE = 2**22
"""Numbers that are float64 at a time: 32 MB."""


class Items(Protocol):
    """``n`` items.

    ``epsilon`` is the rounding of what the kernel was given in, ``semidefinite`` whether it is so by construction,
    and ``like`` an array of the library, device and precision of the answer.
    """

    @property
    def n(self) -> int: ...
    @property
    def epsilon(self) -> float: ...
    @property
    def semidefinite(self) -> bool: ...
    @property
    def like(self) -> Array: ...

    def block(self, rows: Any, columns: Any = None) -> Array:
        """Rows of the kernel matrix in float64, of all columns or of some."""

    def take(self, index: NDArray[np.intp]) -> Items:
        """Some of the items."""


def make_items(
    x: Any,
    kernel: Kernel,
    *,
    sigma: float | Literal["median"] = "median",
    normalize: bool = False,
    rng: int | np.random.Generator | None = None,
) -> Items:
    """Check ``x`` and join it to its kernel."""
    if callable(kernel):
        return _matrix_items(pairwise(x, kernel), normalize)
    check_choice(kernel, "kernel", KERNELS)
    if kernel == "precomputed":
        return _matrix_items(x.compute() if is_dask(x) else x, normalize)
    if kernel == "ngram":
        return TextItems(ngram_features(x))
    rows = checked_rows(x)
    if kernel in ("cosine", "linear"):
        return VectorItems(rows, given_unit=kernel == "linear" and not normalize)
    if kernel == "tanimoto":
        return PairItems(rows, tanimoto)
    # The bandwidth is one number for all blocks and subsets.
    return PairItems(rows, partial(rbf, sigma=checked_sigma(sigma, rows, rng)))


@dataclass(frozen=True)
class VectorItems:
    """Rows whose products are the kernel once they are unit rows."""

    rows: Array
    given_unit: bool
    semidefinite: bool = True
    epsilon: float = float(np.finfo(float).eps)

    @property
    def n(self) -> int:
        return int(self.rows.shape[0])

    @property
    def width(self) -> int:
        return int(self.rows.shape[1])

    @property
    def like(self) -> Array:
        return array_like(self.rows)

    def block(self, rows: Any, columns: Any = None) -> Array:
        left = self._unit(_part(self.rows, rows))
        if columns is None and left.shape[0] == self.n:
            return left @ left.mT
        return left @ self._unit(_part(self.rows, slice(None) if columns is None else columns)).mT

    def unit_blocks(self) -> Iterator[Array]:
        """Unit rows in float64, a few thousand at a time."""
        return (self._unit(piece) for piece in row_blocks(self.rows))

    def take(self, index: NDArray[np.intp]) -> VectorItems:
        return replace(self, rows=_part(self.rows, index))

    def _unit(self, x: Array) -> Array:
        xp = array_namespace(x)
        if not self.given_unit:
            return unit_rows(x, xp)
        tolerance = tolerance_of(self.like)
        off = scalar(xp.max(xp.abs(xp.sum(x * x, axis=1) - 1)))
        if off > tolerance:
            raise ValueError(
                "x must hold unit rows for kernel 'linear', for which the kernel has ones on its diagonal; off by up to "
                f"{off:.3g}: pass normalize=True"
            )
        return x


@dataclass(frozen=True)
class TextItems:
    """Sparse unit rows, one column an n-gram."""

    features: Any
    semidefinite: bool = True
    epsilon: float = float(np.finfo(float).eps)

    @property
    def n(self) -> int:
        return int(self.features.shape[0])

    @property
    def width(self) -> int:
        return int(self.features.shape[1])

    @property
    def like(self) -> Array:
        return np.zeros(0)

    def block(self, rows: Any, columns: Any = None) -> Array:
        right = self.features if columns is None else self.features[columns]
        return (self.features[rows] @ right.T).toarray()

    def unit_blocks(self) -> Iterator[Array]:
        """Unit rows, a few thousand at a time."""
        step = max(1, _PIECE // self.width)
        return (self.features[start : start + step].toarray() for start in range(0, self.n, step))

    def take(self, index: NDArray[np.intp]) -> TextItems:
        return replace(self, features=self.features[index])


FeatureItems = VectorItems | TextItems


@dataclass(frozen=True)
class PairItems:
    """Rows and a kernel of two blocks of them."""

    rows: Array
    kernel: Callable[..., Array]
    semidefinite: bool = True
    epsilon: float = float(np.finfo(float).eps)

    @property
    def n(self) -> int:
        return int(self.rows.shape[0])

    @property
    def like(self) -> Array:
        return array_like(self.rows)

    def block(self, rows: Any, columns: Any = None) -> Array:
        left = _part(self.rows, rows)
        if columns is None and left.shape[0] == self.n:
            return self.kernel(left)
        return self.kernel(left, _part(self.rows, slice(None) if columns is None else columns))

    def take(self, index: NDArray[np.intp]) -> PairItems:
        return replace(self, rows=_part(self.rows, index))


@dataclass(frozen=True)
class MatrixItems:
    """A kernel matrix, in float64; ``like`` remembers what it was given in."""

    matrix: Array
    like: Array
    semidefinite: bool = False

    @property
    def n(self) -> int:
        return int(self.matrix.shape[0])

    @property
    def epsilon(self) -> float:
        return float(array_namespace(self.like).finfo(self.like.dtype).eps)

    def block(self, rows: Any, columns: Any = None) -> Array:
        kernel = _indexed(self.matrix, rows)
        return kernel if columns is None else _indexed(kernel.mT, columns).mT

    def take(self, index: NDArray[np.intp]) -> MatrixItems:
        return replace(self, matrix=self.block(index, index))


def pairwise(x: Any, kernel: Callable[[Any, Any], float]) -> Array:
    """Kernel matrix of a function of two items."""
    if not hasattr(x, "__len__") or not hasattr(x, "__getitem__"):
        raise TypeError(f"x must be a sequence of items for a function as kernel, got {type(x).__name__}")
    if is_dask(x):
        x = x.compute()
    n = len(x)
    if n == 0:
        raise ValueError("x is empty: no items")
    items = [x[i] for i in range(n)]
    upper = np.triu_indices(n)
    values = [_number(kernel(items[i], items[j])) for i, j in zip(*upper, strict=True)]
    if is_array_api_obj(values[0]) and not is_numpy_array(values[0]):
        flat = array_namespace(values[0]).stack(values)
    else:
        flat = np.asarray(values)
    check_finite(flat, "the kernel")
    known = to_numpy(flat)
    for i in range(n - 1):
        # Neighbours in both orders: a function that is not symmetric does not go unnoticed.
        here = float(known[int(i * n - i * (i - 1) // 2) + 1])
        swapped = float(to_numpy(_number(kernel(items[i + 1], items[i]))))
        if not abs(swapped - here) <= tolerance_of(flat) * max(1.0, abs(here)):
            raise ValueError(
                f"kernel must be symmetric: {here:.6g} for items {i} and {i + 1}, {swapped:.6g} when swapped"
            )
    position = np.zeros((n, n), dtype=np.intp)
    position[upper] = np.arange(len(values))
    position = np.maximum(position, position.T)
    return _indexed(flat, position.ravel()).reshape((n, n))


def checked_rows(x: Any) -> Array:
    """An array of rows, as it came: a memory map stays one."""
    if not is_array_api_obj(x):
        x, _ = check_array(x, "x", min_ndim=2, max_ndim=2)
    if x.ndim != 2:
        raise ValueError(f"x must have 2 axes, got shape {tuple(x.shape)}")
    if any(size != size for size in x.shape):
        raise ValueError("x is a dask array of unknown shape: call its compute_chunk_sizes() first")
    if 0 in x.shape:
        raise ValueError(f"x is empty: shape {tuple(x.shape)}")
    array_like(x)
    return x


def row_blocks(rows: Array, *, width: int = 1) -> Iterator[Array]:
    """A few thousand rows at a time, in float64; of dask one block is there at a time.

    Fewer where each row is going to become ``width`` numbers.
    """
    chunks: Any = (rows,)
    if is_dask(rows):
        chunks = (rows.blocks[index].compute() for index in range(rows.numblocks[0]))
    for chunk in chunks:
        step = max(1, _PIECE // max(width, chunk.shape[1]))
        for start in range(0, chunk.shape[0], step):
            yield _float64(chunk[start : start + step])


def weighted_rows(blocks: Iterable[Array], p: Array | None) -> Iterator[Array]:
    r"""Rows times :math:`\sqrt{np_i}`, so that their mean second moments are weighted ones."""
    start = 0
    for rows in blocks:
        stop = start + rows.shape[0]
        yield (rows if p is None else rows * array_namespace(p).sqrt(p[start:stop, None] * p.shape[0]))
        start = stop


def second_moments(blocks: Iterable[Array], p: Array | None, width: int) -> Gram:
    """The Gram of weighted rows."""
    gram = Gram(width, side="features")
    for rows in weighted_rows(blocks, p):
        gram.update(rows)
    return gram


def checked_weights(weights: Array | None, n: int, like: Array) -> Array | None:
    r"""Probabilities of the items in their library, or None where all are equal."""
    if weights is None:
        return None
    p, xp = check_array(weights, "weights", max_ndim=1)
    if p.shape[0] != n:
        raise ValueError(f"weights must have one entry an item, {n}, got {p.shape[0]}")
    check_finite(p, "weights")
    if scalar(xp.min(p)) < 0:
        raise ValueError(f"weights must not be negative, smallest {scalar(xp.min(p)):.6g}")
    total = scalar(xp.sum(xp.astype(p, xp.float64)))
    if abs(total - 1) > 1e-6:
        raise ValueError(f"weights must sum to one, got {total:.9g}")
    if is_numpy_array(p) != is_numpy_array(like):
        xp = array_namespace(like)
        p = xp.asarray(to_numpy(p), device=like.device)
    return xp.astype(p, xp.float64, copy=False)


def tolerance_of(array: Array) -> float:
    """What counts as rounding in a kernel of this precision."""
    return 1e-5 if "float32" in str(array.dtype) or "16" in str(array.dtype) else 1e-8


def _matrix_items(kernel: Any, normalize: bool) -> MatrixItems:
    matrix, xp = check_array(kernel, "x", min_ndim=2, max_ndim=2)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"a precomputed kernel must be square, got shape {tuple(matrix.shape)}")
    check_finite(matrix, "x")
    like = matrix[:0, 0]
    tolerance = tolerance_of(matrix)
    matrix = xp.astype(matrix, xp.float64, copy=False)
    check_symmetric(matrix, "the kernel", tolerance)
    diagonal = xp.linalg.diagonal(matrix)
    if normalize:
        if scalar(xp.min(diagonal)) <= 0:
            raise ValueError(
                f"the kernel must have a positive diagonal to be normalized, smallest {scalar(xp.min(diagonal)):.3g}"
            )
        root = xp.sqrt(diagonal)
        matrix = matrix / root[:, None] / root[None, :]
    elif (off := scalar(xp.max(xp.abs(diagonal - 1)))) > tolerance:
        raise ValueError(
            f"the kernel must have ones on its diagonal, off by up to {off:.3g}: pass normalize=True"
        )
    return MatrixItems(matrix, like)


def _number(value: Any) -> Any:
    if is_array_api_obj(value):
        if value.ndim != 0:
            raise ValueError(
                f"kernel must return one number for two items, got an array of shape {tuple(value.shape)}"
            )
        return value
    if isinstance(value, bool | int | float):
        return np.float64(value)
    if hasattr(value, "__len__"):
        raise ValueError(f"kernel must return one number for two items, got {type(value).__name__}")
    raise TypeError(f"kernel must return a number, got {type(value).__name__}")


def _part(rows: Array, index: Any) -> Array:
    part = _indexed(rows, index)
    return _float64(part.compute() if is_dask(part) else part)


def _float64(part: Array) -> Array:
    part, xp = check_array(part, "x", min_ndim=2, max_ndim=2)
    check_finite(part, "x")
    return xp.astype(part, xp.float64, copy=False)


def _indexed(array: Array, index: Any) -> Array:
    if isinstance(index, slice) or is_numpy_array(array) or is_dask(array):
        return array[index]
    xp = array_namespace(array)
    return xp.take(array, xp.asarray(index, device=array.device), axis=0)


def array_like(rows: Array) -> Array:
    """An empty array of the library, device and precision of an answer."""
    first = np.zeros(1, rows.dtype) if is_dask(rows) else rows[:1]
    like = cast(Array, check_array(first, "x")[0]).reshape(-1)[:0]
    return np.zeros(0) if is_numpy_array(like) else like
