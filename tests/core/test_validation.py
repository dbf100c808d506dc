"""Checks at the door."""

import math

import array_api_compat
import numpy as np
import pytest
import torch

from matropy._core._validation import (
    check_array,
    check_base,
    check_choice,
    check_finite,
    check_integer,
    scalar,
)

LIBRARIES = {"numpy": np, "torch": torch}


PRECISIONS = {
    "float64": "float64",
    "float32": "float32",
    "float16": "float32",
    "bfloat16": "float32",
    "int64": "float64",
    "int8": "float64",
    "uint8": "float64",
    "bool": "float64",
}


@pytest.mark.parametrize(
    ("module", "dtype"),
    [(module, dtype) for module in LIBRARIES.values() for dtype in PRECISIONS if hasattr(module, dtype)],
)
def test_precision_that_is_computed_in(module, dtype):
    becomes = PRECISIONS[dtype]
    x, xp = check_array(module.ones(3, dtype=getattr(module, dtype)), "x")
    assert x.dtype == getattr(module, becomes)
    assert xp is array_api_compat.array_namespace(module.ones(1))


@pytest.mark.parametrize("x", [[1, 2], (1.5, 2), np.float64(3), 3, True])
def test_what_is_no_array_becomes_one_of_numpy(x):
    array, _ = check_array(x, "x", min_ndim=0)
    assert isinstance(array, np.ndarray | np.float64)
    np.testing.assert_array_equal(array, x)


def test_gradients_pass_through():
    x = torch.ones(3, dtype=torch.bfloat16, requires_grad=True)
    check_array(x, "x")[0].sum().backward()
    assert x.grad.tolist() == [1, 1, 1]


BAD = {
    "complex": ([1j], {}, TypeError, "weights must be real, got dtype complex128"),
    "a word": ("word", {}, TypeError, "weights must be an array of numbers, got dtype <U4"),
    "nothing": (None, {}, TypeError, "weights must be an array of numbers, got NoneType"),
    "a set": ({1, 2}, {}, TypeError, "weights must be an array of numbers"),
    "objects": (np.array([None]), {}, TypeError, "weights must be an array of numbers, got dtype object"),
    "dates": (
        np.array(["2020-01-01"], "datetime64[D]"),
        {},
        TypeError,
        "weights must be an array of numbers",
    ),
    "ragged": ([[1], [1, 2]], {}, ValueError, "weights must be a rectangular array of numbers"),
    "empty": ([], {}, ValueError, r"weights is empty: shape \(0,\)"),
    "too few axes": (
        [1],
        {"min_ndim": 2},
        ValueError,
        r"weights must have at least 2 axes, got shape \(1,\)",
    ),
    "too many": ([[1]], {"max_ndim": 1}, ValueError, r"weights must have 1 axes, got shape \(1, 1\)"),
    "of a range": (
        [[[1]]],
        {"max_ndim": 2},
        ValueError,
        r"weights must have 1 to 2 axes, got shape \(1, 1, 1\)",
    ),
}


@pytest.mark.parametrize(("x", "options", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_arrays_are_named(x, options, error, message):
    with pytest.raises(error, match=message):
        check_array(x, "weights", **options)


def test_complex_where_it_is_allowed():
    assert check_array([1j], "x", allow_complex=True)[0].dtype == complex


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES.keys())
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_finite(library, bad):
    check_finite(library.ones(3), "x")
    with pytest.raises(ValueError, match="weights holds NaN or infinite values"):
        check_finite(library.ones(3) * bad, "weights")


def test_base():
    assert check_base(math.e) == 1
    assert check_base(np.int64(2)) == check_base(2) == math.log(2)
    assert check_base(0.5) < 0


@pytest.mark.parametrize("base", [1, 1.0, 0, -1, math.inf, math.nan, "2", None, 2j])
def test_bad_bases(base):
    with pytest.raises(ValueError, match="base must be a positive number other than 1, got"):
        check_base(base)


def test_choice():
    check_choice(None, "kind", ("rows", None))
    with pytest.raises(ValueError, match="kind must be one of 'rows', None; got 'Rows'"):
        check_choice("Rows", "kind", ("rows", None))


@pytest.mark.parametrize("value", [3, np.int32(3), torch.tensor(3)])
def test_integers(value):
    number = check_integer(value, "top", low=3, high=3)
    assert number == 3
    assert type(number) is int


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (2, ValueError, "top must be between 3 and 5, got 2"),
        (6, ValueError, "top must be between 3 and 5, got 6"),
        (4.0, TypeError, "top must be an integer, got 4.0"),
        (True, TypeError, "top must be an integer, got True"),
        ("4", TypeError, "top must be an integer, got '4'"),
        (None, TypeError, "top must be an integer, got None"),
    ],
)
def test_bad_integers(value, error, message):
    with pytest.raises(error, match=message):
        check_integer(value, "top", low=3, high=5)
    with pytest.raises(ValueError, match="top must be at least 9, got 8"):
        check_integer(8, "top", low=9)


@pytest.mark.parametrize("x", [np.array(2.5), np.float32(2.5), torch.tensor(2.5), 2.5])
def test_scalar(x):
    assert type(scalar(x)) is float
    assert scalar(x) == 2.5
