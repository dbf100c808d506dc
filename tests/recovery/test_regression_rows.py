"""However the rows come, a sketched regression is the same."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from regression_data import A, D, N, X, Y, full_solution, pairs, same, sketched, y

from matropy.recovery import Sketch, SketchedLinearRegression


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


def test_sparse_rows(model, rng):
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
