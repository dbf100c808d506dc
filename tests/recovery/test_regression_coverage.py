"""Where sparse sketches fail, and intervals on real data."""

import warnings

import numpy as np
import pytest
from regression_data import full_solution
from scipy.linalg import LinAlgWarning

from matropy.recovery import Sketch, SketchedLinearRegression
from matropy.studies.linf_regression._flights import flights_design


def coherent(d, n, t, seed):
    """Rows of the identity, and a residual on few random later rows: the solution is zero."""
    generator = np.random.default_rng(seed)
    rows = np.zeros((n, d + 1))
    rows[:d, :d] = np.eye(d)
    at = d + generator.choice(n - d, t, replace=False)
    rows[at, d] = generator.choice([-1, 1], t) / np.sqrt(t)
    return rows


def largest_errors(kind, draws, t, d=64, m=1024, n=4096):
    errors = []
    for seed in range(draws):
        sketch = Sketch(kind, m, seed, chunk=16 * m if kind == "pooled" else 4096).update(
            coherent(d, n, t, seed)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LinAlgWarning)
            found = SketchedLinearRegression(fit_intercept=False).fit_sketch(sketch)
        errors.append(np.sqrt(m) * np.abs(found.coef_).max())
    return np.median(errors)


def test_sparse_sketches_are_off_where_few_rows_decide():
    # A design row and a residual row in one bucket: sqrt(m) times 1/sqrt(t), here t = 3m/d = 48.
    assert largest_errors("countsketch", 12, t=48) == pytest.approx(np.sqrt(1024 / 48), abs=0.01)
    assert largest_errors("srht", 12, t=48) < 4
    assert largest_errors("pooled", 12, t=48) < 4


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_published_instance():
    sizes = {"d": 256, "m": 4096, "n": 32_768}
    assert largest_errors("countsketch", 24, t=48, **sizes) == pytest.approx(9.24, abs=0.01)
    assert largest_errors("srht", 24, t=48, **sizes) < 4
    assert largest_errors("pooled", 24, t=48, **sizes) < 4


def flights(data, every=1):
    design, target, _ = flights_design(data("linf-regression/flights_2013.npz"), every)
    return design, target


def covered(design, target, m, kind, draws):
    full = SketchedLinearRegression(method="normal", fit_intercept=False).fit(design, target).coef_
    each, misses = [], 0
    for seed in range(draws):
        sketch = Sketch(kind, m, seed).update(np.column_stack([design, target]))
        model = SketchedLinearRegression(fit_intercept=False).fit_sketch(sketch)
        low, high = model.conf_int().T
        each.append(((low <= full) & (full <= high)).mean())
        low, high = model.conf_int(simultaneous=True).T
        misses += not ((low <= full) & (full <= high)).all()
    return np.mean(each), misses


@pytest.mark.parametrize("kind", ["srht", "pooled"])
def test_intervals_cover_on_every_fortieth_flight(data, kind):
    each, misses = covered(*flights(data, every=40), 1024, kind, 12)
    # One draw has a standard deviation of 0.12 to 0.18.
    assert each >= 0.84
    assert misses <= 3


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["srht", "pooled"])
def test_intervals_cover_on_all_flights(data, kind):
    each, misses = covered(*flights(data), 4096, kind, 40)
    assert 0.87 <= each <= 1
    assert misses <= 5


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_refinement_on_all_flights(data):
    design, target = flights(data)
    x = design / np.linalg.norm(design, axis=0)
    full = full_solution(x, target)
    model = SketchedLinearRegression(4096, refine=True, fit_intercept=False, random_state=0).fit(x, target)
    assert model.n_iter_ <= 25
    assert np.abs(model.coef_ - full).max() <= 1e-10 * np.abs(full).max()
