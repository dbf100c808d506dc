"""Both mappings of clusters to labels."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matropy.metrics import cluster_accuracy

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@given(pairs)
def test_the_assignment_equals_brute_force(pairs):
    labels, clusters = np.array(pairs).T
    best = (np.array(list(permutations(range(5))))[:, clusters] == labels).mean(1).max()
    assert cluster_accuracy(labels, clusters) == pytest.approx(best, abs=1e-15)


@given(pairs)
def test_majority_is_the_share_of_the_largest_label_and_not_below(pairs):
    labels, clusters = np.array(pairs).T
    largest = sum(np.bincount(labels[clusters == cluster]).max() for cluster in set(clusters.tolist()))
    majority = cluster_accuracy(labels, clusters, method="majority")
    assert majority == largest / len(labels)
    assert majority >= cluster_accuracy(labels, clusters)


@pytest.mark.parametrize("k", [2, 5, 10])
def test_random_clusters_reach_one_in_k(k):
    rng = np.random.default_rng(k)
    for _ in range(20):
        labels, clusters = rng.integers(0, k, (2, 40))
        assert 1 >= cluster_accuracy(labels, clusters) >= 1 / k


@pytest.mark.parametrize("method", ["hungarian", "majority"])
def test_permuted_labels_agree_fully(method):
    labels = np.random.default_rng(0).integers(0, 7, 100)
    names = np.array(list("gcafbed"))
    assert cluster_accuracy(labels, names[labels], method=method) == 1


def test_clusters_beyond_the_labels_count_nothing_in_the_assignment():
    labels = [0] * 4 + [1] * 4
    clusters = [0, 0, 0, 1, 2, 2, 3, 3]
    assert cluster_accuracy(labels, clusters) == 5 / 8
    assert cluster_accuracy(labels, clusters, method="majority") == 1
    assert cluster_accuracy(labels, range(8)) == 2 / 8
    assert cluster_accuracy(labels, [0] * 8) == 1 / 2


@pytest.mark.parametrize(
    ("labels", "clusters", "options", "message"),
    [
        ([0, 1], [0], {}, "same length, got 2 and 1"),
        ([], [], {}, "labels is empty"),
        ([[0]], [0], {}, r"labels must have 1 axis, got shape \(1, 1\)"),
        ([0], 3, {}, "clusters must have 1 axis"),
        ([0.0, np.nan], [0, 1], {}, "labels holds NaN"),
        ([0], [0], {"method": "purity"}, "method must be one of 'hungarian', 'majority'; got 'purity'"),
    ],
)
def test_bad_input_is_refused(labels, clusters, options, message):
    with pytest.raises(ValueError, match=message):
        cluster_accuracy(labels, clusters, **options)
