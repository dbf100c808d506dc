"""Counter-based randomness."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from matropy._core._random import poisson_weights


def test_inverts_the_distribution_function():
    bits = np.random.Philox(key=7, counter=[0, 3, 0, 0]).random_raw(5000)
    expected = stats.poisson(1).ppf((bits.astype(float) + 0.5) / 2.0**64)
    np.testing.assert_array_equal(poisson_weights(7, 3, 5000), expected)


def test_the_same_numbers_on_every_machine():
    assert poisson_weights(0, 0, 20).tolist() == [0, 0, 0, 1, 1, 0, 3, 4, 0, 0, 1, 0, 1, 0, 2, 2, 0, 0, 3, 1]


@given(seed=st.integers(0, 2**64 - 2), index=st.integers(0, 2**63 - 1))
def test_a_function_of_seed_and_index_alone(seed, index):
    weights = poisson_weights(seed, index, 64)
    poisson_weights(seed + 1, index, 5)
    np.testing.assert_array_equal(poisson_weights(seed, index, 64), weights)
    # Fewer replicates are the first of many.
    np.testing.assert_array_equal(poisson_weights(seed, index, 9), weights[:9])
    assert not np.array_equal(poisson_weights(seed + 1, index, 64), weights)


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_mean_and_variance_are_one_and_items_are_independent(seed):
    weights = np.array([poisson_weights(seed, index, 2000) for index in range(100)]).astype(float)
    n = weights.size
    assert weights.mean() == pytest.approx(1, abs=4 / np.sqrt(n))
    # The fourth central moment of Poisson(1) is 4, so the sample variance has variance 3 / n.
    assert weights.var() == pytest.approx(1, abs=4 * np.sqrt(3 / n))
    counts = np.bincount(weights.astype(int).ravel(), minlength=12)[:7]
    expected = stats.poisson(1).pmf(np.arange(7)) * n
    assert np.all(abs(counts - expected) < 5 * np.sqrt(expected))
    between = np.corrcoef(weights)[np.triu_indices(100, 1)]
    assert abs(between).max() < 5.5 / np.sqrt(2000)


def test_all_mass_is_covered():
    weights = poisson_weights(5, 5, 1)
    assert weights.dtype == np.uint8
    assert weights.shape == (1,)
