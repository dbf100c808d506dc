"""Kernels between vectors, fingerprints and texts, against their definitions."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from matropy.metrics import kernels


def rows(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def bits(n, d, seed=0):
    return (np.random.default_rng(seed).random((n, d)) < 0.3).astype(float)


def by_cosine(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


def by_distance(a, b):
    return np.exp(-np.sum((a - b) ** 2) / (2 * 1.7**2))


def by_sets(a, b):
    union = np.sum((a + b) > 0)
    return np.sum(a * b) / union if union else 1.0


CASES = {
    "cosine": (kernels.cosine, by_cosine, rows),
    "rbf": (lambda x, y=None: kernels.rbf(x, y, sigma=1.7), by_distance, rows),
    "tanimoto": (kernels.tanimoto, by_sets, bits),
}
every_kernel = pytest.mark.parametrize(("kernel", "pair", "make"), CASES.values(), ids=CASES.keys())


@every_kernel
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("library", ["NumPy", "torch"])
def test_every_entry_is_that_of_its_pair(kernel, pair, make, library, dtype):
    x, y = make(7, 5).astype(dtype), make(4, 5, seed=1).astype(dtype)
    given_x, given_y = (torch.from_numpy(a) if library == "torch" else a for a in (x, y))
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    for other, given_other in ((x, None), (y, given_y)):
        matrix = kernel(given_x, given_other)
        assert isinstance(matrix, torch.Tensor) == (library == "torch")
        assert str(matrix.dtype).removeprefix("torch.") == dtype
        expected = [[pair(a.astype(float), b.astype(float)) for b in other] for a in x]
        np.testing.assert_allclose(np.asarray(matrix), expected, atol=tolerance)


@every_kernel
@given(n=st.integers(1, 12), d=st.integers(1, 6), seed=st.integers(0, 99))
def test_semidefinite_with_ones_on_the_diagonal(kernel, pair, make, n, d, seed):
    matrix = kernel(make(n, d, seed) if pair is not by_cosine else make(n, d, seed) + 1e-3)
    np.testing.assert_allclose(np.diag(matrix), 1, atol=1e-12)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-15)
    assert np.linalg.eigvalsh(matrix)[0] > -1e-12 * n


def test_gaussian_of_rows_far_from_the_origin():
    x = rows(5, 3)
    np.testing.assert_allclose(kernels.rbf(x + 1e6, sigma=1), kernels.rbf(x, sigma=1), atol=1e-8)


def test_median_bandwidth():
    x = rows(40, 3)
    distances = [np.linalg.norm(a - b) for a, b in combinations(x, 2)]
    expected = kernels.rbf(x, sigma=np.median(distances) / np.sqrt(2))
    np.testing.assert_allclose(kernels.rbf(x), expected, rtol=1e-12)
    np.testing.assert_allclose(kernels.rbf(torch.from_numpy(x)).numpy(), expected, rtol=1e-12)
    assert kernels.rbf(x[:1]).tolist() == [[1.0]]


def test_median_bandwidth_of_many_rows_is_of_drawn_ones():
    x = rows(800, 2)
    np.testing.assert_array_equal(kernels.rbf(x), kernels.rbf(x))
    np.testing.assert_array_equal(kernels.rbf(x), kernels.rbf(x, rng=0))
    assert not np.array_equal(kernels.rbf(x), kernels.rbf(x, rng=1))


def test_cosine_of_rows_whose_squares_leave_the_range():
    x = rows(4, 3)
    for scale in (1e-200, 1e200, 1e-310):
        np.testing.assert_allclose(kernels.cosine(x * scale), kernels.cosine(x), atol=1e-5)


def test_two_empty_fingerprints_are_alike():
    x = np.array([[0, 0], [0, 0], [0, 1]], dtype=np.uint8)
    assert kernels.tanimoto(x).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert kernels.tanimoto(x.astype(bool)).tolist() == kernels.tanimoto(torch.from_numpy(x)).tolist()


SENTENCES = ["Look, Jane.", "See Spot.", "See Spot run.", "Run, Spot, run.", "Jane sees Spot run."]


def test_sentences_by_counting():
    """The definition, with tokens written out by hand."""
    tokens = [
        ["Look", ",", "Jane", "."],
        ["See", "Spot", "."],
        ["See", "Spot", "run", "."],
        ["Run", ",", "Spot", ",", "run", "."],
        ["Jane", "sees", "Spot", "run", "."],
    ]

    def cosine(a, b, n):
        a, b = (Counter(tuple(t[i : i + n]) for i in range(len(t) - n + 1)) for t in (a, b))
        norms = [np.sqrt(sum(v * v for v in c.values())) for c in (a, b)]
        return sum(a[g] * b[g] for g in a) / np.prod(norms) if all(norms) else 0.0

    mean = np.array([[np.mean([cosine(a, b, n) for n in (1, 2, 3, 4)]) for b in tokens] for a in tokens])
    root = np.sqrt(np.diag(mean))
    assert root[1] < 1  # three tokens have no run of four
    np.testing.assert_allclose(kernels.ngram(SENTENCES), mean / np.outer(root, root), atol=1e-12)
    np.testing.assert_allclose(
        kernels.ngram(SENTENCES[:2], SENTENCES[1:]), kernels.ngram(SENTENCES)[:2, 1:], atol=1e-12
    )


def test_words_keep_case_and_punctuation_stands_alone():
    assert kernels.ngram(["Run run", "run"], n=1)[0, 1] == pytest.approx(0.5**0.5)
    assert kernels.ngram(["a.", "a ."])[0, 1] == pytest.approx(1)
    assert kernels.ngram(["Äpfel!", "Äpfel ?"], n=(1,))[0, 1] == pytest.approx(0.5)


ARRAYS = {"cosine": kernels.cosine, "rbf": kernels.rbf, "tanimoto": kernels.tanimoto}
BAD_ARRAYS = {
    "one axis": (np.ones(3), ValueError, r"x must have 2 axes, got shape \(3,\)"),
    "empty": (np.ones((0, 3)), ValueError, "x is empty"),
    "NaN": (np.array([[1.0, np.nan]]), ValueError, "x holds NaN or infinite"),
    "complex": (np.ones((2, 2)) * 1j, TypeError, "x must be real"),
    "words": (np.array([["a"]]), TypeError, "x must be an array of numbers"),
}


@pytest.mark.parametrize("kernel", ARRAYS.values(), ids=ARRAYS.keys())
@pytest.mark.parametrize(("x", "error", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS.keys())
def test_bad_arrays_are_named(kernel, x, error, message):
    with pytest.raises(error, match=message):
        kernel(x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: kernels.cosine([[1.0, 2.0], [0.0, 0.0]]),
            ValueError,
            r"x holds a zero row \(number 1\)",
        ),
        (lambda: kernels.cosine([[1.0]], [[0.0]]), ValueError, "y holds a zero row"),
        (lambda: kernels.cosine(np.ones((2, 3)), np.ones((2, 4))), ValueError, "y must have 3 columns"),
        (
            lambda: kernels.cosine(np.ones((2, 3)), torch.ones(2, 3)),
            TypeError,
            "x and y must be of one library",
        ),
        (lambda: kernels.rbf(np.ones((2, 3)), sigma=0), ValueError, "sigma must be a positive number"),
        (lambda: kernels.rbf(np.ones((2, 3)), sigma=np.nan), ValueError, "sigma must be a positive number"),
        (lambda: kernels.rbf(np.ones((2, 3)), sigma="mean"), ValueError, "sigma must be a positive number"),
        (lambda: kernels.rbf(np.ones((2, 3))), ValueError, "sigma='median' is zero"),
        (lambda: kernels.tanimoto([[0, 2]]), ValueError, "x must hold 0 and 1 only"),
        (lambda: kernels.tanimoto([[0, 1]], [[0.5, 1]]), ValueError, "y must hold 0 and 1 only"),
        (lambda: kernels.ngram([]), ValueError, "x is empty"),
        (lambda: kernels.ngram("one text"), TypeError, "x must be a list of texts"),
        (lambda: kernels.ngram(3), TypeError, "x must be a list of texts"),
        (lambda: kernels.ngram(["a", 1]), TypeError, r"x must hold texts, got int \(number 1\)"),
        (lambda: kernels.ngram(["a", "  "]), ValueError, r"x holds a text of 0 tokens \(number 1\)"),
        (lambda: kernels.ngram(["a b", "a"], n=2), ValueError, r"x holds a text of 1 tokens \(number 1\)"),
        (lambda: kernels.ngram(["a"], n=()), ValueError, "n is empty"),
        (lambda: kernels.ngram(["a"], n=(1, 1)), ValueError, "n must hold different lengths"),
        (lambda: kernels.ngram(["a"], n=0), ValueError, "n must be at least 1"),
        (lambda: kernels.ngram(["a"], n=1.5), TypeError, "n must"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
