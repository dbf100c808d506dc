"""Which rows of packed codes are equal."""

import numpy as np
import pytest

from matropy.metrics._activation_codes import _distinct
from matropy.metrics._activation_codes._distinct import count_distinct, distinct_rows


def some_rows(kind, n=200, words=3):
    rng = np.random.default_rng(0)
    packed = rng.integers(0, 2**64, (n, words), dtype=np.uint64)
    return {
        "all distinct": packed,
        "some twice": packed[rng.integers(0, n // 2, n)],
        "all the same": np.repeat(packed[:1], n, axis=0),
        "a single row": packed[:1],
        "few bits": packed & np.uint64(3),
    }[kind]


@pytest.mark.parametrize("kind", ["all distinct", "some twice", "all the same", "a single row", "few bits"])
@pytest.mark.parametrize("hashes", ["good", "useless"])
def test_distinct_rows_are_counted_whatever_the_hashes_do(monkeypatch, kind, hashes):
    packed = some_rows(kind)
    expected, first, counts = np.unique(packed, axis=0, return_index=True, return_counts=True)
    if hashes == "useless":
        monkeypatch.setattr(_distinct, "_keys", lambda seed, words: np.zeros((2, words), np.uint64))
        monkeypatch.setattr(_distinct, "hash_rows", lambda packed, seed: np.zeros(len(packed), np.uint64))
    assert count_distinct(packed) == len(expected)
    order = np.argsort(first)
    found, often = distinct_rows(packed)
    np.testing.assert_array_equal(found, first[order])
    np.testing.assert_array_equal(often, counts[order])
