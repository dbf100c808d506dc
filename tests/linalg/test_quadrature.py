"""Stochastic Lanczos quadrature against traces from all eigenvalues."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator

from matropy.linalg import stochastic_lanczos_quadrature


def decaying(n, power=1.0, seed=0):
    rng = np.random.default_rng(seed)
    eigenvalues = np.arange(1, n + 1.0) ** -power
    q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    return (q * eigenvalues) @ q.T, eigenvalues


def entropy(x):
    return np.where(x > 1e-14, -x * np.log(np.where(x > 1e-14, x, 1)), 0)


@pytest.mark.parametrize("rank", [0, 40])
def test_the_trace_is_within_its_error(rank):
    a, eigenvalues = decaying(300)
    exact = entropy(eigenvalues).sum()
    errors = []
    for seed in range(20):
        estimate = stochastic_lanczos_quadrature(a, entropy, rank=rank, rng=seed)
        errors.append((estimate.value - exact) / estimate.standard_error)
    assert np.sum(np.abs(errors) > 4) <= 2
    assert 0.3 < np.std(errors) < 3


def test_what_is_known_lowers_the_error():
    a, _ = decaying(300)
    norm = np.linalg.norm(a) ** 2
    bare = LinearOperator(a.shape, matvec=lambda v: a @ v, matmat=lambda v: a @ v, dtype=float)
    known = [{}, {"trace": np.trace(a)}, {"trace": np.trace(a), "squared_norm": norm}]
    options = [*known, {"rank": 40, **known[-1]}]
    errors = [
        np.mean(
            [
                stochastic_lanczos_quadrature(bare, entropy, rng=seed, **some).standard_error
                for seed in range(20)
            ]
        )
        for some in options
    ]
    assert errors[0] > errors[1] > errors[2] > 2 * errors[3]
    # Of an array both are known without asking.
    found = stochastic_lanczos_quadrature(a, entropy, rng=0)
    told = stochastic_lanczos_quadrature(bare, entropy, rng=0, **known[-1])
    assert found.standard_error == pytest.approx(told.standard_error, rel=1e-6)


def test_known_moments_are_exact():
    a, eigenvalues = decaying(50)
    a -= np.eye(50) / 10  # deflation is of the largest in modulus, whatever their sign
    eigenvalues = eigenvalues - 0.1
    for power in (0, 1, 2):
        estimate = stochastic_lanczos_quadrature(a, lambda x, p=power: x**p, rank=5, rng=3)
        assert estimate.value == pytest.approx(np.sum(eigenvalues**power), rel=1e-10)
        assert estimate.standard_error < 1e-10


@pytest.mark.parametrize("n", [1, 2, 7])
def test_deflating_everything_is_exact(n):
    a, eigenvalues = decaying(n)
    estimate = stochastic_lanczos_quadrature(a, np.exp, rank=64, rng=0)
    assert estimate.value == pytest.approx(np.exp(eigenvalues).sum(), rel=1e-12)
    assert estimate.standard_error == 0


def test_torch_gives_the_same_numbers():
    a, _ = decaying(60)
    options = {"rank": 8, "rng": 5}
    ours = stochastic_lanczos_quadrature(a, entropy, **options)
    theirs = stochastic_lanczos_quadrature(torch.from_numpy(a), entropy, **options)
    assert theirs.value == pytest.approx(ours.value, rel=1e-9)
    assert theirs.standard_error == pytest.approx(ours.standard_error, rel=1e-6)
    assert isinstance(theirs.value, float)


def test_products_are_counted():
    a, _ = decaying(100)
    columns = []

    def product(v):
        columns.append(v.shape[1])
        return a @ v

    bare = LinearOperator(a.shape, matvec=lambda v: a @ v, matmat=product, dtype=float)
    stochastic_lanczos_quadrature(bare, entropy, rank=10, n_probes=4, steps=6, rng=0)
    # Range finder, Ritz values, residuals of the pairs that were kept; then the probes.
    assert columns[:3] == [10] * 3
    assert 1 <= columns[3] <= 10
    assert columns[4:] == [4] * 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_probes": 1}, "n_probes must be at least 2"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"rank": -1}, "rank must be at least 0"),
        ({"function": lambda x: x.sum()}, "function must map shape"),
        ({"function": lambda x: x * np.inf}, "function gives NaN or infinite"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message), np.errstate(invalid="ignore"):
        stochastic_lanczos_quadrature(np.diag([1.0, 2.0]), **{"function": np.exp, **options})
