"""Which rows of packed codes are equal: exact by hashing and checking, or by digests of a stream."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from matropy.metrics._activation_codes._packing import Words, row_blocks

__all__ = ["count_distinct", "digest_rows", "distinct_rows"]

_SEEDS = 3


def distinct_rows(packed: Words) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find where each different row stands first, and how often it occurs, in the order of first occurrence.

    Rows are hashed to 64 bits and sorted by hash; every row is then compared with its predecessor of equal hash. Two
    different rows of one hash send it back with another seed, and after a few seeds to a sort of the rows themselves:
    the answer is exact, whatever the hashes do.
    """
    for seed in range(_SEEDS):
        hashes = hash_rows(packed, seed)
        order = np.argsort(hashes)
        repeats = hashes[order[1:]] == hashes[order[:-1]]
        if _equal(packed, order[1:][repeats], order[:-1][repeats]):
            break
    else:
        order = np.lexsort(packed.T)
        repeats = (packed[order[1:]] == packed[order[:-1]]).all(1)
    starts = np.flatnonzero(np.concatenate([[True], ~repeats]))
    first = np.minimum.reduceat(order, starts)
    counts = np.diff(starts, append=len(packed))
    by_occurrence = np.argsort(first)
    return first[by_occurrence], counts[by_occurrence]


def count_distinct(packed: Words) -> int:
    """How many different rows there are: at a glance where no two are the same, else by :func:`distinct_rows`."""
    # Rows of different sums differ.
    sums = packed @ (_keys(0, packed.shape[1])[0] | np.uint64(1))
    return len(packed) if len(set(sums.tolist())) == len(packed) else len(distinct_rows(packed)[0])


def hash_rows(packed: Words, seed: int) -> Words:
    """A 64-bit hash of each row: the sum of its words, each mixed with a random key of its place."""
    keys = _keys(seed, packed.shape[1])
    hashes = np.empty(len(packed), np.uint64)
    for block in row_blocks(len(packed), 64 * packed.shape[1]):
        words = packed[block] ^ keys[0]
        words *= keys[1] | np.uint64(1)
        words ^= words >> np.uint64(32)
        words *= keys[1][::-1] | np.uint64(1)
        words ^= words >> np.uint64(29)
        hashes[block] = words.sum(1)
    return hashes


@lru_cache(maxsize=64)
def _keys(seed: int, words: int) -> Words:
    keys = np.random.Philox(key=seed).random_raw(2 * words).reshape(2, -1)
    keys.flags.writeable = False
    return keys


def digest_rows(packed: Words) -> NDArray[np.int64]:
    """128-bit BLAKE2 digests of the rows, as pairs of integers: what a stream keeps of a code.

    Among n different codes two share a digest with probability below :math:`n^2/2^{129}`.
    """
    rows = np.ascontiguousarray(packed.astype("<u8", copy=False))
    digests = b"".join(blake2b(row, digest_size=16).digest() for row in rows)
    return np.frombuffer(digests, np.int64).reshape(-1, 2).copy()


def _equal(packed: Words, left: NDArray[np.int64], right: NDArray[np.int64]) -> bool:
    """Whether the rows ``left`` equal the rows ``right``."""
    return all(
        np.array_equal(packed[left[block]], packed[right[block]])
        for block in row_blocks(len(left), 16 * packed.shape[1])
    )
