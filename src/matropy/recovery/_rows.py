"""Blocks of rows from outside: checked, made dense and cut into chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from matropy._core._errors import InputError

__all__ = ["Floats", "RowBuffer", "as_block", "check_finite_rows"]

Floats = NDArray[np.float64]


def as_block(block: Any, name: str) -> Any:
    """Return ``block`` as a real NumPy array or a CSR array with two axes, its values not copied where that can be.

    Raises
    ------
    TypeError
        If it holds no real numbers.
    InputError
        If it has not two axes.
    """
    rows = block.tocsr() if issparse(block) else np.asarray(block)
    if rows.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {rows.dtype}")
    if rows.ndim != 2:
        raise InputError(f"{name} must have 2 axes, got shape {rows.shape}")
    return rows


def check_finite_rows(rows: Any, name: str, start: int = 0) -> None:
    """Raise ``InputError`` that names the first row, counted from ``start``, with a value that is not finite."""
    values = rows.data if issparse(rows) else rows
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum(dtype=np.float64)):
            return
    finite = np.isfinite(values)
    if finite.all():
        return
    first = np.argmin(finite) if issparse(rows) else np.argmin(finite.reshape(len(values), -1).all(axis=1))
    row = int(np.searchsorted(rows.indptr, first, side="right")) - 1 if issparse(rows) else int(first)
    raise InputError(f"{name}, row {start + row} holds NaN or infinite values")


class RowBuffer:
    """Rows that wait until they fill a chunk.

    Parameters
    ----------
    chunk : int
        Rows of a chunk.
    """

    def __init__(self, chunk: int) -> None:
        self.chunk = chunk
        self.count = 0
        self._pieces: list[NDArray[Any]] = []

    def add(self, rows: Any, name: str) -> Iterator[NDArray[Any]]:
        """Take rows, check that they are finite, and give each chunk that they complete."""
        start, n = 0, rows.shape[0]
        while start < n:
            stop = min(n, start + self.chunk - self.count)
            part = rows[start:stop]
            check_finite_rows(part, name, start)
            dense = part.toarray() if issparse(part) else part
            self.count += stop - start
            if self.count == self.chunk:
                self._pieces.append(dense)
                yield self.rows()
                self._pieces, self.count = [], 0
            else:
                self._pieces.append(np.array(dense, dtype=np.float64))  # the caller may change his array
            start = stop

    def rows(self) -> NDArray[Any]:
        """The rows that wait, shape (count, p)."""
        return self._pieces[0] if len(self._pieces) == 1 else np.concatenate(self._pieces)

    def copy(self) -> RowBuffer:
        """A buffer that goes on on its own."""
        twin = RowBuffer(self.chunk)
        twin.count, twin._pieces = self.count, list(self._pieces)
        return twin
