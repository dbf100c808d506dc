"""Refinement of a sketched regression to the full solution."""

import numpy as np
import pytest
from regression_data import A, D, N, X, Y, full_solution, y
from sklearn.exceptions import ConvergenceWarning

from matropy.recovery import SketchedLinearRegression


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("target", [y, Y], ids=["one target", "three targets"])
def test_refinement_gives_the_full_solution(intercept, target):
    model = SketchedLinearRegression(refine=True, fit_intercept=intercept, random_state=0).fit(X, target)
    full = full_solution(A if intercept else X, target)
    found = (
        np.vstack([np.atleast_1d(model.intercept_), np.atleast_2d(model.coef_).T])
        if intercept
        else model.coef_.T
    )
    np.testing.assert_allclose(found.reshape(full.shape), full, rtol=1e-10, atol=1e-12)
    assert model.method_ == "sketch"
    assert 3 <= model.n_iter_ <= 25
    assert not np.any(model.coef_stderr_)
    assert not np.any(model.linf_bound_)
    exact = SketchedLinearRegression(method="normal", fit_intercept=intercept).fit(X, target)
    # The residual is exact now; the design is known through the sketch.
    np.testing.assert_allclose(model.sampling_stderr_, exact.sampling_stderr_, rtol=0.25)


def test_refinement_keeps_its_digits_where_normal_equations_lose_them(rng):
    t = np.linspace(-1, 1, 4000)
    x = np.vander(t, 24, increasing=True)
    target = np.cos(3 * t) + 0.1 * rng.normal(size=4000)
    q, _ = np.linalg.qr(x)
    fitted = q @ (q.T @ target)
    model = SketchedLinearRegression(refine=True, fit_intercept=False, random_state=0).fit(x, target)
    assert np.linalg.norm(model.predict(x) - fitted) < 1e-7 * np.linalg.norm(target - fitted)


def test_a_target_in_the_range_is_found():
    target = X @ np.arange(1.0, D + 1)
    model = SketchedLinearRegression(refine=True, random_state=0).fit(X, target)
    np.testing.assert_allclose(model.coef_, np.arange(1.0, D + 1), rtol=1e-12)
    assert model.n_iter_ < 25
    zero = SketchedLinearRegression(refine=True, random_state=0).fit(X, np.zeros(N))
    assert not zero.coef_.any()
    assert zero.n_iter_ == 0


def test_refinement_that_does_not_converge_says_so(rng):
    x = rng.normal(size=(4000, 300))
    slow = SketchedLinearRegression(302, kind="gaussian", refine=True, fit_intercept=False, random_state=0)
    with pytest.warns(ConvergenceWarning, match="not converged in 200 iterations: take more sketch rows"):
        slow.fit(x, y[:4000])
    assert slow.n_iter_ == 200


@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
def test_refinement_in_a_subspace_says_so(rng):
    """Rows drawn twice leave a sketch with hardly more rows than columns without full rank."""
    x = rng.normal(size=(4000, 300))
    twice = SketchedLinearRegression(302, refine=True, fit_intercept=False, random_state=0)
    with pytest.warns(ConvergenceWarning, match="has not converged .* take more sketch rows"):
        twice.fit(x, y[:4000])
