"""The measures of structureless hidden states."""

import math

import numpy as np
import pytest
import representation_reference as reference
import torch
from hypothesis import given
from hypothesis import strategies as st

from matropy.metrics import isotropic_null, matrix_entropy, matrix_nuclear_norm


def simulated(n, d, draws):
    """Mean measures of Gaussian states, on torch since its eigensolver starts faster."""
    generator = torch.Generator().manual_seed(n + d)
    hidden = [torch.randn(n, d, generator=generator) for _ in range(draws)]
    return (
        float(torch.stack([matrix_nuclear_norm(h) for h in hidden]).mean()),
        float(torch.stack([matrix_entropy(h) for h in hidden]).mean()),
    )


@pytest.mark.parametrize(
    ("n", "d", "draws", "tolerance", "nats"),
    [
        (64, 768, 20, 0.005, 0.002),
        (256, 2048, 5, 0.005, 0.002),
        (1024, 768, 2, 0.005, 0.002),
        (300, 5120, 3, 0.005, 0.002),
        (16, 4096, 20, 0.005, 0.002),
        (2, 576, 200, 0.04, 1e-6),
    ],
)
def test_formulas_against_simulation(n, d, draws, tolerance, nats):
    null = isotropic_null(n, d)
    norm, entropy = simulated(n, d, draws)
    assert null.matrix_nuclear_norm == pytest.approx(norm, rel=tolerance)
    assert null.matrix_entropy == pytest.approx(entropy, abs=nats)


def test_small_square_shapes_are_as_rough_as_documented():
    norm, entropy = simulated(16, 16, 400)
    null = isotropic_null(16, 16)
    assert null.matrix_nuclear_norm == pytest.approx(norm, rel=0.005)
    assert null.matrix_entropy == pytest.approx(entropy, abs=0.02)


def test_two_tokens_have_no_entropy():
    assert isotropic_null(2, 576).matrix_entropy == 0


@pytest.mark.parametrize(("n", "d"), [(2, 3), (5, 1), (7, 30), (64, 64), (300, 40), (256, 576)])
def test_formula_equals_numerical_integration(n, d):
    null = isotropic_null(n, d)
    assert null.matrix_nuclear_norm == pytest.approx(reference.null_nuclear_norm(n, d), rel=1e-6)
    assert null.matrix_entropy == pytest.approx(reference.null_entropy(n, d), abs=1e-12)


@given(n=st.integers(2, 5000), d=st.integers(1, 8000))
def test_bounds(n, d):
    null = isotropic_null(n, d)
    # The formula is an approximation: at two tokens it is 4 % off, to either side of the bound.
    assert 0 < null.matrix_nuclear_norm <= math.sqrt(min(n, d) / n) * (1 + 1e-12)
    assert -1e-12 <= null.matrix_entropy <= math.log(max(1, min(n - 1, d)))


def test_wider_models_score_lower_without_learning():
    widths = np.array([768, 1088, 1536, 2048, 2560, 4096, 5120])
    null = isotropic_null(256, widths).matrix_nuclear_norm
    assert np.all(np.diff(null) < 0)


def test_arrays_broadcast():
    null = isotropic_null([[4], [9]], [5, 6, 7])
    assert null.matrix_nuclear_norm.shape == null.matrix_entropy.shape == (2, 3)
    assert null.matrix_nuclear_norm[1, 2] == isotropic_null(9, 7).matrix_nuclear_norm
    assert isinstance(isotropic_null(9, 7).matrix_entropy, float)


@pytest.mark.parametrize(
    ("n", "d", "message"),
    [
        (1, 5, "n_tokens must be at least 2, got 1"),
        ([3, 0], 5, "n_tokens must be at least 2, got 0"),
        (math.nan, 5, "n_tokens must be at least 2"),
        (5, 0, "n_features must be at least 1, got 0"),
    ],
)
def test_bad_shapes_are_named(n, d, message):
    with pytest.raises(ValueError, match=message):
        isotropic_null(n, d)
