"""Entropies of probability vectors and of logits."""

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from metric_tester import Case, MetricTester
from scipy import special, stats

from matropy.entropy import hill_number, renyi_entropy, shannon_entropy, softmax_entropy

ORDERS = (0, 0.3, 1, 1.0001, 2, 5, 60, math.inf)


def distributions(*shape, seed=0, empty=()):
    p = np.random.default_rng(seed).exponential(size=shape) ** 3
    p[..., list(empty)] = 0
    return p / p.sum(-1, keepdims=True)


def renyi(p, order):
    """One distribution after another, from the definition in exact logarithms."""
    if p.ndim > 1:
        return np.array([renyi(row, order) for row in p])
    support = p[p > 0] / math.fsum(p)
    if order == 1:
        return -math.fsum(x * math.log(x) for x in support)
    if order == math.inf:
        return -math.log(support.max())
    return special.logsumexp(order * np.log(support)) / (1 - order)


def through_softmax(function):
    """Perturbed probabilities sum to one no more; perturbed logits still make a distribution."""
    return lambda logits: function(torch.softmax(logits, -1))


P = distributions(3, 7, empty=(2, 5))
LOGITS = np.random.default_rng(0).normal(size=(4, 6)) * 3
RELATIVE = {"float64": 1e-10, "float32": 2e-5, "float16": 2e-5, "bfloat16": 2e-5}


CASES = {
    "softmax": Case(
        (LOGITS,),
        softmax_entropy,
        lambda z: stats.entropy(special.softmax(z, -1), axis=-1),
        differentiable=True,
    ),
    "softmax, large": Case(
        (LOGITS + 5000,), softmax_entropy, lambda z: stats.entropy(special.softmax(z, -1), axis=-1)
    ),
}


class TestEntropies(MetricTester, cases=CASES):
    """Entropies of logits."""


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("order", ORDERS)
def test_renyi_equals_its_definition(order, dtype, library):
    p = P.astype(dtype)
    given_p = torch.from_numpy(p) if library == "torch" else p
    tolerance = RELATIVE[dtype]
    entropy = renyi_entropy(given_p, order)
    assert str(entropy.dtype).removeprefix("torch.") == dtype
    assert tuple(entropy.shape) == (3,)
    np.testing.assert_allclose(np.asarray(entropy), renyi(p.astype(float), order), rtol=tolerance)
    np.testing.assert_allclose(
        np.asarray(hill_number(given_p, order)), np.exp(renyi(p.astype(float), order)), rtol=tolerance
    )


def test_shannon_equals_scipy():
    np.testing.assert_allclose(shannon_entropy(P), stats.entropy(P, axis=-1), rtol=1e-14)
    np.testing.assert_allclose(shannon_entropy(P, base=2), stats.entropy(P, axis=-1, base=2), rtol=1e-14)
    np.testing.assert_allclose(renyi_entropy(P, 1), shannon_entropy(P))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("n", [1, 2, 1000, 100_000])
def test_uniform(n, order):
    p = np.full(n, 1 / n)
    assert renyi_entropy(p, order) == pytest.approx(math.log(n), rel=1e-12, abs=1e-12)
    assert hill_number(p, order) == pytest.approx(n, rel=1e-10)
    if n > 1:
        assert renyi_entropy(p, order, base=n) == pytest.approx(1)


@pytest.mark.parametrize("order", ORDERS)
def test_certainty(order):
    p = np.array([0.0, 1.0, 0.0])
    assert renyi_entropy(p, order) == 0
    assert hill_number(p, order) == 1


@pytest.mark.parametrize("order", [o for o in ORDERS if o])
@pytest.mark.parametrize("function", [shannon_entropy, renyi_entropy, hill_number])
def test_gradients(function, order):
    of_p = function if function is shannon_entropy else partial(function, order=order)
    logits = torch.from_numpy(LOGITS).requires_grad_()
    assert torch.autograd.gradcheck(through_softmax(of_p), (logits,))


@pytest.mark.parametrize("order", [0.5, 1, 2, 7.5])
def test_empty_classes_receive_no_gradient(order):
    p = torch.tensor([0.5, 0.0, 0.3, 0.2], dtype=torch.float64, requires_grad=True)
    renyi_entropy(p, order).backward()
    assert p.grad.isfinite().all()
    assert p.grad[1] == 0
    logits = torch.tensor([1.0, -math.inf, 0.5], dtype=torch.float64, requires_grad=True)
    softmax_entropy(logits).backward()
    assert logits.grad.isfinite().all()
    assert logits.grad[1] == 0


def weights_of(elements):
    return hnp.arrays(float, st.integers(1, 12), elements=elements).filter(lambda w: w.sum() > 1e-3)


weights = weights_of(st.floats(0, 1) | st.floats(1e-12, 1e-6) | st.just(0.0))
# Products of these do not vanish.
moderate_weights = weights_of(st.floats(1e-9, 1) | st.just(0.0))


@given(weights=weights, orders=st.lists(st.floats(0, 80) | st.just(math.inf), min_size=2, max_size=6))
def test_hill_numbers_fall_with_the_order_and_lie_within_bounds(weights, orders):
    p = weights / weights.sum()
    numbers = [hill_number(p, order) for order in sorted(orders)]
    assert all(a >= b * (1 - 1e-9) for a, b in pairwise(numbers))
    assert min(numbers) >= 1 - 1e-9
    assert max(numbers) <= np.count_nonzero(p) * (1 + 1e-9)


@given(weights=weights, step=st.floats(1e-14, 1e-6), sign=st.sampled_from([-1, 1]))
def test_renyi_is_continuous_through_one(weights, step, sign):
    p = weights / weights.sum()
    # Its slope in the order is minus half the variance of ln p, which is below 200 here.
    assert renyi_entropy(p, 1 + sign * step) == pytest.approx(shannon_entropy(p), abs=200 * step + 1e-12)


@given(weights=weights, seed=st.integers(0, 99), order=st.floats(0, 20))
def test_order_of_classes_and_empty_ones_do_not_matter(weights, seed, order):
    p = weights / weights.sum()
    shuffled = np.random.default_rng(seed).permutation(np.append(p, [0, 0]))
    assert renyi_entropy(shuffled, order) == pytest.approx(renyi_entropy(p, order), rel=1e-9, abs=1e-12)


@given(a=moderate_weights, b=moderate_weights, order=st.floats(0, 20))
def test_independent_parts_add(a, b, order):
    p, q = a / a.sum(), b / b.sum()
    assert renyi_entropy(np.outer(p, q).ravel(), order) == pytest.approx(
        renyi_entropy(p, order) + renyi_entropy(q, order), rel=1e-7, abs=1e-7
    )


@given(shift=st.floats(-1e4, 1e4), seed=st.integers(0, 99))
def test_softmax_entropy_does_not_see_a_shift(shift, seed):
    logits = np.random.default_rng(seed).normal(size=9) * 5
    assert softmax_entropy(logits + shift) == pytest.approx(softmax_entropy(logits), abs=1e-9)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_excluded_classes(make):
    assert float(softmax_entropy(make([2.0, -math.inf, 2.0]))) == pytest.approx(math.log(2))
    assert float(softmax_entropy(make([-1e30, 0.0, -math.inf]))) == 0
    assert float(softmax_entropy(make([2.0, 2.0]), base=2)) == pytest.approx(1)


@pytest.mark.parametrize("make", [list, np.array, torch.tensor])
def test_integers_are_probabilities_too(make):
    assert float(shannon_entropy(make([0, 1, 0]))) == 0
    assert float(softmax_entropy(make([3, 3, 3, 3]))) == pytest.approx(math.log(4))


@pytest.mark.parametrize("order", [np.float32(2), np.int64(2), 2, 2.0])
def test_numbers_of_numpy_are_orders_and_bases(order):
    assert renyi_entropy([0.5, 0.5], order, base=order) == pytest.approx(1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(dtype):
    p = torch.tensor([0.5, 0.25, 0.125, 0.125], dtype=dtype)
    entropy = shannon_entropy(p)
    assert entropy.dtype == torch.float32
    assert float(entropy) == pytest.approx(1.75 * math.log(2), rel=1e-6)


BAD = {
    "NaN": ([0.5, math.nan], ValueError, "p holds NaN or infinite"),
    "infinity": ([0.5, math.inf], ValueError, "p holds NaN or infinite"),
    "empty": ([], ValueError, r"p is empty: shape \(0,\)"),
    "a number": (1.0, ValueError, "p must have at least 1 axes"),
    "negative": ([1.5, -0.5], ValueError, "p must not be negative, smallest entry -0.5"),
    "sum below one": ([0.5, 0.4], ValueError, "p must sum to one along the last axis, off by up to 0.1"),
    "one bad row": ([[0.5, 0.5], [0.7, 0.7]], ValueError, "off by up to 0.4"),
    "counts": ([3, 4], ValueError, "p must sum to one"),
    "complex": ([0.5 + 0j, 0.5], TypeError, "p must be real"),
    "strings": (["a", "b"], TypeError, "p must be an array of numbers"),
    "ragged": ([[1.0], [0.5, 0.5]], ValueError, "p must be a rectangular array"),
}


@pytest.mark.parametrize(("p", "error", "message"), BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize(
    "function", [shannon_entropy, partial(renyi_entropy, order=2), partial(hill_number, order=1)]
)
def test_bad_probabilities_are_named(function, p, error, message):
    with pytest.raises(error, match=message):
        function(p)


@pytest.mark.parametrize("order", [-1, math.nan, "two", None, 1j])
def test_bad_orders_are_named(order):
    for function in (renyi_entropy, hill_number):
        with pytest.raises(ValueError, match="order must be a number >= 0"):
            function([0.5, 0.5], order)


@pytest.mark.parametrize("base", [1, 0, -2, math.inf, math.nan, "e", None])
def test_bad_bases_are_named(base):
    for function in (shannon_entropy, partial(renyi_entropy, order=3), softmax_entropy):
        with pytest.raises(ValueError, match="base must be a positive number other than 1"):
            function([0.5, 0.5], base=base)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_bad_logits_are_named(bad):
    with pytest.raises(ValueError, match=r"logits holds NaN or infinite|largest of the logits"):
        softmax_entropy([[0.0, 1.0], [bad, 1.0]])
    with pytest.raises(ValueError, match="largest of the logits"):
        softmax_entropy([[0.0, 1.0], [-math.inf, -math.inf]])
