"""Bits in words, against unpacked arrays."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from matropy.metrics._activation_codes._packing import (
    _pack_tensor,
    _words_of,
    count_ones,
    count_true,
    join_bits,
    pack_above,
    pack_binary,
    pack_bits,
    unpack_bits,
)

bits = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=150))


@given(bits)
def test_words_hold_the_bits_and_zeros_behind(bits):
    packed = pack_bits(bits)
    as_numbers = [sum(int(bit) << j for j, bit in enumerate(row)) for row in bits]
    assert [sum(int(word) << 64 * j for j, word in enumerate(row)) for row in packed] == as_numbers
    np.testing.assert_array_equal(unpack_bits(packed, bits.shape[1]), bits)


@given(bits)
def test_ones_are_counted(bits):
    np.testing.assert_array_equal(count_ones(pack_bits(bits), bits.shape[1]), bits.sum(0))
    np.testing.assert_array_equal(count_true(bits), bits.sum(0))


def test_ones_are_counted_over_blocks(monkeypatch):
    monkeypatch.setattr("matropy.metrics._activation_codes._packing._BLOCK", 1 << 12)
    bits = np.random.default_rng(0).random((2000, 100)) < 0.3
    np.testing.assert_array_equal(count_ones(pack_bits(bits), 100), bits.sum(0))
    np.testing.assert_array_equal(count_true(bits), bits.sum(0))


@given(st.lists(st.integers(0, 130), min_size=1, max_size=5), st.integers(1, 9))
def test_joined_codes_stand_side_by_side(widths, rows):
    rng = np.random.default_rng(0)
    parts = [rng.random((rows, width)) < 0.5 for width in widths]
    joined, width = join_bits([(pack_bits(part), part.shape[1]) for part in parts])
    assert width == sum(widths)
    np.testing.assert_array_equal(joined, pack_bits(np.hstack(parts)))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "int32"])
@pytest.mark.parametrize("width", [1, 8, 63, 64, 65, 130])
def test_threshold_of_any_type(dtype, width):
    values = torch.randint(-3, 4, (37, width), generator=torch.Generator().manual_seed(0)).to(
        getattr(torch, dtype)
    )
    expected = pack_bits((values > 1).numpy())
    np.testing.assert_array_equal(pack_above(values, 1.0), expected)
    # As an accelerator would do it.
    np.testing.assert_array_equal(_words_of(_pack_tensor(values > 1), width), expected)
    if dtype != "bfloat16":
        np.testing.assert_array_equal(pack_above(values.numpy(), 1.0), expected)


def test_exactly_the_threshold_and_nan_are_off_and_infinity_is_on():
    row = np.array([[0.0, -0.0, np.nan, np.inf, -np.inf, 5e-324]])
    assert unpack_bits(pack_above(row), 6).tolist() == [[False, False, False, True, False, True]]


@pytest.mark.parametrize(
    "kind", ["bool", "uint8", "int64", "float32", "float16", "list", "torch", "torch.bool"]
)
def test_zeros_and_ones_of_any_type(kind):
    bits = np.random.default_rng(0).random((9, 70)) < 0.5
    given = {
        "list": lambda: bits.astype(int).tolist(),
        "torch": lambda: torch.from_numpy(bits).to(torch.bfloat16).requires_grad_(),
        "torch.bool": lambda: torch.from_numpy(bits),
    }.get(kind, lambda: bits.astype(kind))()
    packed, width = pack_binary(given)
    np.testing.assert_array_equal(packed, pack_bits(bits))
    assert width == 70


@pytest.mark.parametrize(
    ("bits", "error", "message"),
    [
        ([[0, 2]], ValueError, "bits must be 0 or 1, got 2"),
        ([[0.0, float("nan")]], ValueError, "bits must be 0 or 1, got nan"),
        ([[0.0, float("inf")]], ValueError, "bits must be 0 or 1, got inf"),
        ([[-1, 1]], ValueError, "bits must be 0 or 1, got -1"),
        ([0, 1], ValueError, r"bits must have 2 axes \(rows, bits\), got shape \(2,\)"),
        (np.zeros((0, 3)), ValueError, r"bits is empty: shape \(0, 3\)"),
        (np.zeros((3, 0)), ValueError, r"bits is empty: shape \(3, 0\)"),
        ([["0", "1"]], TypeError, "bits must be an array of zeros and ones, got dtype <U1"),
        (torch.tensor([[0.5]]), ValueError, "bits must be 0 or 1, got 0.5"),
        (None, TypeError, "got dtype object"),
    ],
)
def test_what_is_not_binary_is_refused(bits, error, message):
    with pytest.raises(error, match=message):
        pack_binary(bits)
