"""Sketches of tensor products."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matropy.recovery import TensorSketch

rng = np.random.default_rng(0)


@given(
    n=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    d=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    m=st.integers(1, 12),
    seed=st.integers(0, 2**64 - 1),
)
def test_is_one_matrix_times_the_product(n, d, m, seed):
    rng = np.random.default_rng(seed)
    x, y, b = rng.normal(size=(n[0], d[0])), rng.normal(size=(n[1], d[1])), rng.normal(size=n)
    sketch = TensorSketch(m, seed)
    s = sketch.transform(np.eye(n[0]), np.eye(n[1]))
    np.testing.assert_allclose(np.abs(s), 1 / np.sqrt(m), rtol=1e-12)
    np.testing.assert_allclose(sketch.transform(x, y), s @ np.kron(x, y), atol=1e-12)
    np.testing.assert_allclose(sketch.transform_target(b), s @ b.ravel(), atol=1e-12)


def inner_product_errors(pair, m=64, draws=800):
    """Spread of (Sg)(Sh) times sqrt(m), of unit vectors that are orthogonal."""
    (x1, y1), (x2, y2) = pair
    x, y = np.column_stack([x1, x2]), np.column_stack([y1, y2])
    products = []
    for seed in range(draws):
        sketched = TensorSketch(m, seed).transform(x, y)
        products.append(sketched[:, 0] @ sketched[:, 3])
    return np.sqrt(m) * np.std(products)


def unit_pair(n):
    q, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(n, 2)))
    return q.T


def test_pairs_that_are_orthogonal_in_both_factors_follow_the_dense_law():
    (x1, x2), (y1, y2) = unit_pair(40), unit_pair(30)
    assert inner_product_errors(((x1, y1), (x2, y2))) == pytest.approx(1, abs=0.09)


def test_pairs_that_share_a_factor_have_up_to_sqrt_three():
    (x1, _), (y1, y2) = unit_pair(40), unit_pair(30)
    assert 1.4 < inner_product_errors(((x1, y1), (x1, y2))) < 1.05 * np.sqrt(3)


def test_solves_a_regression_on_products():
    x, y = rng.normal(size=(200, 4)), rng.normal(size=(150, 3))
    weights = rng.normal(size=(4, 3))
    target = np.einsum("ia,jb,ab->ij", x, y, weights) + rng.normal(size=(200, 150))
    sketch = TensorSketch(600, 0)
    found = np.linalg.lstsq(sketch.transform(x, y), sketch.transform_target(target))[0]
    full = np.linalg.lstsq(np.kron(x, y), target.ravel())[0]
    assert np.abs(found - full).max() < 5 * np.sqrt(1 / 600)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: TensorSketch(0, 0), ValueError, "n_rows must be between 1"),
        (lambda: TensorSketch(3, -1), ValueError, "seed must be between 0"),
        (
            lambda: TensorSketch(3, 0).transform(np.ones(3), np.eye(2)),
            ValueError,
            r"X must have 2 axes, got shape \(3,\)",
        ),
        (lambda: TensorSketch(3, 0).transform(np.eye(2), np.ones((0, 2))), ValueError, "Y is empty"),
        (lambda: TensorSketch(3, 0).transform(np.eye(2), [[np.nan]]), ValueError, "Y holds NaN or infinite"),
        (lambda: TensorSketch(3, 0).transform_target(np.ones(3)), ValueError, "B must have 2 axes"),
        (lambda: TensorSketch(3, 0).transform_target([["a"]]), TypeError, "B must be an array of numbers"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_repr():
    assert repr(TensorSketch(3, 7)) == "TensorSketch(3, seed=7)"
