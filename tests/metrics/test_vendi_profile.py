"""Profiles over the order and rarefaction over the size."""

import math

import numpy as np
import pytest
import torch

from matropy.linalg import Gram
from matropy.metrics import rarefaction, vendi_profile, vendi_score


def rows(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_a_profile_is_the_scores_of_its_orders():
    x = rows(20, 6)
    profile = vendi_profile(x)
    assert profile.orders.tolist() == np.linspace(0, 5, 26).tolist()
    np.testing.assert_allclose(profile.scores, vendi_score(x, order=profile.orders.tolist()), rtol=1e-12)
    p = np.random.default_rng(0).dirichlet(np.ones(20))
    options = {"kernel": "rbf", "sigma": 2.0, "weights": p}
    chosen = vendi_profile(torch.from_numpy(x), [0.5, math.inf], **options)
    assert isinstance(chosen.scores, np.ndarray)
    np.testing.assert_allclose(chosen.scores, vendi_score(x, order=[0.5, math.inf], **options), rtol=1e-12)
    np.testing.assert_allclose(
        vendi_profile(Gram(6, normalize="rows").update(x)).scores, profile.scores, rtol=1e-9
    )


def test_rarefaction_of_unlike_items_counts_them():
    result = rarefaction(np.eye(30), [1, 7, 30], repeats=3, rng=0)
    np.testing.assert_allclose(result.mean, [1, 7, 30], rtol=1e-12)
    np.testing.assert_allclose(result.standard_deviation, 0, atol=1e-12)
    assert rarefaction(np.eye(30), 7, rng=0).mean.shape == (1,)


def test_rarefaction_is_of_subsets_without_replacement():
    x = rows(12, 5)
    result = rarefaction(x, [12, 4], repeats=200, kernel="rbf", sigma=1.5, rng=0)
    assert result.mean[0] == pytest.approx(vendi_score(x, kernel="rbf", sigma=1.5), rel=1e-12)
    assert result.standard_deviation[0] == pytest.approx(0, abs=1e-12)
    rng = np.random.default_rng(99)
    drawn = [vendi_score(x[rng.choice(12, 4, replace=False)], kernel="rbf", sigma=1.5) for _ in range(200)]
    error = np.std(drawn) * (2 / 200) ** 0.5
    assert abs(result.mean[1] - np.mean(drawn)) < 4 * error
    assert result.standard_deviation[1] == pytest.approx(np.std(drawn), rel=0.25)
    again = rarefaction(x, [12, 4], repeats=200, kernel="rbf", sigma=1.5, rng=0)
    np.testing.assert_array_equal(again.mean, result.mean)


@pytest.mark.parametrize(
    ("x", "options"),
    [
        (rows(9, 3), {"kernel": "rbf"}),
        (rows(9, 30), {}),
        ((rows(9, 8) > 0).astype(np.uint8), {"kernel": "tanimoto"}),
        (np.eye(9), {"kernel": "precomputed"}),
        (list("abcdefghi"), {"kernel": "ngram"}),
        (list("abcdefghi"), {"kernel": lambda a, b: float(a == b)}),
        (torch.from_numpy(rows(9, 4)), {"kernel": "rbf"}),
        (torch.eye(9), {"kernel": "precomputed"}),
    ],
)
def test_every_kind_of_items_can_be_drawn(x, options):
    result = rarefaction(x, [3, 9], repeats=2, rng=0, **options)
    assert result.mean[1] == pytest.approx(float(vendi_score(x, **options)), rel=1e-6)
    assert 1 <= result.mean[0] <= 3 + 1e-9


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sizes": [0]}, ValueError, "sizes must be between 1 and 3, got 0"),
        ({"sizes": [4]}, ValueError, "sizes must be between 1 and 3, got 4"),
        ({"sizes": [1.5]}, TypeError, "sizes must be an integer"),
        ({"sizes": []}, ValueError, "sizes is empty"),
        ({"repeats": 1}, ValueError, "repeats must be at least 2"),
        ({"order": [1, 2]}, ValueError, "order must be one number"),
        ({"method": "svd"}, ValueError, "method must be one of"),
        ({"psd": "svd"}, ValueError, "psd must be one of"),
        ({"x": Gram(3)}, TypeError, "rarefaction draws items"),
    ],
)
def test_bad_input_of_rarefaction_is_named(options, error, message):
    with pytest.raises(error, match=message):
        rarefaction(**{"x": np.eye(3), "sizes": [2], **options})


def test_bad_orders_of_a_profile_are_named():
    with pytest.raises(ValueError, match="order must be a number >= 0"):
        vendi_profile(np.eye(3), [1, -1])
    with pytest.raises(ValueError, match="order is empty"):
        vendi_profile(np.eye(3), [])


def test_plots():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    profile = vendi_profile(np.eye(3))
    ax = profile.plot(pyplot.figure().add_subplot(), label="unlike")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), profile.scores)
    result = rarefaction(rows(9, 4), [2, 5, 9], rng=0)
    ax = result.plot(pyplot.figure().add_subplot())
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), result.mean)
    pyplot.close("all")
