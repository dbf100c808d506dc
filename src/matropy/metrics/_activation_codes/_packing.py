"""Bits of a code in 64-bit words: packing, unpacking, joining, counting.

A packed array has shape ``(n, ceil(w / 64))``; bit ``j`` of a code is bit ``j % 64`` of word ``j // 64``, and bits
beyond ``w`` are zero, so equal codes have equal words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from array_api_compat import is_torch_array
from numpy.typing import NDArray

from matropy._core._validation import Array

__all__ = [
    "Words",
    "count_ones",
    "count_true",
    "join_bits",
    "pack_above",
    "pack_binary",
    "pack_bits",
    "row_blocks",
    "unpack_bits",
    "word_count",
]

Words = NDArray[np.uint64]

_BLOCK = 1 << 22
"""Bytes of the temporary arrays of one block of rows."""


def pack_binary(bits: Array, name: str = "bits") -> tuple[Words, int]:
    """Pack an ``(n, w)`` array of zeros and ones of any library and type; returns the words and ``w``.

    Raises
    ------
    TypeError
        If it is no array of numbers.
    ValueError
        If it has other than two axes, is empty, or holds anything but 0 and 1 (NaN included).
    """
    array = _on_host(bits) if is_torch_array(bits) else np.asarray(bits)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be an array of zeros and ones, got dtype {array.dtype}")
    if array.ndim != 2:
        raise ValueError(f"{name} must have 2 axes (rows, bits), got shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} is empty: shape {array.shape}")
    rows, width = array.shape
    packed = np.empty((rows, word_count(width)), np.uint64)
    for block in row_blocks(rows, width):
        part = array[block]
        ones = part if part.dtype == bool else part == 1
        if part.dtype != bool and np.count_nonzero(part == 0) + np.count_nonzero(ones) < part.size:
            raise ValueError(f"{name} must be 0 or 1, got {part[(part != 0) & ~ones][0].item()!r}")
        packed[block] = pack_bits(ones)
    return packed, width


def pack_above(x: Array, threshold: float = 0.0) -> Words:
    """Pack the bits ``x > threshold`` of an ``(n, w)`` array, NumPy or torch; NaN gives 0.

    An accelerator packs where the tensor is and sends one bit a value. On a CPU NumPy compares, several times faster
    than torch does.
    """
    if is_torch_array(x):
        if x.device.type != "cpu":
            return _words_of(_pack_tensor(x > threshold), x.shape[1])
        x = _on_host(x)
    packed = np.empty((len(x), word_count(x.shape[1])), np.uint64)
    for block in row_blocks(len(x), x.shape[1]):
        packed[block] = pack_bits(x[block] > threshold)
    return packed


def pack_bits(bits: NDArray[np.bool_]) -> Words:
    """Pack a boolean array of shape ``(n, w)``."""
    return _words_of(np.packbits(bits, axis=1, bitorder="little"), bits.shape[1])


def unpack_bits(packed: Words, n_bits: int) -> NDArray[np.bool_]:
    """The boolean array of shape ``(n, n_bits)``."""
    as_bytes = np.ascontiguousarray(packed.astype("<u8", copy=False)).view(np.uint8)
    return np.unpackbits(as_bytes, axis=1, count=n_bits, bitorder="little").view(np.bool_)


def join_bits(parts: Sequence[tuple[Words, int]]) -> tuple[Words, int]:
    """Put codes of the same rows side by side, without unpacking; each part is given with its width."""
    if len(parts) == 1:
        return parts[0]
    width = sum(n_bits for _, n_bits in parts)
    joined = np.zeros((len(parts[0][0]), word_count(width)), np.uint64)
    at = 0
    for packed, n_bits in parts:
        word, shift = divmod(at, 64)
        joined[:, word : word + packed.shape[1]] |= packed << np.uint64(shift)
        if shift:
            beyond = joined[:, word + 1 : word + 1 + packed.shape[1]]
            beyond |= packed[:, : beyond.shape[1]] >> np.uint64(64 - shift)
        at += n_bits
    return joined, width


def count_ones(packed: Words, n_bits: int) -> NDArray[np.int64]:
    """In how many rows each bit is set, shape ``(n_bits,)``.

    Rows are added bitwise by full adders (a sum and a carry from three rows), so 64 bits cost a few operations and only
    two rows in each power of two are unpacked.
    """
    ones = np.zeros(n_bits, np.int64)
    for block in row_blocks(len(packed), 16 * packed.shape[1]):
        rows, weight = packed[block], 1
        while len(rows):
            carries = []
            while len(rows) >= 3:
                third = len(rows) // 3
                a, b, c, rest = np.split(rows, [third, 2 * third, 3 * third])
                half = a ^ b
                carries.append((a & b) | (half & c))
                rows = np.concatenate([half ^ c, rest])
            ones += weight * unpack_bits(rows, n_bits).sum(0)
            rows = np.concatenate(carries) if carries else rows[:0]
            weight *= 2
    return ones


def count_true(bits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """In how many rows of a boolean array each column is true: what :func:`count_ones` is when nothing is packed."""
    counts = np.zeros(bits.shape[1], np.int64)
    for start in range(0, len(bits), 255):
        # As many rows as a byte can count: bytes are added dozens at a time.
        counts += np.add.reduce(bits[start : start + 255].view(np.uint8), axis=0, dtype=np.uint8)
    return counts


def row_blocks(rows: int, bytes_per_row: int) -> Iterator[slice]:
    """Slices over the rows that keep the temporary arrays of each small."""
    step = max(1, _BLOCK // max(bytes_per_row, 1))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def word_count(n_bits: int) -> int:
    """Words that hold a code."""
    return -(-n_bits // 64)


def _on_host(x: Any) -> NDArray[Any]:
    """The array of a torch tensor; half precision, which NumPy lacks or is slow at, in float32."""
    half = x.dtype.is_floating_point and x.dtype.itemsize < 4
    array: NDArray[Any] = (x.detach().float() if half else x.detach()).cpu().numpy()
    return array


def _pack_tensor(bits: Any) -> NDArray[np.uint8]:
    """Bytes of a boolean tensor, packed on its device."""
    import torch

    rows, width = bits.shape
    padded = torch.nn.functional.pad(bits.to(torch.uint8), (0, -width % 8)).reshape(rows, -1, 8)
    weights = torch.tensor([1 << bit for bit in range(8)], dtype=torch.uint8, device=bits.device)
    packed: NDArray[np.uint8] = (padded * weights).sum(-1, dtype=torch.uint8).cpu().numpy()
    return packed


def _words_of(as_bytes: NDArray[np.uint8], n_bits: int) -> Words:
    """Words of rows of bytes, zeros put behind."""
    missing = 8 * word_count(n_bits) - as_bytes.shape[1]
    if missing:
        as_bytes = np.pad(as_bytes, ((0, 0), (0, missing)))
    return np.ascontiguousarray(as_bytes).view("<u8").astype(np.uint64, copy=False)
