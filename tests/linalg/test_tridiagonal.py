"""Spectra through one tridiagonal matrix."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matropy.linalg._norms import small_gram, small_gram_triangle
from matropy.linalg._tridiagonal import raw_and_centered_eigenvalues, symmetric_eigenvalues

TOLERANCE = {np.float64: 1e-13, np.float32: 1e-5}


def rows(n, d, seed=0, offset=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5 + offset * rng.normal(size=d)


def symmetric(n, dtype, seed=0):
    a = np.random.default_rng(seed).normal(size=(n, n)).astype(dtype)
    return a + a.T


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("n", [1, 2, 3, 40, 200])
def test_eigenvalues_of_a_symmetric_matrix(n, dtype):
    a = symmetric(n, dtype)
    before = a.copy()
    eigenvalues = symmetric_eigenvalues(a)
    assert eigenvalues.dtype == dtype
    expected = np.linalg.eigvalsh(a.astype(float))
    np.testing.assert_allclose(eigenvalues, expected, atol=TOLERANCE[dtype] * n * abs(expected).max())
    np.testing.assert_array_equal(a, before)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(1, 1), (3, 8), (8, 3), (41, 60), (130, 50)])
def test_a_triangle_is_enough(shape, dtype):
    x = rows(*shape).astype(dtype)
    triangle = small_gram_triangle(x)
    gram = small_gram(x.astype(float))
    np.testing.assert_allclose(np.tril(triangle), np.tril(gram), rtol=TOLERANCE[dtype], atol=1e-4)
    triangle[np.triu_indices(len(triangle), 1)] = np.nan
    before = triangle.copy()
    eigenvalues = symmetric_eigenvalues(triangle)
    np.testing.assert_array_equal(triangle, before)
    np.testing.assert_array_equal(symmetric_eigenvalues(triangle, overwrite=True), eigenvalues)
    expected = np.linalg.eigvalsh(gram)
    np.testing.assert_allclose(eigenvalues, expected, atol=TOLERANCE[dtype] * len(gram) * expected[-1])


@given(
    n=st.integers(1, 30),
    d=st.integers(1, 30),
    seed=st.integers(0, 999),
    offset=st.sampled_from([0.0, 1.0, 1000.0]),
)
def test_raw_and_centered_equal_the_singular_values(n, d, seed, offset):
    x = rows(n, d, seed, offset)
    before = x.copy()
    k = min(n, d)
    for got, matrix in zip(raw_and_centered_eigenvalues(x), (x, x - x.mean(0)), strict=True):
        assert got.shape == (k,)
        assert np.all(np.diff(got) <= 0)
        assert np.all(got >= 0)
        expected = np.linalg.svd(matrix, compute_uv=False) ** 2
        np.testing.assert_allclose(got, expected, atol=1e-14 * (n + d) * np.sum(x * x))
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (1, 4), (4, 1)])
@pytest.mark.parametrize("value", [0.0, 2.5])
def test_equal_rows_have_nothing_left_after_centering(shape, value):
    raw, centered = raw_and_centered_eigenvalues(np.full(shape, value))
    np.testing.assert_allclose(raw[0], shape[0] * shape[1] * value**2)
    np.testing.assert_allclose(raw[1:], 0, atol=1e-12)
    np.testing.assert_allclose(centered, 0, atol=1e-12)


def test_threads_side_by_side_give_what_one_gives():
    matrices = [symmetric(60, np.float64, seed) for seed in range(16)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(symmetric_eigenvalues, matrices))
    for eigenvalues, a in zip(together, matrices, strict=True):
        np.testing.assert_array_equal(eigenvalues, symmetric_eigenvalues(a))
