"""Logits of a few rows at a time, in one buffer: the path that needs nothing but matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from matropy.nn.cut_cross_entropy._targets import KeptRows

__all__ = ["Block", "Chunk", "ChunkedLogits", "Gradients", "chunk_rows", "working_dtype"]

# With fewer rows a product is bound by reading and writing the gradient of the classifier; more rows gain nothing.
_FEWEST_ROWS, _MOST_ROWS = 128, 1024
# Classifiers of 16 bits are widened, and filtered ones gathered, this many bytes at a time.
_SLAB = 8 * 2**20
# Logits that several passes go over: what a core keeps in its cache; on a GPU, enough to be worth a launch.
_BLOCK = {"cpu": 2**20}
_BLOCK_ELSEWHERE = 2**24


def working_dtype(*operands: torch.Tensor) -> torch.dtype:
    """Single precision at least, double where an operand has it."""
    return torch.float64 if any(x.dtype == torch.float64 for x in operands) else torch.float32


def chunk_rows(n_rows: int, bytes_per_row: int, budget: int) -> int:
    """Rows of a chunk: as many as the budget holds, within bounds, and chunks of nearly one size."""
    most = min(max(budget // bytes_per_row, _FEWEST_ROWS), _MOST_ROWS)
    chunks = max(1, -(-n_rows // most))
    return max(1, -(-n_rows // chunks))


@dataclass
class Gradients:
    """Sums that grow chunk by chunk, in the working precision; None is a gradient that nobody wants."""

    input: torch.Tensor | None
    weight: torch.Tensor | None
    bias: torch.Tensor | None

    @classmethod
    def zeros(
        cls, input: torch.Tensor, weight: torch.Tensor, *, wanted: tuple[bool, bool, bool]
    ) -> Gradients:
        """Gradients of the flat input, the classifier and the bias."""
        dtype = working_dtype(input, weight)
        shapes = (input.shape, weight.shape, weight.shape[:1])
        return cls(
            *(
                torch.zeros(shape, dtype=dtype, device=input.device) if want else None
                for shape, want in zip(shapes, wanted, strict=True)
            )
        )


@dataclass
class Chunk:
    """Logits ``z`` of the kept rows at ``places``, which are ``rows`` of the input."""

    places: slice
    rows: torch.Tensor | slice
    states: torch.Tensor
    z: torch.Tensor


@dataclass
class Block:
    """A few rows of a chunk's logits, and a second buffer of that shape."""

    places: slice
    z: torch.Tensor
    scratch: torch.Tensor


class ChunkedLogits:
    """Iterate over chunks of logits and turn what becomes of them into gradients.

    Parameters
    ----------
    input : Tensor, shape (N, D)
    weight : Tensor, shape (V, D)
    bias : Tensor of shape (V,), or None
    kept : KeptRows
    memory_budget : int
        Bytes of the buffers; a chunk has 128 rows at least.
    """

    def __init__(
        self,
        input: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        kept: KeptRows,
        *,
        memory_budget: int,
    ) -> None:
        self.dtype = working_dtype(input, weight)
        self._input, self._weight, self._kept = input, weight, kept
        self._bias = None if bias is None else bias.to(self.dtype)
        n, (classes, width) = len(kept.target), weight.shape
        self._slab_rows = min(classes, max(1, _SLAB // (width * self.dtype.itemsize)))
        self._slab: torch.Tensor | None = None
        row = classes * self.dtype.itemsize
        block_rows = max(1, _BLOCK.get(input.device.type, _BLOCK_ELSEWHERE) // row)
        memory_budget -= block_rows * row
        if weight.dtype != self.dtype:
            self._slab = self._new(self._slab_rows, width)
            memory_budget -= self._slab.nbytes
        self._rows = chunk_rows(n, row, memory_budget)
        self._z = self._new(min(self._rows, n), classes)
        self._scratch = self._new(min(block_rows, self._rows, n), classes)

    def __iter__(self) -> Iterator[Chunk]:
        n = len(self._kept.target)
        for start in range(0, n, self._rows):
            places = slice(start, min(start + self._rows, n))
            rows = places if self._kept.rows is None else self._kept.rows[places]
            states = self._input[rows].to(self.dtype)
            z = self._z[: len(states)]
            for columns, weight in self._slabs():
                if self._bias is None:
                    torch.mm(states, weight.t(), out=z[:, columns])
                else:
                    torch.addmm(self._bias[columns], states, weight.t(), out=z[:, columns])
            yield Chunk(places, rows, states, z)

    def blocks(self, chunk: Chunk) -> Iterator[Block]:
        """Parts of a chunk that are small enough to be gone over again and again."""
        for start in range(0, len(chunk.z), len(self._scratch)):
            z = chunk.z[start : start + len(self._scratch)]
            first = chunk.places.start + start
            yield Block(slice(first, first + len(z)), z, self._scratch[: len(z)])

    def add_gradients(self, chunk: Chunk, gradients: Gradients, columns: torch.Tensor | None = None) -> None:
        """Add what follows from the gradient by the logits, which stands in ``chunk.z``.

        With ``columns``, the others are passed over as if they held zeros.
        """
        if columns is not None:
            self._add_columns(chunk, gradients, columns)
            return
        if gradients.bias is not None:
            gradients.bias.addmv_(chunk.z.t(), chunk.z.new_ones(len(chunk.z)))
        if gradients.weight is not None:
            gradients.weight.addmm_(chunk.z.t(), chunk.states)
        if gradients.input is not None:
            by_states = torch.zeros_like(chunk.states)
            for slab, weight in self._slabs():
                by_states.addmm_(chunk.z[:, slab], weight)
            gradients.input[chunk.rows] = by_states

    def _add_columns(self, chunk: Chunk, gradients: Gradients, columns: torch.Tensor) -> None:
        by_states = torch.zeros_like(chunk.states)
        for slab in columns.split(self._slab_rows):
            part = chunk.z[:, slab]
            if gradients.bias is not None:
                gradients.bias.index_add_(0, slab, part.sum(0))
            if gradients.weight is not None:
                gradients.weight.index_add_(0, slab, part.t() @ chunk.states)
            if gradients.input is not None:
                by_states.addmm_(part, self._weight[slab].to(self.dtype))
        if gradients.input is not None:
            gradients.input[chunk.rows] = by_states

    def _slabs(self) -> Iterator[tuple[slice, torch.Tensor]]:
        """Columns, and the part of the classifier that makes them, in the working precision."""
        if self._slab is None:
            yield slice(None), self._weight
            return
        for start in range(0, len(self._weight), self._slab_rows):
            columns = slice(start, start + self._slab_rows)
            part = self._weight[columns]
            yield columns, self._slab[: len(part)].copy_(part)

    def _new(self, *shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=self.dtype, device=self._input.device)
