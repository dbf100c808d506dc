"""The Gram matrix of rows that arrive in pieces."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from matropy.linalg import Gram

TREATMENTS = [(center, normalize) for center in (False, True) for normalize in (None, "rows")]
every_treatment = pytest.mark.parametrize(("center", "normalize"), TREATMENTS)


def rows(n, d, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * rng.exponential(size=d) + 2


def reference(x, center, normalize):
    if normalize:
        x = np.array([row / np.sqrt(row @ row) for row in x])
    mean = x.mean(0)
    covariance = sum(np.outer(row, row) for row in (x - mean if center else x)) / len(x)
    return mean, covariance


def check(gram, x, rtol=1e-10):
    mean, covariance = reference(x, gram.center, gram.normalize)
    k = min(x.shape)
    # A copy answers for the eigenvalues, since asking for the covariance forms the large matrix.
    eigenvalues = np.asarray(copy.deepcopy(gram).eigenvalues())
    scale = np.abs(covariance).max()
    assert gram.count == len(x)
    np.testing.assert_allclose(np.asarray(gram.mean), mean, rtol=rtol, atol=1e-14)
    np.testing.assert_allclose(
        eigenvalues, np.linalg.eigvalsh(covariance)[::-1][:k], rtol=rtol, atol=1e-13 * scale * x.shape[1]
    )
    np.testing.assert_allclose(np.asarray(gram.covariance()), covariance, rtol=rtol, atol=1e-13 * scale)


@every_treatment
@pytest.mark.parametrize("side", ["auto", "features"])
@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy], ids=["NumPy", "torch"])
@pytest.mark.parametrize(("n", "d"), [(1, 4), (5, 9), (9, 9), (30, 6), (12, 1)])
def test_pieces_equal_all_rows_at_once(center, normalize, side, library, n, d):
    x = rows(n, d)
    gram = Gram(d, center=center, normalize=normalize, side=side)
    for piece in np.array_split(x, min(n, 4)):
        assert gram.update(library(piece)) is gram
    assert isinstance(gram.mean, torch.Tensor) == (library is torch.from_numpy)
    check(gram, x)


@given(
    sizes=st.lists(st.integers(1, 7), min_size=2, max_size=5),
    d=st.integers(1, 8),
    treatment=st.sampled_from(TREATMENTS),
    seed=st.integers(0, 999),
)
def test_merging_is_associative_and_equals_all_rows_at_once(sizes, d, treatment, seed):
    center, normalize = treatment
    x = rows(sum(sizes), d, seed=seed)
    pieces = np.split(x, np.cumsum(sizes)[:-1])

    def fresh(piece):
        return Gram(d, center=center, normalize=normalize).update(piece)

    left = fresh(pieces[0])
    for piece in pieces[1:]:
        left.merge(fresh(piece))
    right = fresh(pieces[-1])
    for piece in reversed(pieces[:-1]):
        right = fresh(piece).merge(right)
    check(left, x, rtol=1e-9)
    check(right, x, rtol=1e-9)


@every_treatment
def test_merging_leaves_the_other_as_it_is(center, normalize):
    x, y = rows(9, 4), rows(3, 4, seed=1)
    one, other = (Gram(4, center=center, normalize=normalize).update(part) for part in (x, y))
    one.merge(other).update(rows(20, 4, seed=2))
    check(other, y)


def test_merging_with_what_has_seen_nothing():
    x = rows(9, 4)
    check(Gram(4).update(x).merge(Gram(4)), x)
    check(Gram(4).merge(Gram(4).update(x)), x)


def test_merging_with_itself_counts_every_row_twice():
    for n in (3, 9):
        gram = Gram(4, center=True).update(rows(n, 4))
        check(gram.merge(gram), np.concatenate([rows(n, 4)] * 2))


def test_asking_changes_no_answer():
    gram = Gram(9, center=True).update(rows(5, 9))
    before = gram.eigenvalues()
    gram.covariance()
    np.testing.assert_allclose(gram.eigenvalues(), before, rtol=1e-10, atol=1e-13)
    gram.update(rows(3, 9, seed=1))
    check(gram, np.concatenate([rows(5, 9), rows(3, 9, seed=1)]))


def test_rows_that_change_later_were_already_taken():
    x = rows(3, 9)
    gram = Gram(9).update(x)
    x[:] = 0
    check(gram, rows(3, 9))


def test_few_rows_of_many_columns_cost_no_square_of_the_columns():
    gram = Gram(200_000, center=True).update(rows(4, 200_000))
    assert gram.eigenvalues().shape == (4,)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int32])
def test_accumulates_in_double_precision(dtype):
    x = torch.from_numpy(rows(30, 4) * 10).to(dtype)
    gram = Gram(4, center=True).update(x[:7]).update(x[7:])
    assert gram.covariance().dtype == torch.float64
    check(gram, x.double().numpy())


def test_centering_far_from_zero_keeps_its_digits():
    x = (rows(100, 3) + 1e8) - 1e8
    near, far = Gram(3, center=True), Gram(3, center=True)
    for piece in np.array_split(x, 10):
        near.update(piece)
        far.update(piece + 1e8)
    # A mean of squares minus the square of the mean would be off by about one here.
    np.testing.assert_allclose(far.covariance(), near.covariance(), atol=1e-7)


def test_one_row_may_come_as_a_vector_or_a_list():
    gram = Gram(2).update([1, 2]).update([[3, 4]])
    check(gram, np.array([[1.0, 2.0], [3.0, 4.0]]))
    check(pickle.loads(pickle.dumps(gram)), np.array([[1.0, 2.0], [3.0, 4.0]]))  # noqa: S301
    assert repr(gram) == "Gram(2, center=False, normalize=None, count=2)"


BAD = {
    "length": (np.ones((2, 3)), ValueError, "x must have 4 columns, got 3"),
    "axes": (np.ones((2, 2, 4)), ValueError, r"x must have 1 to 2 axes, got shape \(2, 2, 4\)"),
    "NaN": ([1, 2, 3, np.nan], ValueError, "x holds NaN or infinite"),
    "infinity": ([1, 2, 3, np.inf], ValueError, "x holds NaN or infinite"),
    "empty": (np.ones((0, 4)), ValueError, "x is empty"),
    "zero row": ([[1, 2, 3, 4], [0, 0, 0, 0]], ValueError, "x holds a zero row"),
    "complex": ([1j, 2, 3, 4], TypeError, "x must be real"),
    "strings": (list("abcd"), TypeError, "x must be an array of numbers"),
}


@pytest.mark.parametrize(("x", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_rows_are_named_and_leave_no_trace(x, error, message):
    gram = Gram(4, normalize="rows").update(rows(3, 4))
    with pytest.raises(error, match=message):
        gram.update(x)
    check(gram, rows(3, 4))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Gram(5), "cannot merge: n_features is 4 here and 5 there"),
        (Gram(4, center=True), "cannot merge: center is False here and True there"),
        (Gram(4, normalize="rows"), "cannot merge: normalize is None here and 'rows' there"),
    ],
)
def test_other_treatment_is_refused_by_name(other, message):
    with pytest.raises(ValueError, match=message):
        Gram(4).merge(other)


@pytest.mark.parametrize("ask", [lambda g: g.mean, lambda g: g.covariance(), lambda g: g.eigenvalues()])
def test_nothing_seen_nothing_said(ask):
    with pytest.raises(ValueError, match="this Gram has seen no rows"):
        ask(Gram(4))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_features": 0}, ValueError, "n_features must be at least 1"),
        ({"n_features": 2.5}, TypeError, "n_features must be an integer"),
        ({"n_features": 2, "normalize": "columns"}, ValueError, "normalize must be one of None, 'rows'"),
        ({"n_features": 2, "side": "rows"}, ValueError, "side must be one of 'auto', 'features'"),
    ],
)
def test_bad_options_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        Gram(**arguments)


@pytest.fixture(scope="module")
def many_rows():
    return np.random.default_rng(5).standard_normal((9_000, 600)).astype(np.float32) + 1


@pytest.mark.parametrize("center", [False, True])
def test_what_outgrows_memory_is_taken_in_pieces(many_rows, center, tmp_path):
    np.save(tmp_path / "rows.npy", many_rows)
    mapped = Gram(600, center=center).update(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    assert mapped.count == 9_000
    x = many_rows.astype(np.float64)
    x -= x.mean(0) if center else 0
    np.testing.assert_allclose(mapped.covariance(), x.T @ x / 9_000, rtol=1e-9, atol=1e-12)


def test_dask_arrays_are_taken_block_by_block(many_rows):
    dask = pytest.importorskip("dask.array")
    blocks = dask.from_array(many_rows[:1000], chunks=(300, 250))
    whole = Gram(600, center=True).update(many_rows[:1000])
    np.testing.assert_allclose(
        Gram(600, center=True).update(blocks).covariance(), whole.covariance(), rtol=1e-9
    )


def test_memory_of_a_memory_map_is_that_of_its_pieces(tmp_path):
    import tracemalloc

    rows = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", np.float32, (200_000, 64))
    rows[:] = 1
    gram = Gram(64)
    tracemalloc.start()
    gram.update(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert gram.count == 200_000
    assert peak < 4 * 8 * 2**22
