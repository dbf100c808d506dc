"""The exact law of the error: how many rows it asks for, and whether the sketches follow it."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from matropy.recovery import Sketch, SketchedLinearRegression, rows_needed


@pytest.mark.parametrize(
    ("d", "epsilon", "delta", "rows"),
    [(10, 0.5, 0.05, 329), (100, 0.5, 0.05, 4952), (100, 0.1, 0.01, 151_475), (1000, 0.5, 0.05, 66_801)],
)
def test_rows_needed(d, epsilon, delta, rows):
    assert rows_needed(d, epsilon, delta) == rows


@given(d=st.integers(1, 60), epsilon=st.floats(0.2, 20), delta=st.floats(1e-4, 0.9))
def test_rows_needed_is_the_least_number_that_suffices(d, epsilon, delta):
    def misses(nu):
        return scipy.stats.t.ppf(1 - delta / 2 / d, nu) > epsilon * np.sqrt(nu / d) * (1 + 1e-12)

    nu = rows_needed(d, epsilon, delta) - d + 1
    assert nu >= 1
    assert not misses(nu)
    assert nu == 1 or scipy.stats.t.ppf(1 - delta / 2 / d, nu - 1) > epsilon * np.sqrt((nu - 1) / d) * (
        1 - 1e-12
    )


def test_rows_needed_for_tiny_errors_and_probabilities():
    assert rows_needed(1, 1e-4, 0.05) == pytest.approx(scipy.stats.norm.ppf(0.975) ** 2 * 1e8, rel=1e-6)
    assert rows_needed(5, 1.0, 1e-30) > rows_needed(5, 1.0, 1e-10)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 0.5, 0.05), ValueError, "n_features must be at least 1"),
        ((2.0, 0.5, 0.05), TypeError, "n_features must be an integer"),
        ((2, 0, 0.05), ValueError, "epsilon must be a positive number, got 0"),
        ((2, float("nan"), 0.05), ValueError, "epsilon must be a positive number"),
        ((2, "a", 0.05), ValueError, "epsilon must be a positive number"),
        ((2, 0.5, 0), ValueError, "delta must be a number between 0 and 1"),
        ((2, 0.5, 1.0), ValueError, "delta must be a number between 0 and 1"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        rows_needed(*arguments)


def heavy_tailed(n, d):
    rng = np.random.default_rng(5)
    a, b = rng.standard_t(3, size=(n, d)), rng.standard_t(3, size=n)
    q, r = np.linalg.qr(a)
    residual = b - q @ (q.T @ b)
    return a, b, np.linalg.solve(r, q.T @ b), np.linalg.norm(residual), np.linalg.inv(a.T @ a)


def studentized_errors(kind, draws, n=400, d=8, m=40):
    """sqrt(nu) (x'_j - x_j) / (|r| sqrt(C_jj)) of one coefficient."""
    a, b, full, residual, inverse = heavy_tailed(n, d)
    rows = np.column_stack([a, b])
    chunk = 1024 if kind == "pooled" else 512
    errors = []
    for seed in range(draws):
        sketched = Sketch(kind, m, seed, chunk=chunk).update(rows).result()
        found = np.linalg.lstsq(sketched[:, :d], sketched[:, d])[0]
        errors.append((found[0] - full[0]) / (residual * np.sqrt(inverse[0, 0])))
    return np.sqrt(m - d + 1) * np.array(errors)


@pytest.mark.parametrize("kind", ["gaussian", "srht", "pooled"])
def test_errors_follow_the_t_law(kind):
    errors = studentized_errors(kind, 1000)
    # 1.63 / sqrt(n): what one of a hundred samples of the law itself exceeds.
    assert scipy.stats.kstest(errors, "t", args=(33,)).statistic < 1.63 / np.sqrt(1000)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gaussian", "srht", "pooled"])
def test_four_thousand_errors_follow_the_t_law(kind):
    assert scipy.stats.kstest(studentized_errors(kind, 4000), "t", args=(33,)).statistic < 0.03


def prediction_error(kind, n, d, m, draws):
    rng = np.random.default_rng(3)
    a, b = rng.standard_t(3, size=(n, d)), rng.standard_t(3, size=n)
    q, _ = np.linalg.qr(a)
    residual = b - q @ (q.T @ b)
    rows = np.column_stack([q, residual])  # in this basis the full solution is 0 and the error a plain norm
    errors = []
    for seed in range(draws):
        sketched = Sketch(kind, m, seed, chunk=8192).update(rows).result()
        errors.append(np.square(np.linalg.lstsq(sketched[:, :d], sketched[:, d])[0]).sum())
    return np.mean(errors) / (residual @ residual * d / (m - d - 1))


@pytest.mark.parametrize("kind", ["srht", "pooled"])
def test_mean_prediction_error(kind):
    # The relative standard deviation of one draw is about sqrt(2/d) = 0.35, of the mean of 100 0.035.
    assert prediction_error(kind, 2048, 16, 256, 100) == pytest.approx(1, abs=0.14)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["srht", "pooled"])
def test_mean_prediction_error_of_many_rows(kind):
    assert 0.93 <= prediction_error(kind, 2**15, 32, 512, 100) <= 1.07


@pytest.mark.parametrize(
    ("kind", "chunk", "factor"), [("pooled", 1024, 17 / 16), ("pooled", 8192, 1.0), ("srht", 1024, 1.0)]
)
def test_variance_of_inner_products(kind, chunk, factor):
    """1/m for orthogonal unit vectors, and 1 + 1/b times that when a row sums b coordinates."""
    m, draws = 64, 200
    q, _ = np.linalg.qr(np.random.default_rng(2).standard_t(3, size=(900, 16)))
    squares = []
    for seed in range(draws):
        sketched = Sketch(kind, m, seed, chunk=chunk).update(q).result()
        squares.append(np.square((sketched.T @ sketched)[np.triu_indices(16, 1)]).mean())
    # 120 pairs a draw: the mean has a standard deviation of about 0.012.
    assert m * np.mean(squares) == pytest.approx(factor, abs=0.036)


def coverage(kind, draws=60):
    """How often intervals cover the full-data coefficients: each, and all at once."""
    a, b, full, _, _ = heavy_tailed(400, 8)
    each, all_at_once = [], []
    for seed in range(draws):
        model = SketchedLinearRegression(
            60, kind=kind, method="sketch", fit_intercept=False, random_state=seed
        )
        model.fit(a, b)
        low, high = model.conf_int().T
        each.append(((low <= full) & (full <= high)).mean())
        low, high = model.conf_int(simultaneous=True).T
        all_at_once.append(((low <= full) & (full <= high)).all())
    return np.mean(each), np.mean(all_at_once)


@pytest.mark.parametrize("kind", ["gaussian", "srht", "pooled"])
def test_intervals_cover_the_full_solution(kind):
    each, all_at_once = coverage(kind)
    assert 0.91 <= each <= 0.985
    assert all_at_once >= 0.9
