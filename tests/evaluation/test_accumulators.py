import numpy as np
import pytest

from matropy.evaluation._accumulators import StreamingMeans, StreamingRatio
from matropy.lm import hidden_states, load_corpus, token_windows
from matropy.metrics import matrix_entropy


def fill(values, *, order=None, seed=0, weights=None):
    means = StreamingMeans(values.shape[1], seed)
    for index in range(len(values)) if order is None else order:
        means.update(index, values[index], 1.0 if weights is None else weights[index])
    return means


def test_means_and_errors_are_numpys():
    values = np.random.default_rng(0).standard_normal((40, 3)) * [1, 10, 1e-3] + [0, 1e6, 5]
    weights = np.arange(1, 41.0)
    means = fill(values, weights=weights)
    np.testing.assert_allclose(means.mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(means.weighted_mean, np.average(values, axis=0, weights=weights), rtol=1e-12)
    np.testing.assert_allclose(means.standard_error, values.std(0, ddof=1) / np.sqrt(40), rtol=1e-9)


def test_undefined_values_leave_only_their_own_column():
    values = np.array([[1.0, np.nan], [2.0, np.nan], [6.0, 5.0]])
    means = fill(values)
    np.testing.assert_allclose(means.mean, [3.0, 5.0])
    assert np.isnan(means.standard_error[1])
    assert np.isnan(means.intervals()[:, 1]).all()
    assert np.isfinite(means.intervals()[:, 0]).all()


def test_nothing_seen_is_undefined():
    means = StreamingMeans(2, 0)
    assert np.isnan(means.mean).all()
    assert np.isnan(means.weighted_mean).all()
    assert np.isnan(means.intervals()).all()


def test_intervals_do_not_depend_on_the_order_of_texts():
    values = np.random.default_rng(1).standard_normal((30, 2))
    forward, backward = fill(values), fill(values, order=range(29, -1, -1))
    np.testing.assert_allclose(forward.intervals(), backward.intervals(), rtol=1e-9)
    assert not np.allclose(forward.intervals(), fill(values, seed=1).intervals(), rtol=1e-3)


def test_interval_is_the_normal_one_for_many_texts():
    values = np.random.default_rng(2).standard_normal((2000, 1))
    low, high = fill(values).intervals()[:, 0]
    error = values.std() / np.sqrt(2000)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def coverage(values):
    """How many of 200 half-samples have an interval that covers the mean of all values."""
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(200):
        half = rng.permutation(len(values))[: len(values) // 2]
        low, high = fill(values[half, None], seed=trial).intervals()[:, 0]
        covered += low <= values.mean() <= high
    return covered


def test_interval_covers_the_mean_of_all_from_half_samples():
    assert coverage(np.random.default_rng(3).gamma(4.0, size=48)) >= 180


@pytest.mark.model
def test_interval_covers_the_mean_of_real_texts_from_half_samples(smollm2, data):
    corpus = load_corpus(data("matrix-nuclear-norm/wikipedia_48.jsonl"))
    windows = token_windows(corpus, smollm2.tokenizer, 64)
    entropies = [
        matrix_entropy(states.numpy(), mask=mask.numpy())
        for _, states, mask in hidden_states(smollm2, windows, layers="last")
    ]
    assert coverage(np.concatenate(entropies)) >= 180


def test_ratio_of_sums():
    ratio = StreamingRatio(0)
    for index, (top, bottom) in enumerate([(1.0, 2.0), (5.0, 3.0), (2.0, 3.0)]):
        ratio.update(index, top, bottom)
    low, high = ratio.interval()
    assert ratio.value == 1.0
    assert 0.5 <= low < 1.0 < high <= 5 / 3
    assert 0 < ratio.standard_error < 1


def test_ratio_of_one_text_has_no_interval():
    ratio = StreamingRatio(0)
    assert np.isnan(ratio.value)
    ratio.update(0, 1.0, 2.0)
    assert ratio.value == 0.5
    assert np.isnan(ratio.interval()).all()
    assert np.isnan(ratio.standard_error)
