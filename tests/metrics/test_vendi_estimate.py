"""Estimates of the Vendi score against exact scores."""

import math

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import aslinearoperator

from matropy.entropy import hill_number
from matropy.linalg import Estimate, Gram
from matropy.metrics import kernels, vendi_score, vendi_score_estimate

GAUSSIAN = {"kernel": "rbf", "sigma": 8.0}


def gaussian(n, d=64, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def clusters(n, d=64, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    return x + 4 * rng.normal(size=(10, d))[rng.integers(0, 10, n)]


def truncated(kernel, t, order=1.0, p=None):
    p = np.full(len(kernel), 1 / len(kernel)) if p is None else p
    top = np.linalg.eigvalsh(np.sqrt(np.outer(p, p)) * kernel)[::-1][:t]
    return float(hill_number(top + (1 - top.sum()) / t, order))


class TestQuadrature:
    @pytest.mark.slow
    @pytest.mark.parametrize("make", [gaussian, clusters])
    def test_within_one_percent_and_its_error_on_two_thousand_items(self, make):
        far = 0
        for seed in range(10):
            x = make(2_000, seed=seed)
            exact = vendi_score(x, **GAUSSIAN)
            estimate = vendi_score_estimate(x, **GAUSSIAN, rng=seed)
            assert abs(estimate.value / exact - 1) < 0.01
            assert estimate.standard_error < 0.01 * exact
            far += abs(estimate.value - exact) > 4 * estimate.standard_error
        assert far <= 1

    @pytest.mark.parametrize("order", [0.5, 1, 1 + 1e-9, 2, 3])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_within_its_error_on_fewer(self, order, weighted):
        x = clusters(400)
        p = np.random.default_rng(0).dirichlet(np.full(400, 3.0)) if weighted else None
        exact = vendi_score(x, **GAUSSIAN, order=order, weights=p)
        far = 0
        for seed in range(5):
            estimate = vendi_score_estimate(x, **GAUSSIAN, order=order, weights=p, rng=seed)
            assert abs(estimate.value / exact - 1) < 0.01
            far += abs(estimate.value - exact) > 4 * estimate.standard_error + 1e-9
        assert far <= 1

    def test_smooth_through_order_one(self):
        x = gaussian(200)
        at, near = (vendi_score_estimate(x, **GAUSSIAN, order=q, rng=0) for q in (1, 1 + 1e-7))
        assert near.value == pytest.approx(at.value, rel=1e-5)
        assert near.standard_error == pytest.approx(at.standard_error, rel=1e-3)

    @pytest.mark.parametrize("n", [1, 2, 50])
    def test_exact_for_few_items(self, n):
        x = gaussian(n)
        for order in (0.5, 1, 2):
            estimate = vendi_score_estimate(x, **GAUSSIAN, order=order, rng=0)
            assert estimate.value == pytest.approx(vendi_score(x, **GAUSSIAN, order=order), rel=1e-9)
            assert estimate.standard_error == 0

    def test_any_kernel_and_any_way_to_give_it(self):
        x = clusters(300)
        kernel = kernels.rbf(x, sigma=8.0)
        exact = vendi_score(kernel, kernel="precomputed")
        p = np.random.default_rng(0).dirichlet(np.ones(300))
        for given in (kernel, torch.from_numpy(kernel), aslinearoperator(kernel)):
            for weights in (None, p):
                estimate = vendi_score_estimate(given, kernel="precomputed", weights=weights, rng=0)
                expected = exact if weights is None else vendi_score(kernel, kernel="precomputed", weights=p)
                assert isinstance(estimate, Estimate)
                assert abs(estimate.value - expected) < min(4 * estimate.standard_error, 0.03 * expected)
                assert isinstance(estimate.value, float)
        cosine = vendi_score_estimate(x, rng=0)
        assert cosine.value == pytest.approx(vendi_score(x), rel=0.01)
        texts = [f"{i} {i % 7} {i % 5} and more" for i in range(100)]
        assert vendi_score_estimate(texts, kernel="ngram", rng=0).value == pytest.approx(
            vendi_score(texts, kernel="ngram"), rel=0.02
        )

    def test_the_same_seed_gives_the_same_number(self):
        x = gaussian(600, d=5)
        for method in ("slq", "rff", "nystrom", "truncated"):
            first, second = (
                vendi_score_estimate(x, method=method, kernel="rbf", n_features=64, rng=3) for _ in range(2)
            )
            assert first == second
            assert (first.standard_error is None) == (method != "slq")

    def test_without_a_seed_the_bandwidth_is_that_of_the_exact_score(self):
        x = gaussian(700, d=2)
        exact = vendi_score(x, kernel="rbf")
        for rng in (None, 0):
            estimate = vendi_score_estimate(x, method="truncated", kernel="rbf", rank=700, rng=rng)
            assert estimate.value == pytest.approx(exact, rel=1e-9)

    def test_an_indefinite_kernel_is_refused(self):
        kernel = np.kron(np.eye(40), [[1, 0.9, 0], [0.9, 1, 0.9], [0, 0.9, 1]])
        for method in ("slq", "nystrom", "truncated"):
            with pytest.raises(ValueError, match="not positive semidefinite"):
                vendi_score_estimate(kernel, method=method, kernel="precomputed", rank=8, rng=0)


class TestFourier:
    def test_extrapolation_halves_the_error(self):
        x = gaussian(2_000)[:500]
        exact = vendi_score(x, **GAUSSIAN)
        plain, extrapolated = (
            vendi_score_estimate(x, method="rff", **GAUSSIAN, n_features=1024, extrapolate=extrapolate, rng=0)
            for extrapolate in (False, True)
        )
        assert plain.value < exact
        assert abs(extrapolated.value - exact) < abs(plain.value - exact) / 2

    @pytest.mark.slow
    def test_extrapolation_halves_the_error_on_two_thousand_items(self):
        for seed in range(3):
            x = gaussian(2_000, seed=seed)
            exact = vendi_score(x, **GAUSSIAN)
            plain, extrapolated = (
                vendi_score_estimate(
                    x, method="rff", **GAUSSIAN, n_features=2048, extrapolate=extrapolate, rng=seed
                ).value
                for extrapolate in (False, True)
            )
            assert abs(extrapolated - exact) < abs(plain - exact) / 2

    @pytest.mark.parametrize("n", [30, 300])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_the_formula(self, n, weighted):
        """Few items go through their products, many through second moments: the same number."""
        x = gaussian(n, d=3)
        p = np.random.default_rng(0).dirichlet(np.ones(n)) if weighted else np.full(n, 1 / n)
        frequencies = np.random.default_rng(7).standard_normal((3, 32)) / 2.0

        def score(chosen):
            phase = x @ frequencies[:, chosen]
            features = np.concatenate([np.cos(phase), np.sin(phase)], axis=1) / phase.shape[1] ** 0.5
            eigenvalues = np.linalg.eigvalsh((features * p[:, None]).T @ features)
            eigenvalues = eigenvalues[eigenvalues > 1e-14]
            return -np.sum(eigenvalues * np.log(eigenvalues))

        whole, halves = score(slice(None)), (score(slice(16)) + score(slice(16, None))) / 2
        options = {"method": "rff", "kernel": "rbf", "sigma": 2.0, "n_features": 32, "rng": 7}
        options["weights"] = p if weighted else None
        assert vendi_score_estimate(x, extrapolate=False, **options).value == pytest.approx(
            np.exp(whole), rel=1e-9
        )
        assert vendi_score_estimate(x, **options).value == pytest.approx(np.exp(2 * whole - halves), rel=1e-9)
        assert vendi_score_estimate(torch.from_numpy(x), **options).value == pytest.approx(
            np.exp(2 * whole - halves), rel=1e-9
        )

    def test_streams_equal_the_rows_in_memory(self, tmp_path, monkeypatch):
        dask = pytest.importorskip("dask.array")
        monkeypatch.setattr("matropy.metrics._vendi._items._PIECE", 2**12)
        x = gaussian(700, d=5)
        np.save(tmp_path / "rows.npy", x)
        options = {"method": "rff", "kernel": "rbf", "n_features": 32, "rng": 0}
        expected = vendi_score_estimate(x, **options).value
        for rows in (
            np.load(tmp_path / "rows.npy", mmap_mode="r"),
            dask.from_array(x, chunks=(300, 2)),
        ):
            assert vendi_score_estimate(rows, **options).value == pytest.approx(expected, rel=1e-9)

    @pytest.mark.slow
    def test_a_hundred_thousand_rows_in_under_two_gigabytes(self, run_python):
        printed = run_python("""
import resource
import numpy as np
from matropy.metrics import vendi_score_estimate
rows = np.random.default_rng(0).standard_normal((100_000, 64)).astype(np.float32)
estimate = vendi_score_estimate(rows, method="rff", kernel="rbf", sigma=8.0, n_features=1024, rng=0)
print(estimate.value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
""")
        score, gigabytes = map(float, printed.split())
        assert 90 < score < 110
        assert gigabytes < 2


class TestLandmarks:
    @pytest.mark.parametrize("order", [0, 0.5, 1, 2, math.inf])
    def test_all_items_as_landmarks_are_exact(self, order):
        x = clusters(60)
        p = np.random.default_rng(0).dirichlet(np.ones(60))
        for weights in (None, p):
            estimate = vendi_score_estimate(
                x, method="nystrom", **GAUSSIAN, order=order, weights=weights, n_features=1024, rng=0
            )
            assert estimate.value == pytest.approx(
                vendi_score(x, **GAUSSIAN, order=order, weights=weights), rel=1e-6
            )

    def test_a_kernel_of_low_rank_needs_few(self):
        x = gaussian(500, d=6)
        estimate = vendi_score_estimate(x, method="nystrom", n_features=20, rng=0)
        assert estimate.value == pytest.approx(vendi_score(x), rel=1e-8)
        kernel = torch.from_numpy(kernels.cosine(x))
        assert vendi_score_estimate(
            kernel, method="nystrom", kernel="precomputed", n_features=20, rng=0
        ).value == pytest.approx(vendi_score(x), rel=1e-6)

    def test_it_tends_to_the_truncated_score(self):
        x = clusters(600)
        kernel = kernels.rbf(x, sigma=8.0)
        estimate = vendi_score_estimate(x, method="nystrom", **GAUSSIAN, n_features=300, rng=0).value
        assert estimate == pytest.approx(truncated(kernel, 300), rel=0.05)
        assert estimate < vendi_score(x, **GAUSSIAN)


class TestTruncated:
    @pytest.mark.parametrize("t", [1, 5, 30, 150])
    @pytest.mark.parametrize("order", [0.5, 1, 2])
    def test_the_formula(self, t, order):
        x = clusters(150)
        kernel = kernels.rbf(x, sigma=8.0)
        p = np.random.default_rng(0).dirichlet(np.ones(150))
        for weights in (None, p):
            expected = truncated(kernel, t, order, weights)
            for given, options in (
                (x, GAUSSIAN),
                (kernel, {"kernel": "precomputed"}),
                (torch.from_numpy(kernel), {"kernel": "precomputed"}),
                (aslinearoperator(kernel), {"kernel": "precomputed"}),
            ):
                estimate = vendi_score_estimate(
                    given, method="truncated", rank=t, order=order, weights=weights, rng=0, **options
                )
                assert estimate.value == pytest.approx(expected, rel=1e-9)
                assert estimate.standard_error is None

    def test_a_few_of_many_by_iteration(self):
        kernel = kernels.rbf(clusters(400), sigma=8.0)
        for given in (kernel, aslinearoperator(kernel)):
            estimate = vendi_score_estimate(given, method="truncated", kernel="precomputed", rank=8, rng=0)
            assert estimate.value == pytest.approx(truncated(kernel, 8), rel=1e-9)

    def test_features_and_more_than_all(self):
        x = gaussian(80, d=10)
        assert vendi_score_estimate(x, method="truncated", rank=4).value == pytest.approx(
            truncated(kernels.cosine(x), 4), rel=1e-9
        )
        assert vendi_score_estimate(x, method="truncated", rank=500).value == pytest.approx(
            vendi_score(x), rel=1e-9
        )


BAD = {
    "method": ({"method": "exact"}, ValueError, "method must be one of 'slq', 'rff'"),
    "several orders": ({"order": [1, 2]}, ValueError, "order must be one number"),
    "negative order": ({"order": -1}, ValueError, "order must be a number >= 0"),
    "rank order": ({"order": 0}, ValueError, "order must be positive and finite for method='slq', got 0"),
    "infinite order": ({"order": math.inf}, ValueError, "order must be positive and finite"),
    "kernel": ({"method": "rff"}, ValueError, "method='rff' is for kernel='rbf', got 'cosine'"),
    "odd": (
        {"method": "rff", "kernel": "rbf", "n_features": 7},
        ValueError,
        "n_features must be even to be extrapolated",
    ),
    "no features": ({"method": "nystrom", "n_features": 0}, ValueError, "n_features must be at least 1"),
    "t": ({"method": "truncated", "rank": 0}, ValueError, "rank must be at least 1"),
    "rank": ({"rank": -1}, ValueError, "rank must be at least 0"),
    "probes": ({"n_probes": 1}, ValueError, "n_probes must be at least 2"),
    "steps": ({"steps": 0}, ValueError, "steps must be at least 1"),
    "weights": ({"weights": [1.0]}, ValueError, "weights must have one entry an item"),
    "weights of features": (
        {"method": "rff", "kernel": "rbf", "weights": [1.0, 1.0, 1.0]},
        ValueError,
        "weights must sum to one",
    ),
    "a Gram": ({"x": Gram(2)}, TypeError, "an estimate needs the items"),
    "an operator": ({"x": aslinearoperator(np.eye(3))}, ValueError, "needs kernel='precomputed'"),
    "landmarks of an operator": (
        {"x": aslinearoperator(np.eye(3)), "kernel": "precomputed", "method": "nystrom"},
        ValueError,
        "method='nystrom' needs entries",
    ),
    "NaN": ({"x": [[np.nan, 1.0]]}, ValueError, "x holds NaN"),
    "NaN of features": (
        {"x": [[np.nan, 1.0]], "method": "rff", "kernel": "rbf", "sigma": 1.0},
        ValueError,
        "x holds NaN",
    ),
    "zero row": ({"x": [[0.0, 0.0]]}, ValueError, "x holds a zero row"),
    "no rows": ({"x": np.ones((0, 2)), "method": "rff", "kernel": "rbf"}, ValueError, "x is empty"),
}


@pytest.mark.parametrize(("options", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(options, error, message):
    with pytest.raises(error, match=message):
        vendi_score_estimate(**{"x": np.array([[1.0, 0.2], [0.3, 1.0], [0.5, 0.6]]), **options})
