"""Random numbers that are a function of a seed and a place alone: the same on every machine, in any order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = ["Bits", "normals", "random_bits", "random_key", "row_hash", "signs"]

Bits = NDArray[np.uint64]


def random_bits(seed: int, stream: int, index: int = 0) -> np.random.Philox:
    """Raw Philox4x64 words of one item of one stream: ``.random_raw(n)`` gives the next ``n``."""
    return np.random.Philox(key=seed | stream << 64, counter=[0, index, 0, 0])


def random_key(seed: int, stream: int, index: int = 0) -> np.uint64:
    """One word, to key :func:`row_hash` with."""
    return np.uint64(random_bits(seed, stream, index).random_raw(1)[0])


def normals(bits: Bits) -> NDArray[np.float64]:
    """Standard normal numbers, one from the upper 52 bits of each word, by the inverse distribution function."""
    uniform = ((bits >> np.uint64(12)) + 0.5) * 2.0**-52
    return np.asarray(ndtri(uniform))


def row_hash(start: int, stop: int, key: np.uint64) -> Bits:
    """64 mixed bits for every row number in ``[start, stop)``: splitmix64 of the number xor the key."""
    z = (np.arange(start, stop, dtype=np.uint64) ^ key) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def signs(bits: Bits) -> NDArray[np.float64]:
    """1 or -1 by the first bit of each word."""
    return np.where(bits >> np.uint64(63), -1.0, 1.0)
