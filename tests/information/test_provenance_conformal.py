"""The accusation holds its level over the texts of people, and refuses without them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matropy.information import ConformalAccuser, Decoding, TokenRecord, provenance_test


def test_the_top_score_of_forty():
    accuser = ConformalAccuser(np.arange(39.0))
    assert accuser.p_value(100) == 1 / 40
    assert accuser.p_value(-1) == 1
    assert accuser.p_value(38) == 2 / 40, "a tie counts against the accusation"


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.floats(-6, 6))
def test_its_definition(scores, score):
    expected = (1 + sum(value >= score for value in scores)) / (len(scores) + 1)
    assert ConformalAccuser(scores).p_value(score) == expected


def test_exchangeable_texts_are_accused_at_the_level():
    rng = np.random.default_rng(0)
    p_values = np.array(
        [ConformalAccuser(values[1:]).p_value(values[0]) for values in rng.gamma(2, size=(4000, 20))]
    )
    for alpha in (0.05, 0.1, 0.25):
        assert (p_values <= alpha).mean() <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / 4000)
    assert (p_values <= 0.05).mean() > 0.03


def record(seed, tokens=20, decoding=None):
    rng = np.random.default_rng(seed)
    return TokenRecord.from_logits(
        rng.standard_normal((tokens, 9)), rng.integers(9, size=tokens), decoding=decoding or Decoding()
    )


def test_records_are_scored_by_minus_z():
    reference = [record(seed) for seed in range(12)]
    scores = [-provenance_test(one).z for one in reference]
    own = record(99)
    by_records, by_scores = ConformalAccuser(reference), ConformalAccuser(scores)
    assert by_records.p_value(own) == by_scores.p_value(-provenance_test(own).z) == by_scores.p_value(own)
    np.testing.assert_array_equal(by_records.scores, np.sort(scores))


def test_an_impossible_text_is_never_an_accusation():
    cut = Decoding(top_k=1)
    accuser = ConformalAccuser([record(seed, decoding=cut) for seed in range(5)])
    assert accuser.p_value(record(7, decoding=cut)) == 1


def test_refusals():
    with pytest.raises(ValueError, match="an accusation needs reference texts"):
        ConformalAccuser([])
    with pytest.raises(ValueError, match="a score is NaN"):
        ConformalAccuser([0.0, math.nan])
    with pytest.raises(ValueError, match="NaN"):
        ConformalAccuser([0.0]).p_value(math.nan)
    with pytest.raises(TypeError, match="a number or a TokenRecord, got str"):
        ConformalAccuser(["0"])
    accuser = ConformalAccuser([record(0), record(1)])
    with pytest.raises(ValueError, match="one decoding and like lengths: 20 tokens at temperature 1"):
        accuser.p_value(record(2, tokens=41))
    accuser.p_value(record(2, tokens=40))
    with pytest.raises(ValueError, match=r"temperature 0\.5"):
        accuser.p_value(record(2, decoding=Decoding(0.5)))
    with pytest.raises(ValueError, match="one decoding and like lengths"):
        ConformalAccuser([record(0), record(1, tokens=9)])
