"""Linear regression from a sketch: what is fitted, by which route, at which rank."""

import numpy as np
import pytest
import scipy.sparse
from regression_data import A, D, N, X, Y, full_solution, pairs, same, sketched, y
from scipy.linalg import LinAlgWarning

from matropy.recovery import Sketch, SketchedLinearRegression, rows_needed

# What is fitted


@pytest.mark.parametrize("kind", ["srht", "pooled", "gaussian", "countsketch", "osnap"])
@pytest.mark.parametrize("intercept", [True, False])
def test_is_ordinary_regression_on_the_sketch(kind, intercept):
    """Against statsmodels' formulas, written out."""
    m = 90
    model = SketchedLinearRegression(
        m, kind=kind, method="sketch", fit_intercept=intercept, random_state=11, delta=0.1
    ).fit(X, y)
    a = A if intercept else X
    d = a.shape[1]
    s = Sketch(kind, m, 11).update(np.column_stack([a, y])).result()
    sa, sb = s[:, :d], s[:, d]
    x = np.linalg.lstsq(sa, sb)[0]
    inverse = np.linalg.inv(sa.T @ sa)
    sigma = np.sqrt(np.square(sb - sa @ x).sum() / (m - d))
    stderr = sigma * np.sqrt(np.diag(inverse))
    first = int(intercept)
    np.testing.assert_allclose(model.coef_, x[first:], rtol=1e-9)
    np.testing.assert_allclose(model.coef_stderr_, stderr[first:], rtol=1e-9)
    assert model.intercept_ == pytest.approx(x[0] if intercept else 0.0)
    assert model.intercept_stderr_ == pytest.approx(stderr[0] if intercept else 0.0)
    assert model.method_ == "sketch"
    assert model.n_sketch_rows_ == m
    assert model.n_iter_ == 0
    for level, miss in ((None, 0.05), (0.8, 0.2)):
        for simultaneous in (False, True):
            t = scipy.stats.t.ppf(1 - miss / 2 / (d if simultaneous else 1), m - d)
            low, high = model.conf_int(level, simultaneous).T
            np.testing.assert_allclose(low, x[first:] - t * stderr[first:], rtol=1e-8)
            np.testing.assert_allclose(high, x[first:] + t * stderr[first:], rtol=1e-8)
    assert model.linf_bound_ == pytest.approx(scipy.stats.t.ppf(1 - 0.1 / 2 / d, m - d) * stderr.max())


@pytest.mark.parametrize("method", ["auto", "normal"])
@pytest.mark.parametrize("intercept", [True, False])
def test_the_normal_route_is_the_full_solution(method, intercept):
    model = SketchedLinearRegression(method=method, fit_intercept=intercept).fit(X, y)
    a = A if intercept else X
    full = full_solution(a, y)
    found = np.append(model.intercept_, model.coef_) if intercept else model.coef_
    np.testing.assert_allclose(found, full, rtol=1e-10)
    assert model.method_ == "normal"
    assert not model.coef_stderr_.any()
    assert model.intercept_stderr_ == model.linf_bound_ == 0
    np.testing.assert_array_equal(model.conf_int(), np.stack([model.coef_] * 2, axis=-1))
    residual = y - a @ full
    classical = np.sqrt(np.diag(np.linalg.inv(a.T @ a)) * (residual @ residual) / (N - a.shape[1]))
    np.testing.assert_allclose(model.sampling_stderr_, classical[int(intercept) :], rtol=1e-9)


def test_sampling_errors_from_a_sketch_are_unbiased():
    exact = SketchedLinearRegression(method="normal").fit(X, y).sampling_stderr_
    squares = [
        SketchedLinearRegression(20, method="sketch", random_state=seed)
        .fit(X[:2000], y[:2000])
        .sampling_stderr_
        ** 2
        for seed in range(150)
    ]
    exact = SketchedLinearRegression(method="normal").fit(X[:2000], y[:2000]).sampling_stderr_ ** 2
    # One draw has a relative standard deviation of about 0.6.
    np.testing.assert_allclose(np.mean(squares, axis=0), exact, rtol=0.25)


def test_rows_by_the_rule(model):
    d = D + 1
    assert SketchedLinearRegression(method="sketch").fit(X, y).n_sketch_rows_ == rows_needed(d, 0.5, 0.05)
    wanted = {"epsilon": 0.3, "delta": 0.01, "fit_intercept": False}
    assert SketchedLinearRegression(**wanted).fit(X, y).n_sketch_rows_ == rows_needed(D, 0.3, 0.01)
    assert SketchedLinearRegression(method="sketch", epsilon=1e6).fit(X, y).n_sketch_rows_ == d + 2
    assert model.n_sketch_rows_ == 400


def test_error_is_within_the_bound_that_the_rule_aims_for():
    norms = np.linalg.norm(X, axis=0)
    x = X / norms
    full = full_solution(x, y)
    radius = 0.5 / np.sqrt(D) * np.linalg.norm(y - x @ full) / np.linalg.svd(x, compute_uv=False)[-1]
    for seed in range(20):
        model = SketchedLinearRegression(method="sketch", fit_intercept=False, random_state=seed).fit(x, y)
        assert np.abs(model.coef_ - full).max() <= radius


def test_several_targets_are_each_their_own(model):
    several = sketched().fit(X, Y)
    assert several.coef_.shape == several.coef_stderr_.shape == several.sampling_stderr_.shape == (3, D)
    assert several.intercept_.shape == several.linf_bound_.shape == several.intercept_stderr_.shape == (3,)
    assert several.conf_int().shape == (3, D, 2)
    assert several.predict(X[:7]).shape == (7, 3)
    for k in range(3):
        single = sketched().fit(X, Y[:, k])
        for name in ("coef_", "coef_stderr_", "intercept_", "linf_bound_", "sampling_stderr_"):
            np.testing.assert_allclose(
                getattr(several, name)[k], getattr(single, name), rtol=1e-8, atol=1e-12
            )
        np.testing.assert_allclose(several.predict(X)[:, k], single.predict(X), rtol=1e-8)


def test_one_target_with_two_axes_keeps_them():
    for method in ("normal", "sketch"):
        model = SketchedLinearRegression(method=method, random_state=0).fit(X, y[:, None])
        assert model.coef_.shape == (1, D)
        assert model.predict(X).shape == (N, 1)
        assert model.linf_bound_.shape == (1,)


# Which route


def test_auto_takes_the_sketch_where_the_condition_is_bad(rng):
    t = np.linspace(-1, 1, 3000)
    vandermonde = np.vander(t, 24, increasing=True)
    scaled = vandermonde / np.linalg.norm(vandermonde, axis=0)
    assert 1e7 < np.linalg.cond(scaled) < 1e10
    wave = np.cos(3 * t) + 0.1 * rng.normal(size=3000)
    model = SketchedLinearRegression(fit_intercept=False, random_state=0).fit(vandermonde, wave)
    assert model.method_ == "sketch"
    assert SketchedLinearRegression(fit_intercept=False).fit(vandermonde[:, :12], wave).method_ == "normal"
    # Units alone do not count.
    units = 10.0 ** np.arange(12)
    assert (
        SketchedLinearRegression(fit_intercept=False).fit(vandermonde[:, :12] * units, wave).method_
        == "normal"
    )


@pytest.mark.parametrize(("columns", "route"), [(1001, "sketch"), (1000, "normal")])
def test_auto_takes_the_sketch_for_very_many_columns(columns, route):
    x = np.eye(1004, columns) + 0.01
    model = SketchedLinearRegression(1003, kind="gaussian", fit_intercept=False, random_state=0)
    assert model.fit(x, y[:1004]).method_ == route


def test_auto_decides_the_same_of_a_stream_that_can_be_read_once():
    t = np.linspace(-1, 1, 3000)
    for columns, route in ((24, "sketch"), (12, "normal")):
        x = np.vander(t, columns, increasing=True)
        auto = SketchedLinearRegression(fit_intercept=False, random_state=0)
        stream = auto.fit_blocks(iter(pairs(700, x, np.cos(9 * t))))
        assert stream.method_ == route
        same(stream, SketchedLinearRegression(fit_intercept=False, random_state=0).fit(x, np.cos(9 * t)))


def test_normal_equations_of_columns_far_from_zero_keep_their_digits(rng):
    x = rng.normal(size=(5000, 3))
    target = x @ [1.0, 2.0, 3.0]
    model = SketchedLinearRegression(method="normal").fit(x + 1e6, target)
    np.testing.assert_allclose(model.coef_, [1, 2, 3], rtol=1e-8)


# Rank


@pytest.mark.parametrize("method", ["auto", "sketch", "normal"])
@pytest.mark.parametrize("refined", [False, True])
def test_dependent_columns_are_named_and_the_solution_is_the_shortest(method, refined):
    if refined and method == "normal":
        return
    pandas = pytest.importorskip("pandas")
    x = np.column_stack([X, X[:, 1] + X[:, 2], X[:, 3], np.zeros(N)])
    frame = pandas.DataFrame(x, columns=["a", "b", "c", "d", "e", "b plus c", "d again", "nothing"])
    model = SketchedLinearRegression(300, method=method, refine=refined, random_state=0)
    named = r"rank 6, not 9; .*: b plus c \(of b, c\), d again \(of d\), nothing \(zero\)\. The solution is the one of least"
    with pytest.warns(LinAlgWarning, match=named):
        model.fit(frame, y)
    a = np.column_stack([np.ones(N), x])
    if refined or method == "normal":
        full = np.linalg.lstsq(a, y)[0]
        np.testing.assert_allclose(model.coef_, full[1:], rtol=1e-8, atol=1e-10)
    else:
        s = Sketch("srht", 300, 0).update(np.column_stack([a, y])).result()
        np.testing.assert_allclose(
            model.coef_, np.linalg.lstsq(s[:, :-1], s[:, -1])[0][1:], rtol=1e-8, atol=1e-10
        )
        low, high = model.conf_int(0.9999).T
        full = np.linalg.lstsq(a, y)[0][1:]
        assert ((low <= full + 1e-9) & (full - 1e-9 <= high)).all()
    assert model.coef_[-1] == pytest.approx(0, abs=1e-12)


def test_a_constant_column_beside_the_intercept():
    x = np.column_stack([X, np.full(N, 0.1)])
    for method in ("sketch", "normal"):
        with pytest.warns(LinAlgWarning, match=r"rank 6, not 7; .*: x5 \(of the intercept\)"):
            SketchedLinearRegression(method=method, random_state=0).fit(x, y)


@pytest.mark.parametrize("method", ["auto", "sketch", "normal"])
def test_fewer_rows_than_columns(method):
    with pytest.warns(LinAlgWarning, match="rank 3, not 6"):
        model = SketchedLinearRegression(method=method, random_state=0).fit(X[:3], y[:3])
    np.testing.assert_allclose(model.predict(X[:3]), y[:3], rtol=1e-8)
    a = A[:3]
    np.testing.assert_allclose(np.append(model.intercept_, model.coef_), np.linalg.pinv(a) @ y[:3], rtol=1e-6)
    assert (model.sampling_stderr_ == np.inf).all()


@pytest.mark.parametrize("method", ["auto", "sketch", "normal"])
def test_one_row_and_a_design_of_zeros(method):
    with pytest.warns(LinAlgWarning, match="rank 1"):
        model = SketchedLinearRegression(method=method, random_state=0).fit(X[:1], y[:1])
    np.testing.assert_allclose(model.predict(X[:1]), y[:1])
    with pytest.warns(LinAlgWarning, match="rank 0, not 2"):
        nothing = SketchedLinearRegression(method=method, fit_intercept=False, random_state=0).fit(
            np.zeros((9, 2)), y[:9]
        )
    assert not nothing.coef_.any()
    assert np.isfinite(nothing.coef_stderr_).all()


def test_as_many_rows_as_coefficients():
    model = SketchedLinearRegression(method="normal").fit(X[: D + 1], y[: D + 1])
    np.testing.assert_allclose(model.predict(X[: D + 1]), y[: D + 1], rtol=1e-6)
    assert (model.sampling_stderr_ == np.inf).all()


def test_a_row_that_alone_decides_a_coefficient_gets_a_wide_bar():
    x = np.column_stack([X, np.zeros(N)])
    x[17, -1] = 1
    full = full_solution(np.column_stack([np.ones(N), x]), y)
    model = SketchedLinearRegression(400, method="sketch", random_state=0).fit(x, y)
    low, high = model.conf_int(0.999)[-1]
    assert low < full[-1] < high
    assert high - low > 1
