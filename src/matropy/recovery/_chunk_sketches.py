r"""What one chunk of rows adds to a sketch, for every kind of sketch.

The rows of a stream are numbered from 0 and cut into chunks of :math:`c=2^p`. Chunk ``q`` adds
:math:`S_qZ_q` with an ``m x c`` matrix that is a function of the seed, ``q`` and the row alone. All are scaled so that
:math:`E\,S^\top S=I`.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from scipy.sparse import csc_array, csr_array

from matropy.recovery._mixing import mixed, power_of_two
from matropy.recovery._random_bits import Bits, normals, random_bits, random_key, row_hash, signs
from matropy.recovery._rows import Floats

__all__ = ["POOLED_BLOCK", "ChunkSketch", "chunk_sketch"]

POOLED_BLOCK = 16
"""Coordinates that a row of a pooled sketch pools at least: with fewer its entries are far from Gaussian."""

_SIGNS, _ROWS, _POOLING, _GAUSSIAN, _BUCKETS = range(5)
_SLAB = 2**21
"""Numbers that are worked on at a time: 16 MB."""


class ChunkSketch(Protocol):
    """Adds :math:`S_qZ_q` to a sum; rows that the last chunk lacks are zero."""

    def __call__(self, index: int, rows: Floats, total: Floats) -> None:
        """Add what the rows of chunk ``index`` contribute to ``total``."""


def chunk_sketch(kind: str, n_rows: int, seed: int, chunk: int, n_nonzeros: int) -> ChunkSketch:
    """Make the sketch of this name."""
    if kind == "srht":
        return HadamardRows(n_rows, seed, chunk)
    if kind == "pooled":
        return PooledHadamard(n_rows, seed, chunk)
    if kind == "gaussian":
        return Gaussian(n_rows, seed)
    return SparseColumns(n_rows, seed, chunk, 1 if kind == "countsketch" else n_nonzeros)


class HadamardRows:
    r"""Random signs, then rows of a Hadamard matrix of order :math:`2^{62}`, drawn with replacement.

    The row index splits into one of :math:`H_c` and one of the Hadamard matrix over chunks, whose entries are the
    parities of a 40-bit pattern and the number of the chunk.
    """

    def __init__(self, n_rows: int, seed: int, chunk: int) -> None:
        bits = random_bits(seed, _ROWS).random_raw(n_rows)
        self._chunk = chunk
        self._offsets = (bits & np.uint64(chunk - 1)).astype(np.int32)
        self._patterns = bits >> np.uint64(24)
        self._key = random_key(seed, _SIGNS)
        self._starts = np.arange(n_rows + 1, dtype=np.int32)
        self._scale = 1 / math.sqrt(n_rows)

    def __call__(self, index: int, rows: Floats, total: Floats) -> None:
        length = power_of_two(len(rows))
        entries = self._scale * (1.0 - 2.0 * _parity(self._patterns & np.uint64(index)))
        selection = csr_array((entries, self._offsets & (length - 1), self._starts), (len(total), length))
        _add_mixed(selection, rows, index * self._chunk, self._key, total)


class PooledHadamard:
    """Random signs and a Hadamard matrix a chunk, then Gaussian sums over blocks of its permuted coordinates."""

    def __init__(self, n_rows: int, seed: int, chunk: int) -> None:
        self._seed = seed
        self._chunk = chunk
        self._key = random_key(seed, _SIGNS)
        self._starts = (np.arange(n_rows + 1) * chunk // n_rows).astype(np.int32)

    def __call__(self, index: int, rows: Floats, total: Floats) -> None:
        length = power_of_two(len(rows))
        bits = random_bits(self._seed, _POOLING, index)
        order = np.argsort(bits.random_raw(self._chunk), kind="stable").astype(np.int32)
        weights = normals(bits.random_raw(self._chunk)) / math.sqrt(self._chunk)
        pooling = csr_array((weights, order & (length - 1), self._starts), (len(total), length))
        _add_mixed(pooling, rows, index * self._chunk, self._key, total)


class Gaussian:
    """Independent normal numbers."""

    def __init__(self, n_rows: int, seed: int) -> None:
        self._seed = seed
        self._step = max(1, _SLAB // n_rows)

    def __call__(self, index: int, rows: Floats, total: Floats) -> None:
        m = len(total)
        bits = random_bits(self._seed, _GAUSSIAN, index)
        for start in range(0, len(rows), self._step):
            # In one layout, so that the product rounds the same whatever the caller's array looks like.
            part = np.ascontiguousarray(rows[start : start + self._step], dtype=np.float64)
            weights = normals(bits.random_raw(len(part) * m)).reshape(-1, m)
            total += (weights.T @ part) / math.sqrt(m)


class SparseColumns:
    """A few signs in every column: one for the count sketch; for OSNAP one in each of ``s`` bands of sketch rows."""

    def __init__(self, n_rows: int, seed: int, chunk: int, n_nonzeros: int) -> None:
        self._chunk = chunk
        self._bands = np.arange(n_nonzeros + 1) * n_rows // n_nonzeros
        self._keys = [random_key(seed, _BUCKETS, band) for band in range(n_nonzeros)]

    def __call__(self, index: int, rows: Floats, total: Floats) -> None:
        n, s = len(rows), len(self._keys)
        buckets, entries = np.empty((n, s), np.int32), np.empty((n, s))
        for band, key in enumerate(self._keys):
            low, high = self._bands[band : band + 2].astype(np.uint64)
            bits = row_hash(index * self._chunk, index * self._chunk + n, key)
            buckets[:, band] = low + (((bits >> np.uint64(32)) * (high - low)) >> np.uint64(32))
            entries[:, band] = signs(bits << np.uint64(63)) / math.sqrt(s)
        starts = np.arange(0, n * s + 1, s, dtype=np.int32)
        scatter = csc_array((entries.ravel(), buckets.ravel(), starts), (len(total), n))
        total += scatter @ rows


def _add_mixed(selection: csr_array, rows: Floats, start: int, key: np.uint64, total: Floats) -> None:
    """Add ``selection @ H D rows``, a slab of columns at a time."""
    step = max(1, _SLAB // power_of_two(len(rows)))
    for first in range(0, rows.shape[1], step):
        columns = slice(first, first + step)
        total[:, columns] += selection @ mixed(rows[:, columns], start, key)


def _parity(bits: Bits) -> Bits:
    for shift in (32, 16, 8, 4, 2, 1):
        bits = bits ^ (bits >> np.uint64(shift))
    return bits & np.uint64(1)
