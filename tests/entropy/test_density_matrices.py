"""Entropy of density matrices."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg

from matropy.entropy import shannon_entropy, von_neumann_entropy


def density(n, *, kind=complex, rank=None, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, rank or n))
    if kind is complex:
        a = a + 1j * rng.normal(size=a.shape)
    rho = a @ a.conj().T
    return rho / np.trace(rho).real


@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy], ids=["NumPy", "torch"])
@pytest.mark.parametrize("kind", [float, complex])
def test_equals_the_matrix_logarithm(kind, library):
    rho = density(5, kind=kind)
    expected = -np.trace(rho @ linalg.logm(rho)).real
    got = von_neumann_entropy(library(rho))
    assert str(got.dtype).removeprefix("torch.") == "float64"
    assert float(got) == pytest.approx(expected, rel=1e-10)
    assert float(von_neumann_entropy(library(rho), base=2)) == pytest.approx(expected / math.log(2))


@pytest.mark.parametrize("n", [1, 2, 9])
def test_pure_and_maximally_mixed(n):
    assert von_neumann_entropy(density(n, rank=1)) == pytest.approx(0, abs=1e-12)
    assert von_neumann_entropy(np.eye(n) / n) == pytest.approx(math.log(n))


def test_stacks():
    stack = np.array([[density(4, seed=s) for s in range(3)] for _ in range(2)])
    got = von_neumann_entropy(stack)
    assert got.shape == (2, 3)
    np.testing.assert_allclose(got[1], [von_neumann_entropy(density(4, seed=s)) for s in range(3)])


@given(seed=st.integers(0, 999), n=st.integers(1, 6))
def test_unitary_change_of_basis(seed, n):
    rho = density(n, seed=seed)
    u = np.linalg.qr(density(n, seed=seed + 1) + np.eye(n))[0]
    assert von_neumann_entropy(u @ rho @ u.conj().T) == pytest.approx(von_neumann_entropy(rho), abs=1e-9)


@given(seed=st.integers(0, 999))
def test_independent_systems_add_and_measuring_the_basis_adds_entropy(seed):
    a, b = density(3, seed=seed), density(2, seed=seed + 1)
    entropy = von_neumann_entropy(a)
    assert von_neumann_entropy(np.kron(a, b)) == pytest.approx(entropy + von_neumann_entropy(b))
    assert entropy <= shannon_entropy(np.diag(a).real) + 1e-9


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_gradient(dtype):
    a = torch.randn(4, 4, dtype=dtype, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def entropy(a):
        rho = a @ a.mH + torch.eye(4)
        return von_neumann_entropy(rho / rho.diagonal().sum())

    assert torch.autograd.gradcheck(entropy, (a,))


def test_gradient_at_repeated_eigenvalues():
    rho = (torch.eye(3, dtype=torch.float64) / 3).requires_grad_()
    von_neumann_entropy(rho).backward()
    assert rho.grad.isfinite().all()


BAD = {
    "not square": (np.ones((2, 3)), ValueError, r"rho must be square, got shape \(2, 3\)"),
    "a vector": (np.ones(3), ValueError, "rho must have at least 2 axes"),
    "empty": (np.ones((0, 0)), ValueError, "rho is empty"),
    "NaN": (np.full((2, 2), np.nan), ValueError, "rho holds NaN or infinite"),
    "not Hermitian": ([[0.5, 0.1], [0.0, 0.5]], ValueError, "rho must be Hermitian, off by up to 0.1"),
    "symmetric, not Hermitian": ([[0.5, 0.2j], [0.2j, 0.5]], ValueError, "rho must be Hermitian"),
    "negative": (
        np.diag([1.5, -0.5]),
        ValueError,
        "rho must be positive semidefinite, smallest eigenvalue -0.5",
    ),
    "trace two": (np.eye(2), ValueError, "rho must have trace one, off by up to 1"),
    "strings": ([["a"]], TypeError, "rho must be an array of numbers"),
}


@pytest.mark.parametrize(("rho", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_matrices_are_named(rho, error, message):
    with pytest.raises(error, match=message):
        von_neumann_entropy(rho)


def test_bad_base_is_named():
    with pytest.raises(ValueError, match="base must be"):
        von_neumann_entropy(np.eye(2) / 2, base=1)
