"""The Walsh-Hadamard transform."""

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

from matropy.linalg import fast_walsh_hadamard

rng = np.random.default_rng(0)


@pytest.mark.parametrize("n", [2**p for p in range(13)])
def test_equals_the_matrix(n):
    x = rng.normal(size=(n, 3))
    expected = scipy.linalg.hadamard(n) @ x
    np.testing.assert_allclose(fast_walsh_hadamard(x), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@given(
    shape=st.lists(st.sampled_from([1, 2, 4, 8, 64]), min_size=1, max_size=3),
    axis=st.integers(-3, 2),
    seed=st.integers(0, 99),
)
def test_any_axis_and_twice_is_n_times_the_input(shape, axis, seed):
    axis = axis % len(shape)
    x = np.random.default_rng(seed).normal(size=shape)
    n = shape[axis]
    transformed = fast_walsh_hadamard(x, axis=axis)
    expected = np.moveaxis(np.tensordot(scipy.linalg.hadamard(n), x, (1, axis)), 0, axis)
    np.testing.assert_allclose(transformed, expected, atol=1e-12)
    np.testing.assert_allclose(fast_walsh_hadamard(transformed, axis=axis - len(shape)), n * x, atol=1e-11)


def test_whole_numbers_are_exact():
    x = rng.integers(-1000, 1000, size=(2**10, 2))
    assert (fast_walsh_hadamard(x) == scipy.linalg.hadamard(2**10) @ x).all()


@pytest.mark.parametrize("n", [1, 2, 64])
def test_gives_a_new_array_and_leaves_the_input(n):
    x = rng.normal(size=(n, 2))
    before = x.copy()
    transformed = fast_walsh_hadamard(x)
    assert not np.shares_memory(transformed, x)
    transformed[:] = 0
    np.testing.assert_array_equal(x, before)


def test_a_view_without_contiguous_memory():
    x = rng.normal(size=(6, 64))[::2].T
    np.testing.assert_allclose(fast_walsh_hadamard(x), scipy.linalg.hadamard(64) @ x, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_stays_torch(dtype):
    x = torch.randn(128, 3, dtype=dtype, generator=torch.Generator().manual_seed(0))
    transformed = fast_walsh_hadamard(x)
    assert transformed.dtype == dtype
    np.testing.assert_allclose(transformed, fast_walsh_hadamard(x.numpy()), rtol=1e-5, atol=1e-5)


def test_gradient():
    x = torch.randn(
        2, 8, 3, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(0)
    )
    assert torch.autograd.gradcheck(lambda x: fast_walsh_hadamard(x, axis=1), x)


@pytest.mark.parametrize(
    ("x", "axis", "error", "message"),
    [
        (np.ones(12), 0, ValueError, "x must have a power of two of entries along axis 0, got 12"),
        (np.ones((4, 3)), 1, ValueError, "along axis 1, got 3"),
        (np.ones((4, 3)), -1, ValueError, "along axis 1, got 3"),
        (np.ones(4), 1, ValueError, "axis must be between -1 and 0, got 1"),
        (np.ones(4), 0.0, TypeError, "axis must be an integer"),
        (np.ones((0, 3)), 0, ValueError, "x is empty"),
        (np.ones(4) * 1j, 0, TypeError, "x must be real"),
        (1.0, 0, ValueError, "x must have at least 1 axes"),
    ],
)
def test_bad_input_is_named(x, axis, error, message):
    with pytest.raises(error, match=message):
        fast_walsh_hadamard(x, axis=axis)
