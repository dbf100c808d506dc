"""Hamming distances between packed codes: by matrix products, or by counting bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from matropy.metrics._activation_codes._packing import Words, unpack_bits

__all__ = ["Backend", "distance_blocks", "nearest_codes"]

Backend = Literal["auto", "gemm", "popcount"]

_WIDEST_PRODUCT: dict[Backend, int] = {"auto": 2048, "gemm": 1 << 24, "popcount": -1}
"""Bits of a code up to which a matrix product is taken; float32 counts exactly up to 2^24."""
_GEMM_COLUMNS = 4096
_POPCOUNT_ROWS, _POPCOUNT_COLUMNS = 4, 8192
_DISTANCES = 1 << 23


def nearest_codes(
    queries: Words, codes: Words, n_bits: int, k: int, backend: Backend
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The ``k`` codes nearest to each query, by rising distance and then by rising index: ``(distances, indices)``."""
    distances = np.empty((len(queries), k), np.int64)
    indices = np.empty((len(queries), k), np.int64)
    block = max(1, _DISTANCES // len(codes))
    for rows, found in distance_blocks(queries, codes, n_bits, block=block, backend=backend):
        farthest = np.partition(found, k - 1, axis=1)[:, k - 1 : k]
        row, column = np.divmod(np.flatnonzero(found <= farthest), len(codes))
        # Of those as far away as the last, the first ones fill what the nearer ones leave of the k.
        tied = found[row, column] == farthest[row, 0]
        first = np.searchsorted(row, np.arange(len(found)))
        tied_before = np.cumsum(tied) - tied
        free = k - np.bincount(row, weights=~tied).astype(np.int64)
        kept = ~tied | (tied_before - tied_before[first][row] < free[row])
        nearest = column[kept].reshape(-1, k)
        distance = np.take_along_axis(found, nearest, 1)
        order = np.argsort(
            distance, axis=1, kind="stable"
        )  # of equal distances the smaller index stays first
        distances[rows] = np.take_along_axis(distance, order, 1)
        indices[rows] = np.take_along_axis(nearest, order, 1)
    return distances, indices


def distance_blocks(
    left: Words, right: Words, n_bits: int, *, block: int, backend: Backend = "auto"
) -> Iterator[tuple[slice, NDArray[np.int32]]]:
    """Distances of ``block`` rows of ``left`` at a time to all rows of ``right``; the array is used again."""
    by_gemm = n_bits <= _WIDEST_PRODUCT[backend]
    columns = np.ascontiguousarray(right.T)
    distances = np.empty((min(block, len(left)), len(right)), np.int32)
    for start in range(0, len(left), block):
        rows = slice(start, min(start + block, len(left)))
        found = distances[: rows.stop - start]
        if by_gemm:
            _by_gemm(left[rows], right, n_bits, found)
        else:
            _by_popcount(left[rows], columns, n_bits, found)
        yield rows, found


def _by_gemm(left: Words, right: Words, n_bits: int, found: NDArray[np.int32]) -> None:
    """Half of w minus the product of signs; whole numbers below 2^24, so float32 is exact."""
    signs = _signs(left, n_bits)
    for start in range(0, len(right), _GEMM_COLUMNS):
        columns = slice(start, start + _GEMM_COLUMNS)
        product = signs @ _signs(right[columns], n_bits).T
        np.subtract(n_bits, product, out=product)
        np.multiply(product, 0.5, out=found[:, columns], casting="unsafe")


def _signs(packed: Words, n_bits: int) -> NDArray[np.float32]:
    """+1 where a bit is set and -1 elsewhere."""
    signs = unpack_bits(packed, n_bits).astype(np.float32)
    signs *= 2
    signs -= 1
    return signs


def _by_popcount(left: Words, columns: Words, n_bits: int, found: NDArray[np.int32]) -> None:
    """Count the bits that differ, word by word, in pieces that stay in the cache; ``columns[j]`` is word j of the codes."""
    shape = (_POPCOUNT_ROWS, _POPCOUNT_COLUMNS)
    words, bits = np.empty(shape, np.uint64), np.empty(shape, np.uint8)
    sums = np.empty(shape, np.uint16 if n_bits < 1 << 16 else np.uint32)
    for start in range(0, columns.shape[1], _POPCOUNT_COLUMNS):
        for top in range(0, len(left), _POPCOUNT_ROWS):
            piece = found[top : top + _POPCOUNT_ROWS, start : start + _POPCOUNT_COLUMNS]
            within = tuple(slice(0, size) for size in piece.shape)
            differ, count, total = words[within], bits[within], sums[within]
            total[:] = 0
            for word, code in zip(left[top : top + _POPCOUNT_ROWS].T, columns, strict=True):
                np.bitwise_xor(word[:, None], code[start : start + _POPCOUNT_COLUMNS], out=differ)
                total += np.bitwise_count(differ, out=count)
            piece[:] = total
