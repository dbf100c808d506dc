"""Lanczos tridiagonalization of what a symmetric matrix may be given as."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.linalg import aslinearoperator

from matropy.linalg import Estimate, lanczos


def symmetric(n, seed=0):
    a = np.random.default_rng(seed).normal(size=(n, n))
    return (a + a.T) / 2


GIVEN_AS = {
    "NumPy": lambda a: (a, {}),
    "list": lambda a: (a.tolist(), {}),
    "torch": lambda a: (torch.from_numpy(a), {}),
    "sparse": lambda a: (csr_array(a), {}),
    "operator": lambda a: (aslinearoperator(a), {}),
    "function": lambda a: (lambda v: a @ v, {"size": len(a)}),
}


@pytest.mark.parametrize("given_as", GIVEN_AS.values(), ids=GIVEN_AS.keys())
def test_the_recurrence_holds(given_as):
    a = symmetric(30)
    operator, options = given_as(a)
    result = lanczos(operator, 12, rng=0, **options)
    diagonal, off, q = (np.asarray(part) for part in (result.diagonal, result.off_diagonal, result.basis))
    t = np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1)
    left = a @ q - q @ t
    np.testing.assert_allclose(q.T @ q, np.eye(12), atol=1e-13)
    np.testing.assert_allclose(left[:, :-1], 0, atol=1e-12)
    assert np.linalg.norm(left[:, -1]) == pytest.approx(result.remainder, rel=1e-10)
    assert isinstance(result.basis, torch.Tensor) == isinstance(operator, torch.Tensor)
    same = lanczos(operator, 12, rng=0, **options)
    np.testing.assert_array_equal(np.asarray(same.diagonal), diagonal)


@given(n=st.integers(1, 25), seed=st.integers(0, 99))
def test_all_steps_give_all_eigenvalues(n, seed):
    a = symmetric(n, seed)
    result = lanczos(a, n + 3, rng=seed)
    expected = np.linalg.eigvalsh(a)
    np.testing.assert_allclose(result.ritz_values, expected, atol=1e-9)
    vectors = result.ritz_vectors
    np.testing.assert_allclose(a @ vectors, vectors * expected, atol=1e-8)
    assert result.weights.sum() == pytest.approx(1)


def test_an_eigenvalue_lies_within_the_residual():
    a = symmetric(80)
    result = lanczos(a, 15, rng=1)
    eigenvalues = np.linalg.eigvalsh(a)
    for theta, residual, u in zip(
        result.ritz_values, result.residual_norms, result.ritz_vectors.T, strict=True
    ):
        assert np.linalg.norm(a @ u - theta * u) == pytest.approx(residual, rel=1e-8, abs=1e-12)
        assert np.min(np.abs(eigenvalues - theta)) <= residual + 1e-12


def test_an_invariant_space_ends_the_recurrence():
    a = np.diag([3.0, 3.0, 1.0, 0.0])
    result = lanczos(a, 4, start=[1.0, 1.0, 2.0, 0.0])
    assert result.remainder == 0
    np.testing.assert_allclose(result.ritz_values, [1, 3], atol=1e-14)
    assert result.basis.shape == (4, 2)
    assert lanczos(np.zeros((3, 3)), 3, rng=0).ritz_values.tolist() == [0.0]


def test_single_precision_stays_and_the_basis_stays_orthonormal():
    a = torch.from_numpy(symmetric(60)).float().requires_grad_()
    result = lanczos(a, 40, start=np.ones(60))
    assert result.basis.dtype == torch.float32
    assert not result.basis.requires_grad
    torch.testing.assert_close(result.basis.mT @ result.basis, torch.eye(40), atol=1e-5, rtol=0)


BAD = {
    "not square": (np.ones((2, 3)), {}, ValueError, "operator must be square, got shape"),
    "rectangular operator": (aslinearoperator(np.ones((2, 3))), {}, ValueError, "operator must be square"),
    "asymmetric": (np.array([[1.0, 2.0], [0.0, 1.0]]), {}, ValueError, "operator must be symmetric, off by"),
    "NaN": (np.diag([1.0, np.nan]), {}, ValueError, "operator holds NaN"),
    "empty": (np.zeros((0, 0)), {}, ValueError, "operator is empty"),
    "complex": (np.eye(2) * 1j, {}, TypeError, "operator must be real"),
    "complex operator": (aslinearoperator(np.eye(2) * 1j), {}, TypeError, "operator must be real"),
    "no size": (lambda v: v, {}, ValueError, "size must be given"),
    "bad size": (lambda v: v, {"size": 0}, ValueError, "size must be at least 1"),
    "wrong shape": (lambda v: v[:1], {"size": 3}, ValueError, "operator must map"),
    "gives NaN": (lambda v: v * np.nan, {"size": 3}, ValueError, "operator gives NaN"),
    "short start": (np.eye(3), {"start": [1.0, 2.0]}, ValueError, "start must have 3 entries, got 2"),
    "zero start": (np.eye(3), {"start": np.zeros(3)}, ValueError, "start is zero"),
    "no steps": (np.eye(3), {"steps": 0}, ValueError, "steps must be at least 1"),
    "a word": ("abc", {}, TypeError, "operator must be an array"),
}


@pytest.mark.parametrize(("operator", "options", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(operator, options, error, message):
    with pytest.raises(error, match=message):
        lanczos(operator, **{"steps": 2, **options})


def test_an_estimate_reads_well():
    assert str(Estimate(3.14159265, 0.012345)) == "3.14159 ± 0.012"
    assert str(Estimate(2.0, None)) == "2"
