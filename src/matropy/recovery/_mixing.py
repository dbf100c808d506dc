"""Random signs and a Hadamard transform: what spreads every row of a matrix over all of its coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np

from matropy.linalg import fast_walsh_hadamard
from matropy.recovery._random_bits import row_hash, signs
from matropy.recovery._rows import Floats

__all__ = ["mixed", "power_of_two"]


def mixed(rows: Any, start: int, key: np.uint64) -> Floats:
    """``H D rows``, the rows numbered from ``start`` and padded with zeros to a power of two.

    A row of a Hadamard matrix, cut to a power of two of columns, is a row of the smaller one: so a short last chunk
    may be transformed at its own length.
    """
    n, width = rows.shape
    signed = np.zeros((power_of_two(n), width))
    np.multiply(rows, signs(row_hash(start, start + n, key))[:, None], out=signed[:n])
    return np.asarray(fast_walsh_hadamard(signed))


def power_of_two(n: int) -> int:
    """The smallest power of two that is at least ``n``."""
    return 1 << (n - 1).bit_length()
