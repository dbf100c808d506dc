"""Singular values and the norms made of them."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from metric_tester import Case, MetricTester
from scipy import linalg

from matropy.linalg import l12_norm, nuclear_norm, schatten_norm, singular_values

# The largest of many singular values within rounding, also where a Gram matrix squares the condition number.
GRAM = {"float64": 1e-10, "float32": 1e-4, "float16": 1e-4, "bfloat16": 1e-4}


def matrices(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def each(one):
    return lambda stack: np.array([one(x) for x in stack])


def schatten(p):
    return each(lambda x: np.linalg.norm(linalg.svdvals(x), p))


def column_norms(top):
    def one(x):
        return sum(sorted((math.hypot(*column) for column in x.T), reverse=True)[:top])

    return each(one)


FUNCTIONS = {
    "singular values": (singular_values, each(linalg.svdvals), {}),
    "singular values, gram": (
        partial(singular_values, method="gram"),
        each(linalg.svdvals),
        {"tolerance": GRAM},
    ),
    "nuclear": (nuclear_norm, each(lambda x: np.linalg.norm(x, "nuc")), {}),
    "l12": (l12_norm, column_norms(None), {}),
    "l12, top 2": (partial(l12_norm, top=2), column_norms(2), {}),
} | {f"Schatten {p}": (partial(schatten_norm, p=p), schatten(p), {}) for p in (1, 1.5, 2, 3, 40, math.inf)}


CASES = {
    f"{name}, {shape[-2:]}": Case((matrices(*shape),), function, one, differentiable=True, **extra)
    for name, (function, one, extra) in FUNCTIONS.items()
    for shape in [(2, 4, 6), (2, 5, 3)]
}


class TestNorms(MetricTester, cases=CASES):
    """Every norm on wide and tall matrices."""


@pytest.mark.parametrize("method", ["svd", "gram"])
@pytest.mark.parametrize("shape", [(7,), (2, 3, 4, 5)])
def test_shapes(method, shape):
    if len(shape) == 1:
        with pytest.raises(ValueError, match=r"x must have at least 2 axes, got shape \(7,\)"):
            singular_values(np.ones(shape), method=method)
        return
    assert singular_values(np.ones(shape), method=method).shape == (2, 3, 4)
    assert nuclear_norm(np.ones(shape)).shape == l12_norm(np.ones(shape)).shape == (2, 3)


@pytest.mark.parametrize("p", [1, 1.5, 2, 7, math.inf])
def test_zero_matrix(p):
    assert schatten_norm(np.zeros((3, 4)), p) == 0
    assert l12_norm(np.zeros((3, 4))) == 0


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_extreme_scales_neither_overflow_nor_vanish(scale):
    x = matrices(4, 3)
    assert schatten_norm(x * scale, 3) == pytest.approx(scale * schatten_norm(x, 3), rel=1e-12)


@given(
    seed=st.integers(0, 999),
    n=st.integers(1, 8),
    d=st.integers(1, 8),
    p=st.floats(1, 30),
    q=st.floats(1, 30),
)
def test_properties(seed, n, d, p, q):
    x, y = matrices(2, n, d, seed=seed)
    rotated = np.linalg.qr(matrices(n, n, seed=seed))[0] @ x @ np.linalg.qr(matrices(d, d, seed=seed))[0]
    assert schatten_norm(rotated, p) == pytest.approx(schatten_norm(x, p))
    assert schatten_norm(x + y, p) <= schatten_norm(x, p) + schatten_norm(y, p) + 1e-9
    assert schatten_norm(x, max(p, q)) <= schatten_norm(x, min(p, q)) * (1 + 1e-9)
    assert schatten_norm(-3 * x, p) == pytest.approx(3 * schatten_norm(x, p))
    # Schur-Horn, and Cauchy-Schwarz.
    rank = min(n, d)
    assert nuclear_norm(x) <= l12_norm(x) * (1 + 1e-9)
    assert nuclear_norm(x) <= math.sqrt(rank) * schatten_norm(x, 2) * (1 + 1e-9)
    assert nuclear_norm(x) == pytest.approx(nuclear_norm(x.T))


def test_gram_route_loses_only_what_it_says():
    sigma = np.array([1.0, 1e-3, 1e-6, 1e-12])
    x = np.linalg.qr(matrices(9, 4))[0] * sigma @ np.linalg.qr(matrices(4, 4))[0]
    np.testing.assert_allclose(singular_values(x), sigma, rtol=1e-3)
    np.testing.assert_allclose(singular_values(x, method="gram"), sigma, rtol=1e-3, atol=1.5e-8)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_gram_route_has_finite_gradients_where_the_rank_is_deficient(rank):
    x = torch.from_numpy(matrices(5, rank) @ matrices(rank, 4)).requires_grad_()
    singular_values(x, method="gram").sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("make", [np.array, torch.tensor, list])
def test_integers_are_numbers(make):
    assert float(nuclear_norm(make([[3, 0], [0, -4]]))) == 7
    assert float(l12_norm(make([[3, 0], [0, -4]]), top=1)) == 4


BAD = {
    "NaN": ([[1.0, math.nan]], ValueError, "x holds NaN or infinite"),
    "infinity": ([[1.0, -math.inf]], ValueError, "x holds NaN or infinite"),
    "empty": (np.empty((0, 3)), ValueError, r"x is empty: shape \(0, 3\)"),
    "a vector": ([1.0, 2.0], ValueError, r"x must have at least 2 axes, got shape \(2,\)"),
    "complex": ([[1j]], TypeError, "x must be real"),
    "strings": ([["a"]], TypeError, "x must be an array of numbers"),
}


@pytest.mark.parametrize(("x", "error", "message"), BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("function", [singular_values, nuclear_norm, partial(schatten_norm, p=3), l12_norm])
def test_bad_input_is_named(function, x, error, message):
    with pytest.raises(error, match=message):
        function(x)


OPTIONS = {
    "p below one": (partial(schatten_norm, p=0.5), ValueError, "p must be a number >= 1"),
    "p NaN": (partial(schatten_norm, p=math.nan), ValueError, "p must be a number >= 1"),
    "p a word": (partial(schatten_norm, p="nuc"), ValueError, "p must be a number >= 1"),
    "top 0": (partial(l12_norm, top=0), ValueError, "top must be between 1 and 3, got 0"),
    "top 4": (partial(l12_norm, top=4), ValueError, "top must be between 1 and 3, got 4"),
    "top 1.5": (partial(l12_norm, top=1.5), TypeError, "top must be an integer"),
    "method": (partial(singular_values, method="qr"), ValueError, "method must be one of 'svd', 'gram'"),
}


@pytest.mark.parametrize(("function", "error", "message"), OPTIONS.values(), ids=OPTIONS.keys())
def test_bad_options_are_named(function, error, message):
    with pytest.raises(error, match=message):
        function(matrices(4, 3))
