"""What a sketched regression refuses, and what it makes of rows at the edge."""

import numpy as np
import pytest
import scipy.sparse
from regression_data import A, D, X, Y, full_solution, pairs, same, sketched, y

from matropy.recovery import Sketch, SketchedLinearRegression
from matropy.studies.linf_regression._flights import flights_design


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


def test_values_beyond_all_squares_are_refused(rng):
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
