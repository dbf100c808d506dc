"""Sketches of rows that arrive in blocks, and merge."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
from scipy.sparse import issparse

from matropy._core._errors import InputError
from matropy._core._validation import check_choice, check_integer
from matropy.recovery._chunk_sketches import POOLED_BLOCK, ChunkSketch, chunk_sketch
from matropy.recovery._rows import Floats, RowBuffer, as_block, check_finite_rows

__all__ = ["KINDS", "Sketch", "SketchKind"]

SketchKind = Literal["srht", "pooled", "gaussian", "countsketch", "osnap"]
KINDS = ("srht", "pooled", "gaussian", "countsketch", "osnap")

_CHUNK = 2**13
_LARGEST_CHUNK = 2**24
_MOST_CHUNKS = 2**38


class Sketch:
    r"""Sketch :math:`SZ` of a matrix whose rows arrive in blocks, on any number of machines.

    ``S`` is a random ``m x n`` matrix with :math:`E\,S^\top S=I` that is drawn without looking at the rows; the number
    ``n`` of rows need not be known. It is a function of the parameters alone, the same on every machine. One pass,
    :math:`O((m+c)p)` memory for chunks of ``c`` rows. The result does not depend on how the rows are cut into blocks,
    to the last bit, and sketches of different chunks of the rows add up:

    .. code-block:: python

        left = Sketch("srht", m, seed).update(rows[: 4 * 8192])  # here
        right = Sketch("srht", m, seed, start_chunk=4).update(rows[4 * 8192 :])  # on another machine
        left.merge(right).result()

    Parameters
    ----------
    kind : {"srht", "pooled", "gaussian", "countsketch", "osnap"}
        ``"srht"`` multiplies by random signs and takes rows of a Hadamard matrix of order :math:`2^{62}`, drawn with
        replacement. ``"pooled"`` mixes every chunk likewise, permutes it and sums blocks of it with Gaussian weights;
        its variances are those of a Gaussian sketch times 1 + 1/b, where ``b``, at least 16, is how many coordinates a
        row sums in all chunks together.
        ``"gaussian"`` has independent :math:`\mathcal N(0,1/m)` entries. ``"countsketch"`` has one sign a column and
        ``"osnap"`` a few: they are fast, and single coefficients of a regression on them can be far off.
    n_rows : int
        Rows ``m`` of the sketch.
    seed : int
        0 ... 2^64 - 1.
    chunk : int, optional
        Rows of a chunk, a power of two up to 2^24; by default 8192, for ``"pooled"`` the smallest power of two that is
        at least max(8192, 16 m), below which its rows are not nearly Gaussian.
    start_chunk : int
        Number of the chunk with which the rows given here begin. A share of the rows is whole chunks; only the last
        share may end anywhere.
    n_nonzeros : int
        Nonzeros of a column of ``"osnap"``, each :math:`\pm1/\sqrt{\texttt{n\_nonzeros}}`.

    Attributes
    ----------
    count : int
        Rows seen.
    n_columns : int or None
        Columns ``p``, None before the first row.

    Raises
    ------
    ValueError
        For parameters out of range; for a block with another number of columns, or with a value that is not finite
        (block, counted from 0, and row within it are named; the sketch stays as it was); on merging sketches that
        differ in a parameter or overlap; on asking a sketch that has seen no rows.

    References
    ----------
    Z. Song, M. Ye, J. Yin, L. Zhang, 2023, A nearly-optimal bound for fast regression with l-infinity guarantee
    (``"srht"``); Z. Song, L. Zhang, 2026, Hadamard flattening and Gaussian pooling sketch (``"pooled"``);
    J. Nelson and H. L. Nguyen, 2013 (``"osnap"``).

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.recovery import Sketch
    >>> rows = np.random.default_rng(0).normal(size=(50_000, 3))
    >>> sketch = Sketch("srht", 4000, seed=0)
    >>> for block in np.array_split(rows, 7):
    ...     _ = sketch.update(block)
    >>> sketched = sketch.result()
    >>> sketched.shape
    (4000, 3)
    >>> bool(np.allclose(sketched.T @ sketched, rows.T @ rows, atol=0.1 * 50_000))
    True
    """

    def __init__(
        self,
        kind: SketchKind,
        n_rows: int,
        seed: int,
        *,
        chunk: int | None = None,
        start_chunk: int = 0,
        n_nonzeros: int = 4,
    ) -> None:
        check_choice(kind, "kind", KINDS)
        self.kind = kind
        self.n_rows = check_integer(n_rows, "n_rows", low=1, high=2**31 - 1)
        self.seed = check_integer(seed, "seed", low=0, high=2**64 - 1)
        self.chunk = _checked_chunk(chunk, kind, self.n_rows)
        self.start_chunk = check_integer(start_chunk, "start_chunk", low=0, high=_MOST_CHUNKS)
        self.n_nonzeros = check_integer(n_nonzeros, "n_nonzeros", low=1)
        if kind == "osnap" and self.n_nonzeros > self.n_rows:
            raise InputError(f"n_nonzeros must be at most n_rows = {self.n_rows}, got {self.n_nonzeros}")
        self.count = 0
        self.n_columns: int | None = None
        self._blocks = 0
        self._total: Floats = np.empty((0, 0))
        self._ones = np.empty(0, dtype=bool)  # columns that are one in every row
        self._buffer = RowBuffer(self.chunk)
        self._next_chunk = self.start_chunk
        self._shares: list[tuple[int, int]] = []  # whole chunks that were taken, as rising, disjoint ranges
        self._operator: ChunkSketch | None = None

    def update(self, block: Any) -> Sketch:
        """Add rows.

        Parameters
        ----------
        block : array or sparse array, shape (n, p)
            Memory maps are read a chunk at a time. An empty block changes nothing.

        Returns
        -------
        Sketch
            Itself.
        """
        name = f"block {self._blocks}"
        rows = as_block(block, name)
        n, p = rows.shape
        if n == 0:
            self._blocks += 1
            return self
        if p != self.n_columns and self.n_columns is not None:
            raise InputError(f"{name} must have {self.n_columns} columns as the blocks before it, got {p}")
        if p == 0:
            raise InputError(f"{name} has no columns: shape {rows.shape}")
        # What is seen is kept only when the whole block is good.
        if n <= self.chunk:
            check_finite_rows(rows, name)
        total, ones, at, buffer = self._total, self._ones, self._next_chunk, self._buffer.copy()
        if self.n_columns is None:
            total, ones = np.zeros((self.n_rows, p)), np.ones(p, dtype=bool)
        elif n > self.chunk:
            total = total.copy()
        ones = _columns_of_ones(rows, ones)
        for chunk in buffer.add(rows, name):
            self._sketch(at, chunk, total)
            at += 1
        self._shares = _joined([*self._shares, (self._next_chunk, at)])
        self._total, self._ones, self._buffer, self._next_chunk = total, ones, buffer, at
        self.n_columns = p
        self.count += n
        self._blocks += 1
        return self

    def merge(self, other: Sketch) -> Sketch:
        """Add all that ``other`` has seen; ``other`` stays as it is.

        Rows that are added afterwards follow the last chunk of both.

        Returns
        -------
        Sketch
            Itself.
        """
        if not isinstance(other, Sketch):
            raise TypeError(f"other must be a Sketch, got {type(other).__name__}")
        names = ("kind", "n_rows", "seed", "chunk", *(["n_nonzeros"] if self.kind == "osnap" else []))
        if other.count and self.count:
            names = (*names, "n_columns")
        for name in names:
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise InputError(f"cannot merge: {name} is {mine!r} here and {theirs!r} there")
        if not other.count:
            return self
        if self.count:
            _check_disjoint(self, other)
        last = max((self, other), key=lambda sketch: sketch._end if sketch.count else -1)
        self._total = self._total + other._total if self.count else other._total.copy()
        self._ones = self._ones & other._ones if self.count else other._ones
        self._shares = _joined([*self._shares, *other._shares])
        self._buffer, self._next_chunk = last._buffer.copy(), last._next_chunk
        self.n_columns = other.n_columns
        self.count += other.count
        return self

    def result(self) -> Floats:
        """The sketch of all rows seen so far, shape (n_rows, p); it can be asked for at any time and changes nothing."""
        if self.n_columns is None:
            raise InputError("this Sketch has seen no rows")
        total = self._total.copy()
        if self._buffer.count:
            self._sketch(self._next_chunk, self._buffer.rows(), total)
        return total

    @property
    def columns_of_ones(self) -> tuple[int, ...]:
        """Columns that are one in every row seen: an intercept's."""
        return tuple(np.flatnonzero(self._ones).tolist())

    def __repr__(self) -> str:
        return (
            f"Sketch({self.kind!r}, {self.n_rows}, seed={self.seed}, chunk={self.chunk}, "
            f"start_chunk={self.start_chunk}, count={self.count})"
        )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_operator": None}  # made again from the parameters

    @property
    def _end(self) -> int:
        """The chunk after the last one that was begun."""
        return self._next_chunk + bool(self._buffer.count)

    def _sketch(self, index: int, rows: Any, total: Floats) -> None:
        if self._operator is None:
            self._operator = chunk_sketch(self.kind, self.n_rows, self.seed, self.chunk, self.n_nonzeros)
        self._operator(index, rows, total)


def _checked_chunk(chunk: int | None, kind: str, n_rows: int) -> int:
    least = POOLED_BLOCK * n_rows if kind == "pooled" else 1
    if least > _LARGEST_CHUNK:
        raise InputError(
            f"n_rows of kind='pooled' must be at most {_LARGEST_CHUNK // POOLED_BLOCK}, got {n_rows}"
        )
    if chunk is None:
        return max(_CHUNK, 1 << (least - 1).bit_length())
    chunk = check_integer(chunk, "chunk", low=1, high=_LARGEST_CHUNK)
    if chunk & (chunk - 1):
        raise InputError(f"chunk must be a power of two, got {chunk}")
    if chunk < least:
        raise InputError(
            f"chunk must be at least {POOLED_BLOCK} n_rows = {least} for kind='pooled', got {chunk}"
        )
    return chunk


def _columns_of_ones(rows: Any, candidates: Any) -> Any:
    """Which of the candidates are one throughout; few columns are read, as few are one in the first row."""
    first = rows[[0]].toarray() if issparse(rows) else rows[[0]]
    ones = candidates & (first[0] == 1)
    for column in np.flatnonzero(ones):
        values = rows[:, [column]]
        ones[column] = bool(((values.toarray() if issparse(values) else values) == 1).all())
    return ones


def _check_disjoint(one: Sketch, other: Sketch) -> None:
    shares = [(low, high, False) for sketch in (one, other) for low, high in sketch._shares]
    tails = [(s._next_chunk, s._next_chunk + 1, True) for s in (one, other) if s._buffer.count]
    shares = sorted([*shares, *tails])
    for (_, high, ends_within), (low, _, _) in pairwise(shares):
        if low < high:
            raise InputError(
                f"cannot merge: both hold chunk {low}; start_chunk= gives each share of the rows its place"
            )
        if ends_within:
            raise InputError(
                f"cannot merge: the share that ends within chunk {high - 1} is not the last one; cut the rows at"
                f" multiples of chunk = {one.chunk}"
            )


def _joined(shares: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for low, high in sorted(share for share in shares if share[0] < share[1]):
        if joined and joined[-1][1] == low:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return joined
