"""The Vendi score of mean states over all texts."""

import numpy as np
import pytest

from matropy.evaluation import _pooled as module
from matropy.evaluation._pooled import PooledTexts
from matropy.metrics import vendi_score


@pytest.fixture
def states():
    return np.random.default_rng(0).standard_normal((30, 3, 5)) + np.array([[1.0], [0.0], [4.0]])


@pytest.mark.parametrize("fold_after", [7, 15, 1024])
def test_scores_are_those_of_all_texts_however_they_were_folded(states, tmp_path, monkeypatch, fold_after):
    monkeypatch.setattr(module, "_FOLD_AFTER", fold_after)
    pooled = PooledTexts(3, 5, tmp_path)
    for text in states:
        pooled.add(text)
    pooled.progress()
    expected = [vendi_score(states[:, layer]) for layer in range(3)]
    np.testing.assert_allclose(pooled.scores(), expected, rtol=1e-5)
    assert len([*tmp_path.iterdir()]) <= 2 + 2  # rows and sums, now and as the last state named them
    pooled.forget()
    assert not [*tmp_path.iterdir()]


def test_fewer_texts_than_features_and_none_left_behind():
    states = np.random.default_rng(1).standard_normal((4, 1, 50))
    pooled = PooledTexts(1, 50, None)
    for text in states:
        pooled.add(text)
    np.testing.assert_allclose(pooled.scores(), [vendi_score(states[:, 0])], rtol=1e-6)


@pytest.mark.parametrize("stop", [3, 7, 12, 23])
def test_an_interrupted_run_goes_on_to_the_bit(states, tmp_path, monkeypatch, stop):
    monkeypatch.setattr(module, "_FOLD_AFTER", 7)
    alone = PooledTexts(3, 5, None)
    for text in states:
        alone.add(text)
    folder = tmp_path / "interrupted"
    folder.mkdir()
    first = PooledTexts(3, 5, folder)
    for text in states[:stop]:
        first.add(text)
    kept = first.progress()
    for text in states[stop : stop + 9]:  # written, perhaps folded, and not in the state any more
        first.add(text)
    first._file.close()
    second = PooledTexts(3, 5, folder, kept)
    for text in states[stop:]:
        second.add(text)
    assert second.scores() == alone.scores()


def test_a_text_without_direction_leaves_the_layer_undefined(states):
    pooled = PooledTexts(3, 5, None)
    states[4, 1] = 0
    for text in states:
        pooled.add(text)
    assert [score is None for score in pooled.scores()] == [False, True, False]
