"""Designs and targets from outside, in blocks and then in pieces of a few thousand rows."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import is_dask_array
from scipy.sparse import issparse

from matropy._core._errors import InputError
from matropy.recovery._rows import Floats, check_finite_rows

__all__ = ["Block", "arrow_columns", "is_arrow", "pairs_of", "pieces_of", "row_pieces", "targets_of"]

_ROWS = 2**13


@dataclass(frozen=True)
class Block:
    """Rows of the design and of the targets, checked but for being finite.

    Attributes
    ----------
    rows : array or CSR array, shape (n, d)
    targets : array, shape (n,) or (n, k)
    index : int
        Number of the block, from 0.
    """

    rows: Any
    targets: Any
    index: int


def targets_of(y: Any, n: int, name: str) -> Any:
    """Targets as real numbers, a row for each of the ``n`` rows of the design."""
    y = y.toarray() if issparse(y) else np.asarray(y)
    if y.dtype.kind == "O":
        try:
            y = y.astype(np.float64)
        except (TypeError, ValueError):
            raise TypeError(f"{name} must hold real numbers, got dtype object") from None
    if y.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {y.dtype}")
    if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[1] == 0):
        raise InputError(f"{name} must have one axis, or two for several targets, got shape {y.shape}")
    if len(y) != n:
        raise InputError(f"{name} must have as many rows as X: {n}, got {len(y)}")
    return y


def pieces_of(block: Block) -> Iterator[tuple[Any, Floats]]:
    """Cut a block into pieces of the design and of the targets, in float64 and finite (CSR stays CSR)."""
    targets = block.targets if block.targets.ndim == 2 else block.targets[:, None]
    yield from zip(
        row_pieces(block.rows, f"block {block.index} of X"),
        row_pieces(targets, f"block {block.index} of y"),
        strict=True,
    )


def row_pieces(rows: Any, name: str) -> Iterator[Any]:
    """Cut rows likewise."""
    for start in range(0, rows.shape[0], _ROWS):
        part = rows[start : start + _ROWS]
        check_finite_rows(part, name, start)
        yield part.astype(np.float64, copy=False)


def pairs_of(x: Any, y: Any) -> Iterator[tuple[Any, Any]]:
    """Pairs of arrays, one for each block of rows of a dask array; a pair of other arrays is one block."""
    if not is_dask_array(x):
        yield x, _computed(y)
        return
    unknown = is_dask_array(y) and math.isnan(y.shape[0])
    if unknown and y.numblocks[0] != x.numblocks[0]:
        raise InputError(f"y must have as many blocks as X: {x.numblocks[0]}, got {y.numblocks[0]}")
    start = 0
    for index in range(x.numblocks[0]):
        rows = _computed(x.blocks[index])
        stop = start + rows.shape[0]
        yield rows, _computed(y.blocks[index] if unknown else y[start:stop])
        start = stop
    if not unknown and start != len(y):
        raise InputError(f"y must have as many rows as X: {start}, got {len(y)}")


def _computed(x: Any) -> Any:
    lazy: Any = x if is_dask_array(x) else None
    return x if lazy is None else lazy.compute()


def arrow_columns(batch: Any, target: str | Sequence[str], name: str) -> tuple[list[str], Any, Any]:
    """Names of the features, their columns and the targets of an Arrow record batch; a null becomes NaN."""
    targets = [target] if isinstance(target, str) else list(target)
    missing = [column for column in targets if column not in batch.schema.names]
    if missing or not targets:
        raise InputError(
            f"target must name columns of the record batches ({', '.join(batch.schema.names)}), got {target!r}"
        )
    features = [column for column in batch.schema.names if column not in targets]

    def columns(names: list[str]) -> Any:
        values = [batch.column(column).to_numpy(zero_copy_only=False) for column in names]
        for column, value in zip(names, values, strict=True):
            if value.dtype.kind not in "biuf":
                kind = batch.schema.field(column).type
                raise TypeError(f"column {column!r} of {name} must hold real numbers, got Arrow type {kind}")
        return np.column_stack(values) if values else np.empty((batch.num_rows, 0))

    y = columns(targets)
    return features, columns(features), y[:, 0] if isinstance(target, str) else y


def is_arrow(block: Any) -> bool:
    """Whether it is an Arrow record batch."""
    arrow = sys.modules.get("pyarrow")
    return arrow is not None and isinstance(block, arrow.RecordBatch)
