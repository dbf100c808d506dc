"""Nearest codes against scikit-learn's brute force."""

import numpy as np
import pytest
import torch
from estimator_tester import EstimatorCase, EstimatorTester
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from matropy.metrics import CodeBook, HammingKNN


@pytest.fixture(scope="module")
def digits():
    """Codes of real digits: signs of a random projection; training and test."""
    images, labels = load_digits(return_X_y=True)
    projection = np.random.default_rng(0).normal(size=(64, 50))
    bits = (images - images.mean(0)) @ projection > 0
    return bits[:1200], labels[:1200], bits[1200:], labels[1200:]


@pytest.mark.parametrize("backend", ["auto", "gemm", "popcount"])
def test_it_equals_brute_force_on_codes_of_digits(digits, backend):
    codes, labels, queries, truth = digits
    ours = HammingKNN(backend=backend).fit(codes, labels)
    brute = KNeighborsClassifier(10, metric="hamming", algorithm="brute").fit(codes, labels)
    distances, indices = ours.kneighbors(queries)
    expected = np.round(brute.kneighbors(queries)[0] * codes.shape[1]).astype(int)
    np.testing.assert_array_equal(distances, expected[:, :9])
    np.testing.assert_array_equal((queries[:, None] != codes[indices]).sum(-1), distances)
    clear = expected[:, 8] != expected[:, 9]
    assert clear.sum() > 100
    brute.set_params(n_neighbors=9)
    np.testing.assert_array_equal(ours.predict(queries)[clear], brute.predict(queries)[clear])
    assert ours.score(queries, truth) > 0.85


@pytest.mark.parametrize("backend", ["gemm", "popcount"])
@pytest.mark.parametrize("width", [1, 5, 64, 65, 300])
@pytest.mark.parametrize("k", [1, 4, 40])
def test_neighbours_are_sorted_by_distance_then_index(backend, width, k, monkeypatch):
    for name, small in (("_DISTANCES", 100), ("_GEMM_COLUMNS", 16), ("_POPCOUNT_COLUMNS", 16)):
        monkeypatch.setattr(f"matropy.metrics._activation_codes._hamming.{name}", small)
    rng = np.random.default_rng(width)
    codes, queries = rng.random((40, width)) < 0.5, rng.random((13, width)) < 0.5
    distances, indices = HammingKNN(k, backend).fit(codes, np.arange(40) // 2).kneighbors(queries)
    every = (queries[:, None] != codes[None]).sum(-1)
    order = np.argsort(every, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(distances, np.take_along_axis(every, order, 1))


def test_of_labels_with_equal_votes_the_smallest_wins():
    codes = [[0, 0], [0, 0], [0, 0], [0, 0]]
    assert HammingKNN(4).fit(codes, ["b", "a", "b", "a"]).predict([[0, 1]]).tolist() == ["a"]
    assert HammingKNN(3).fit(codes, ["b", "a", "b", "a"]).predict([[0, 1]]).tolist() == ["b"]


def test_wide_codes_are_counted_exactly():
    rng = np.random.default_rng(0)
    codes = rng.random((20, 70_000)) < 0.5
    knn = HammingKNN(2).fit(codes, np.arange(20) // 2)
    distances, indices = knn.kneighbors(~codes)
    np.testing.assert_array_equal(distances[:, 0], (codes[indices[:, 0]] != ~codes).sum(-1))
    assert HammingKNN(20).fit(codes, np.arange(20) // 2).kneighbors(~codes)[0].max() == 70_000


@pytest.mark.parametrize("given", [list, np.float32, torch.tensor, CodeBook.from_bits])
def test_codes_in_any_form(digits, given):
    codes, labels, queries, _ = digits
    expected = HammingKNN().fit(codes, labels).predict(queries)
    convert = (lambda x: x.astype(np.float32)) if given is np.float32 else given
    knn = HammingKNN().fit(convert(codes), labels)
    np.testing.assert_array_equal(knn.predict(convert(queries)), expected)
    assert knn.n_features_in_ == 50


def cases():
    rng = np.random.default_rng(0)
    bits, labels = rng.random((40, 70)) < 0.5, rng.integers(0, 3, 40)
    return {
        "bits": EstimatorCase(HammingKNN(5), bits, labels),
        "a code book": EstimatorCase(HammingKNN(3, backend="popcount"), CodeBook.from_bits(bits), labels),
    }


class TestHammingKNN(EstimatorTester, cases=cases()):
    """What scikit-learn expects of an estimator."""


def test_it_is_cross_validated(digits):
    codes, labels, _, _ = digits
    assert cross_val_score(HammingKNN(), codes, labels, cv=3).min() > 0.7
    assert HammingKNN().fit(codes, labels).classes_.tolist() == list(range(10))


def test_names_of_columns_are_kept_and_compared():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": [0, 1, 1], "b": [0, 0, 1]})
    knn = HammingKNN(1).fit(table, [0, 1, 2])
    assert knn.feature_names_in_.tolist() == ["a", "b"]
    assert knn.predict(table).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="feature names should match"):
        knn.predict(table[["b", "a"]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        knn.predict(table.to_numpy())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x, y: HammingKNN(0).fit(x, y), ValueError, "n_neighbors must be at least 1"),
        (lambda x, y: HammingKNN(1.5).fit(x, y), TypeError, "n_neighbors must be an integer"),
        (
            lambda x, y: HammingKNN(5).fit(x, y),
            ValueError,
            "n_neighbors must not exceed the 4 training codes, got 5",
        ),
        (
            lambda x, y: HammingKNN(1, "faiss").fit(x, y),
            ValueError,
            "backend must be one of 'auto', 'gemm', 'popcount'",
        ),
        (lambda x, y: HammingKNN(1).fit(x, y[:3]), ValueError, "3 labels and 4 codes"),
        (lambda x, y: HammingKNN(1).fit(x, [0.1, 0.2, 0.3, 0.4]), ValueError, "continuous"),
        (lambda x, y: HammingKNN(1).fit(x, [[0, 1]] * 4), ValueError, "1d array"),
        (lambda x, y: HammingKNN(1).fit(x * 2, y), ValueError, "X must be 0 or 1, got 2"),
        (lambda x, y: HammingKNN(1).fit(x * np.nan, y), ValueError, "X must be 0 or 1, got nan"),
        (lambda x, y: HammingKNN(1).fit(x[0], y), ValueError, "X must have 2 axes"),
        (lambda x, y: HammingKNN(1).fit(x[:0], y), ValueError, "X is empty"),
        (lambda x, y: HammingKNN(1).fit(x, y).predict(x[:, :2]), ValueError, "X has 2 features.*expecting 3"),
        (
            lambda x, y: HammingKNN(1).fit(x, y).predict(CodeBook.from_bits(x[:, :2])),
            ValueError,
            "X must have codes of 3 bits, got 2",
        ),
        (lambda x, y: HammingKNN(1).fit(x, y).predict(x[:0]), ValueError, "X is empty"),
    ],
)
def test_bad_input_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make(np.array([[0, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 1]]), np.array([0, 1, 0, 1]))
