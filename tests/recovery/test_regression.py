"""Linear regression from a sketch."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse
from scipy.linalg import LinAlgWarning
from sklearn.exceptions import ConvergenceWarning

from matropy.recovery import Sketch, SketchedLinearRegression, rows_needed
from matropy.studies.linf_regression._flights import flights_design

rng = np.random.default_rng(0)
N, D = 20_011, 5
X = rng.standard_t(3, size=(N, D)) * [1, 10, 0.1, 1, 1] + [0, 3, 0, 0, 50]
y = X @ [1.0, 0.2, -3.0, 0.0, 2.0] + 7 + rng.normal(size=N)
Y = np.column_stack([y, rng.normal(size=N), X[:, 0] - y])
A = np.column_stack([np.ones(N), X])


def sketched():
    return SketchedLinearRegression(400, method="sketch", random_state=3)


def full_solution(a, b):
    q, r = np.linalg.qr(a)
    return np.linalg.solve(r, q.T @ b)


def cut(rows, size):
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def pairs(size, x=X, target=y):
    return list(zip(cut(x, size), cut(target, size), strict=True))


def same(model, other, tolerance=0.0):
    for name in (
        "coef_",
        "intercept_",
        "coef_stderr_",
        "intercept_stderr_",
        "sampling_stderr_",
        "linf_bound_",
    ):
        np.testing.assert_allclose(
            getattr(model, name), getattr(other, name), rtol=tolerance, atol=tolerance, err_msg=name
        )
    assert model.method_ == other.method_
    assert model.n_sketch_rows_ == other.n_sketch_rows_


@pytest.fixture(scope="module")
def model():
    return sketched().fit(X, y)


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


def test_auto_takes_the_sketch_where_the_condition_is_bad():
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


def test_normal_equations_of_columns_far_from_zero_keep_their_digits():
    x = rng.normal(size=(5000, 3))
    target = x @ [1.0, 2.0, 3.0]
    model = SketchedLinearRegression(method="normal").fit(x + 1e6, target)
    np.testing.assert_allclose(model.coef_, [1, 2, 3], rtol=1e-8)


# Refinement


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


def test_refinement_keeps_its_digits_where_normal_equations_lose_them():
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


def test_refinement_that_does_not_converge_says_so():
    x = rng.normal(size=(4000, 300))
    slow = SketchedLinearRegression(302, kind="gaussian", refine=True, fit_intercept=False, random_state=0)
    with pytest.warns(ConvergenceWarning, match="not converged in 200 iterations: take more sketch rows"):
        slow.fit(x, y[:4000])
    assert slow.n_iter_ == 200


@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
def test_refinement_in_a_subspace_says_so():
    """Rows drawn twice leave a sketch with hardly more rows than columns without full rank."""
    x = rng.normal(size=(4000, 300))
    twice = SketchedLinearRegression(302, refine=True, fit_intercept=False, random_state=0)
    with pytest.warns(ConvergenceWarning, match="has not converged .* take more sketch rows"):
        twice.fit(x, y[:4000])


# However the rows come


@pytest.mark.parametrize("options", [{}, {"method": "sketch"}, {"method": "sketch", "kind": "pooled"}])
def test_blocks_change_no_bit(options):
    whole = SketchedLinearRegression(random_state=3, **options).fit(X, y)
    for size in (997, 8192, 20_000):
        same(SketchedLinearRegression(random_state=3, **options).fit_blocks(pairs(size)), whole)
    generator = (pair for pair in pairs(3000))
    same(SketchedLinearRegression(random_state=3, **options).fit_blocks(generator), whole)
    grown = SketchedLinearRegression(random_state=3, **options)
    for block in pairs(4096):
        assert grown.partial_fit(*block) is grown
        assert grown.coef_.shape == (D,)
    same(grown, whole)


def test_partial_fit_equals_a_fit_to_what_was_seen():
    grown = sketched()
    for i in (0, 300, 600):
        grown.partial_fit(X[i : i + 300], y[i : i + 300])
        same(
            grown,
            sketched().fit(X[: i + 300], y[: i + 300]),
        )
    # A fit in between begins anew.
    same(grown.fit(X, y).partial_fit(X[:300], y[:300]), sketched().fit(X[:300], y[:300]))


def test_a_stream_goes_on_after_pickling():
    half = SketchedLinearRegression(random_state=3).partial_fit(X[:9000], y[:9000])
    twin = pickle.loads(pickle.dumps(half))  # noqa: S301
    same(twin.partial_fit(X[9000:], y[9000:]), SketchedLinearRegression(random_state=3).fit(X, y))
    same(half.partial_fit(X[9000:], y[9000:]), twin)


def test_sparse_rows(model):
    x = np.where(rng.random((3000, 6)) < 0.3, rng.normal(size=(3000, 6)), 0.0)
    for options in ({"method": "sketch"}, {}, {"refine": True}):
        make = lambda options=options: SketchedLinearRegression(200, random_state=1, **options)  # noqa: E731
        dense = make().fit(x, y[:3000])
        for kind in (scipy.sparse.csr_array, scipy.sparse.csc_matrix, scipy.sparse.coo_array):
            same(make().fit(kind(x), y[:3000]), dense, tolerance=1e-12)
        np.testing.assert_allclose(dense.predict(scipy.sparse.csr_array(x)), dense.predict(x), rtol=1e-12)
        blocks = [(scipy.sparse.csr_matrix(x[:1000]), y[:1000]), (x[1000:], y[1000:3000])]
        same(make().fit_blocks(blocks), dense, tolerance=1e-12)


def test_memory_maps(tmp_path, model):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", y)
    x, target = (np.load(tmp_path / name, mmap_mode="r") for name in ("x.npy", "y.npy"))
    same(sketched().fit(x, target), model)
    np.testing.assert_array_equal(model.predict(x), model.predict(X))


def test_single_precision_is_summed_in_double():
    x, target = X.astype(np.float32), y.astype(np.float32)
    for method in ("sketch", "normal"):
        single = SketchedLinearRegression(400, method=method, random_state=3).fit(x, target)
        double = SketchedLinearRegression(400, method=method, random_state=3).fit(
            x.astype(np.float64), target.astype(np.float64)
        )
        same(single, double)
        assert single.coef_.dtype == np.float64


def test_arrow_record_batches(model):
    arrow = pytest.importorskip("pyarrow")
    names = ["a", "b", "c", "d", "e"]
    table = arrow.table({"y": y, **dict(zip(names, X.T, strict=True))})
    reader = arrow.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=3001))
    streamed = sketched().fit_blocks(reader, target="y")
    same(streamed, model)
    assert streamed.feature_names_in_.tolist() == names
    listed = sketched().fit_blocks(table.to_batches(max_chunksize=500), target=["y", "a"])
    same(listed, sketched().fit(X[:, 1:], np.column_stack([y, X[:, 0]])))
    assert listed.coef_.shape == (2, 4)
    refined = SketchedLinearRegression(400, refine=True, random_state=3).fit_blocks(
        table.to_batches(), target="y"
    )
    np.testing.assert_allclose(refined.coef_, full_solution(A, y)[1:], rtol=1e-10, atol=1e-12)


def test_bad_record_batches_are_named():
    arrow = pytest.importorskip("pyarrow")
    good = arrow.record_batch({"a": [1.0, 2, 3], "y": [1.0, 2, 4]})
    regression = SketchedLinearRegression()
    for batches, target, error, message in [
        ([good], None, ValueError, "record batches need target="),
        ([good], "z", ValueError, r"target must name columns of the record batches \(a, y\), got 'z'"),
        ([good, arrow.record_batch({"y": [1.0]})], "y", ValueError, "block 1 must have the columns"),
        (
            [good, arrow.record_batch({"b": [1.0], "y": [1.0]})],
            "y",
            ValueError,
            "block 1 must have the columns",
        ),
        (
            [good, arrow.record_batch({"a": [1.0, None], "y": [1.0, 2]})],
            "y",
            ValueError,
            "block 1 of X, row 1 holds NaN",
        ),
        (
            [arrow.record_batch({"a": ["u"], "y": [1.0]})],
            "y",
            TypeError,
            "column 'a' of block 0 must hold real numbers",
        ),
        ([(X, y)], "y", ValueError, "target= names a column of record batches, and block 0 is a pair"),
    ]:
        with pytest.raises(error, match=message):
            regression.fit_blocks(batches, target=target)


def test_dask_arrays_are_read_one_block_at_a_time(model):
    dask = pytest.importorskip("dask.array")
    x = dask.from_array(X, chunks=(3001, 2))
    targets = [dask.from_array(y, chunks=3001), dask.from_array(y, chunks=777), y]
    for target in targets:
        same(sketched().fit(x, target), model)
    refined = SketchedLinearRegression(400, refine=True, random_state=3).fit(x, targets[0])
    np.testing.assert_allclose(refined.coef_, full_solution(A, y)[1:], rtol=1e-10, atol=1e-12)
    predicted = model.predict(x)
    assert isinstance(predicted, dask.Array)
    np.testing.assert_allclose(predicted.compute(), model.predict(X), rtol=1e-12)
    unknown = (
        x[x[:, 0] > -np.inf],
        targets[0][targets[0] > -np.inf],
    )  # dask does not know how many rows are left
    same(sketched().fit(*unknown), model)
    with pytest.raises(ValueError, match="y must have as many blocks as X"):
        sketched().fit(x, targets[1][targets[1] > -np.inf])
    with pytest.raises(ValueError, match="as many rows as X"):
        SketchedLinearRegression().fit(x, y[:-1])
    with pytest.raises(ValueError, match="X must have 5 features"):
        model.predict(x[:, :3])


# Map and reduce


def share_of(start, rows, chunk=1024):
    return Sketch("srht", 400, 3, chunk=chunk, start_chunk=start).update(rows)


def shares(chunk=1024, size=5):
    rows = np.column_stack([A, y])
    return [(start, rows[start * chunk : (start + size) * chunk]) for start in range(0, 20, size)]


def merged(sketches):
    total = Sketch("srht", 400, 3, chunk=1024)
    for sketch in sketches:
        total.merge(sketch)
    return SketchedLinearRegression().fit_sketch(total)


@pytest.fixture(scope="module")
def one_worker():
    return SketchedLinearRegression().fit_sketch(share_of(0, np.column_stack([A, y])))


def test_joblib_threads_equal_one_worker(one_worker):
    joblib = pytest.importorskip("joblib")
    done = joblib.Parallel(n_jobs=2, prefer="threads")(joblib.delayed(share_of)(*share) for share in shares())
    same(merged(done), one_worker, tolerance=1e-11)


@pytest.mark.slow
def test_joblib_processes_equal_one_worker(one_worker):
    joblib = pytest.importorskip("joblib")
    done = joblib.Parallel(n_jobs=2)(joblib.delayed(share_of)(*share) for share in shares())
    same(merged(done), one_worker, tolerance=1e-11)


@pytest.mark.parametrize("scheduler", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_dask_tasks_equal_one_worker(one_worker, scheduler):
    dask = pytest.importorskip("dask")
    tasks = [dask.delayed(share_of)(*share) for share in shares()]
    same(merged(dask.compute(*tasks, scheduler=scheduler)), one_worker, tolerance=1e-11)


@pytest.mark.slow
def test_a_local_dask_cluster_equals_one_worker(one_worker):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        done = client.gather([client.submit(share_of, *share) for share in shares()])
    same(merged(done), one_worker, tolerance=1e-11)


def test_fit_sketch_equals_fit_wherever_the_ones_stand(model):
    for columns in ([A, y], [X, np.ones(N), y], [X[:, :2], np.ones(N), X[:, 2:], y]):
        sketch = Sketch("srht", 400, 3).update(np.column_stack(columns))
        assert SketchedLinearRegression().fit_sketch(sketch).n_features_in_ == D
        same(SketchedLinearRegression().fit_sketch(sketch), model, tolerance=1e-9)
    plain = SketchedLinearRegression(fit_intercept=False).fit_sketch(
        Sketch("srht", 400, 3).update(np.column_stack([A, y]))
    )
    np.testing.assert_allclose(plain.coef_, np.append(model.intercept_, model.coef_), rtol=1e-9)
    several = SketchedLinearRegression().fit_sketch(
        Sketch("srht", 400, 3).update(np.column_stack([A, Y])), n_targets=3
    )
    same(several, sketched().fit(X, Y), tolerance=1e-9)


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


# Bad input


def spoiled(value, row):
    x = X[:9000].copy()
    x[row, 2] = value
    return x


@pytest.mark.parametrize("options", [{}, {"method": "sketch"}, {"method": "normal"}, {"refine": True}])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(options, value):
    regression = SketchedLinearRegression(random_state=0, **options)
    with pytest.raises(ValueError, match="block 0 of X, row 8500 holds NaN or infinite"):
        regression.fit(spoiled(value, 8500), y[:9000])
    target = y[:9000].copy()
    target[8501] = value
    with pytest.raises(ValueError, match="block 0 of y, row 8501 holds NaN or infinite"):
        regression.fit(X[:9000], target)
    with pytest.raises(ValueError, match="block 1 of X, row 3 holds NaN or infinite"):
        regression.fit_blocks([(X[:10], y[:10]), (spoiled(value, 3), y[:9000])])
    with pytest.raises(ValueError, match="block 0 of X, row 8500 holds NaN"):
        regression.fit(scipy.sparse.csr_array(spoiled(value, 8500)), y[:9000])


def test_a_bad_block_leaves_no_trace_in_partial_fit():
    regression = SketchedLinearRegression(random_state=0).partial_fit(X[:100], y[:100])
    for bad, message in [
        ((spoiled(np.nan, 8999), y[:9000]), "block 1 of X, row 8999 holds NaN"),
        ((X[:9, :4], y[:9]), "block 1: X has 4 features, but SketchedLinearRegression is expecting 5"),
        ((X[:9], Y[:9]), r"block 1 of y must have one axis as the blocks before it, got shape \(9, 3\)"),
        ((X[:9], y[:8]), "block 1 of y must have as many rows as X: 9, got 8"),
    ]:
        with pytest.raises(ValueError, match=message):
            regression.partial_fit(*bad)
    same(
        regression.partial_fit(X[100:900], y[100:900]),
        SketchedLinearRegression(random_state=0).fit(X[:900], y[:900]),
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kind": "fjlt"}, ValueError, "kind must be one of"),
        ({"method": "svd"}, ValueError, "method must be one of 'auto', 'sketch', 'normal'"),
        (
            {"n_sketch_rows": 7, "method": "sketch"},
            ValueError,
            r"n_sketch_rows must be at least d \+ 2 = 8, got 7",
        ),
        ({"n_sketch_rows": 7}, ValueError, r"n_sketch_rows must be at least d \+ 2 = 8, got 7"),
        ({"n_sketch_rows": 0}, ValueError, "n_sketch_rows must be at least 1"),
        ({"n_sketch_rows": "many"}, ValueError, "n_sketch_rows must be an integer or 'auto'"),
        ({"n_sketch_rows": 10.0}, TypeError, "n_sketch_rows must be an integer"),
        ({"level": 1.0}, ValueError, "level must be a number between 0 and 1"),
        ({"delta": 0.0}, ValueError, "delta must be a number between 0 and 1"),
        ({"epsilon": -1.0}, ValueError, "epsilon must be a positive number or None"),
        ({"random_state": -1, "method": "sketch"}, ValueError, "random_state must be at least 0"),
        ({"refine": True, "method": "normal"}, ValueError, "refine=True goes on from a sketch"),
    ],
)
def test_bad_parameters_are_named(options, error, message):
    for fit in (lambda r: r.fit(X, y), lambda r: r.fit_blocks([(X, y)])):
        with pytest.raises(error, match=message):
            fit(SketchedLinearRegression(**options))


def test_exactly_d_plus_two_rows_suffice():
    model = SketchedLinearRegression(D + 3, method="sketch", random_state=0).fit(X, y)
    assert np.isfinite(model.linf_bound_)


@pytest.mark.parametrize(
    ("blocks", "error", "message"),
    [
        ([], ValueError, "there are no rows to fit to"),
        ([(X[:0], y[:0])], ValueError, "there are no rows to fit to"),
        (
            [(X[:9], y[:9]), (X[:9, :3], y[:9])],
            ValueError,
            "block 1: X has 3 features, but .* is expecting 5",
        ),
        ([(X[:9], y[:8])], ValueError, "block 0 of y must have as many rows as X: 9, got 8"),
        ([(X[:9], Y[:9]), (X[:9], Y[:9, :2])], ValueError, "block 1 of y must have 3 columns"),
        ([X[:9]], TypeError, "block 0 must be a pair .* got ndarray"),
        ([(X[:9], y[:9], y[:9])], TypeError, "block 0 must be a pair"),
        ([(X[:9], None)], ValueError, "block 0 must hold targets"),
        ([(X[:9], list("abcdefghi"))], TypeError, "block 0 of y must hold real numbers"),
        ([(X[0], y[:1])], ValueError, "block 0: "),
        (3, TypeError, "blocks must be an iterable"),
    ],
)
def test_bad_blocks_are_named(blocks, error, message):
    with pytest.raises(error, match=message):
        SketchedLinearRegression().fit_blocks(blocks)


def test_empty_blocks_change_nothing(model):
    blocks = [(X[:5], y[:5]), (X[:0], y[:0]), (X[5:], y[5:]), (X[:0], y[:0])]
    same(sketched().fit_blocks(blocks), model)


def test_refinement_needs_rows_that_can_be_read_again():
    refining = SketchedLinearRegression(refine=True)
    started = []

    def once():
        started.append(True)
        yield X, y

    with pytest.raises(ValueError, match="blocks is an iterator that can be read only once"):
        refining.fit_blocks(once())
    assert not started
    with pytest.raises(ValueError, match="partial_fit sees each of them once"):
        refining.partial_fit(X, y)
    with pytest.raises(ValueError, match="fit_sketch has only their sketch"):
        refining.fit_sketch(Sketch("srht", 9, 0).update(np.column_stack([A, y])))
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table({"x": X[:, 0], "y": y})
    with pytest.raises(ValueError, match="can be read only once"):
        refining.fit_blocks(
            arrow.RecordBatchReader.from_batches(table.schema, table.to_batches()), target="y"
        )
    again = refining.fit_blocks(pairs(5000))
    np.testing.assert_allclose(again.coef_, full_solution(A, y)[1:], rtol=1e-9, atol=1e-12)


class OnceOnly:
    """Looks as if it could be read again."""

    def __init__(self, blocks):
        self._blocks = iter(blocks)

    def __iter__(self):
        yield from self._blocks


def test_blocks_that_are_gone_the_second_time():
    with pytest.raises(ValueError, match="held 20011 rows when they were first read, and 0 when read again"):
        SketchedLinearRegression(refine=True, random_state=0).fit_blocks(OnceOnly(pairs(5000)))
    t = np.linspace(-1, 1, 900)
    once = OnceOnly(pairs(300, np.vander(t, 30), np.cos(t)))
    with pytest.raises(ValueError, match="there are no rows to fit to"):
        SketchedLinearRegression(random_state=0).fit_blocks(once)


@pytest.mark.parametrize(
    ("sketch", "options", "error", "message"),
    [
        (np.ones((9, 3)), {}, TypeError, "sketch must be a Sketch, got ndarray"),
        (Sketch("srht", 9, 0), {}, ValueError, "has seen no rows"),
        (Sketch("srht", 90, 0).update(np.column_stack([X, y])), {}, ValueError, "needs a column of ones"),
        (Sketch("srht", 90, 0).update(np.ones((5, 1))), {}, ValueError, "n_targets must be between"),
        (Sketch("srht", 90, 0).update(np.ones((5, 2))), {}, ValueError, "holds no features"),
        (
            Sketch("srht", 7, 0).update(np.column_stack([A, y])),
            {},
            ValueError,
            r"at least d \+ 2 = 8 rows, got 7",
        ),
        (
            Sketch("srht", 90, 0).update(np.column_stack([A, y])),
            {"n_targets": 7},
            ValueError,
            "n_targets must be between 1 and 6",
        ),
    ],
)
def test_bad_sketches_are_named(sketch, options, error, message):
    with pytest.raises(error, match=message):
        SketchedLinearRegression().fit_sketch(sketch, **options)
    with pytest.raises(ValueError, match="method='normal' needs the rows"):
        SketchedLinearRegression(method="normal").fit_sketch(Sketch("srht", 9, 0))


def test_values_beyond_all_squares_are_refused():
    huge = np.where(rng.random((50, 2)) < 0.5, 1e308, -1e308)
    for method in ("normal", "sketch"):
        regression = SketchedLinearRegression(9, method=method, random_state=0)
        with np.errstate(all="ignore"), pytest.raises(ValueError, match="so large that their"):
            regression.fit(huge, y[:50])


def test_bad_rows_to_predict(model):
    with pytest.raises(ValueError, match="X, row 8700 holds NaN or infinite"):
        model.predict(spoiled(np.inf, 8700))
    with pytest.raises(ValueError, match="expecting 5 features"):
        model.predict(X[:, :4])


def test_bad_levels_of_intervals(model):
    with pytest.raises(ValueError, match="level must be a number between 0 and 1"):
        model.conf_int(level=95)


def test_random_states():
    one = SketchedLinearRegression(20, method="sketch", random_state=np.random.RandomState(5)).fit(X, y)
    other = SketchedLinearRegression(20, method="sketch", random_state=np.random.RandomState(5)).fit(X, y)
    same(one, other)
    free = [SketchedLinearRegression(20, method="sketch").fit(X, y).coef_[0] for _ in range(2)]
    assert free[0] != free[1]
    large = SketchedLinearRegression(20, method="sketch", random_state=2**63).fit(X, y)
    s = Sketch("srht", 20, 2**63).update(np.column_stack([A, y]))
    same(SketchedLinearRegression().fit_sketch(s), large, tolerance=1e-9)


def test_memory_of_a_memory_map_is_that_of_its_chunks(tmp_path):
    import tracemalloc

    n, d = 150_000, 32
    rows = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", np.float32, (n, d))
    rows[:] = np.random.default_rng(0).normal(size=(n, d))
    target = rows[:, 0].astype(np.float64)
    for options in ({}, {"method": "sketch"}, {"refine": True}):
        regression = SketchedLinearRegression(600, random_state=0, **options)
        tracemalloc.start()
        regression.fit(rows, target)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert regression.coef_[0] == pytest.approx(1)
        assert peak < 8 * 8 * 8192 * (d + 2) + 2_000_000


def test_the_flights_table(data):
    design, target, names = flights_design(data("linf-regression/flights_2013.npz"))
    assert design.shape == (327_346, 153)
    assert names[:5] == ["intercept", "dep_delay", "air_time", "distance", "month 10"]
    assert names[-1] == "dest XNA"
    lonely = names.index("dest LEX")
    assert design[:, lonely].sum() == 1
    assert np.isfinite(target).all()


# Where sparse sketches fail, and real data


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
