"""Which of several models: likelihoods of the same text."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from matropy.information import Decoding, TokenRecord, attribute


def records_of(strings, laws, decoding=None):
    """One record a law: the tokens of a string are independent draws of it."""
    return [
        {
            name: TokenRecord.from_logits(
                np.log(np.tile(law, (len(string), 1))), string, decoding=decoding or Decoding()
            )
            for name, law in laws.items()
        }
        for string in strings
    ]


LAWS = {"a": [0.5, 0.3, 0.2], "b": [0.2, 0.5, 0.3], "c": [0.4, 0.2, 0.4]}


def test_each_e_value_has_mean_one_by_enumeration():
    strings = list(itertools.product(range(3), repeat=8))[::1]
    counts = {}
    for string in strings:
        key = tuple(np.bincount(string, minlength=3))
        counts[key] = counts.get(key, 0) + 1
    mean = dict.fromkeys(LAWS, 0.0)
    crossed = dict.fromkeys(LAWS, 0.0)
    for key, number in counts.items():
        string = np.repeat(np.arange(3), key)
        found = attribute(records_of([string], LAWS)[0], alpha=0.2)
        for name, law in LAWS.items():
            probability = number * np.prod(np.power(law, key))
            mean[name] += probability * math.exp(found.log_e[name])
            crossed[name] += probability * (name in found.rejected)
    np.testing.assert_allclose(list(mean.values()), 1, atol=1e-12)
    assert max(crossed.values()) <= 0.2


def test_two_models_are_each_others_ratio():
    string = np.random.default_rng(0).choice(3, p=LAWS["a"], size=200)
    records = {name: records_of([string], LAWS)[0][name] for name in ("a", "b")}
    found = attribute(records)
    assert found.log_likelihood["a"] == pytest.approx(np.log(LAWS["a"])[string].sum())
    assert found.log_e["b"] == pytest.approx(found.log_likelihood["a"] - found.log_likelihood["b"])
    assert found.log_e["a"] == pytest.approx(-found.log_e["b"])
    assert (found.best, found.rejected) == ("a", ("b",))
    assert "consistent with a at temperature 1" in found.verdict
    assert "rejected as a sample of b" in found.verdict
    assert found.log_e_path is None


def test_token_by_token_gives_the_path():
    string = np.random.default_rng(1).choice(3, p=LAWS["b"], size=50)
    records = records_of([string], LAWS)[0]
    total, paths = attribute(records), attribute(records, total=False)
    assert paths.log_e == total.log_e
    assert paths.rejected == total.rejected
    for name, path in paths.log_e_path.items():
        assert path.shape == (50,)
        assert path[-1] == pytest.approx(total.log_e[name])


def test_tokens_of_other_tokenizers_are_compared_by_totals_only():
    coarse = TokenRecord.from_logits(np.log(np.full((10, 16), 1 / 16)), [3] * 10)
    fine = TokenRecord.from_logits(np.log(np.full((20, 4), 1 / 4)), [1] * 20)
    found = attribute({"coarse": coarse, "fine": fine})
    assert found.log_e == pytest.approx({"coarse": 0, "fine": 0}, abs=1e-9)
    assert found.rejected == ()
    assert "does not tell them apart" in found.verdict
    with pytest.raises(ValueError, match="'coarse' and 'fine' were given different tokens"):
        attribute({"coarse": coarse, "fine": fine}, total=False)


def test_a_model_that_does_not_allow_the_text():
    string = [0] * 9 + [2]
    possible, impossible = (
        TokenRecord.from_logits(np.log(np.tile(LAWS["a"], (10, 1))), string, decoding=decoding)
        for decoding in (Decoding(), Decoding(top_k=2))
    )
    found = attribute({"full": possible, "cut": impossible}, total=False)
    assert found.log_e == {"full": -math.inf, "cut": math.inf}
    assert (found.best, found.rejected) == ("full", ("cut",))
    assert found.log_likelihood["cut"] == -math.inf
    assert not any(np.isnan(path).any() for path in found.log_e_path.values())
    none = attribute({"one": impossible, "other": impossible})
    assert none.best is None
    assert none.rejected == ("one", "other")
    assert "every one" in none.verdict
    assert json.loads(json.dumps(none.to_dict()))["log_e"] == {"one": None, "other": None}


def test_as_table_and_dict():
    found = attribute(records_of([[0, 1, 2] * 4], LAWS)[0], total=False)
    assert found.table().row_count == 3
    assert len(found.to_dict()["log_e_path"]["a"]) == 12


def test_bad_input():
    record = records_of([[0] * 10], LAWS)[0]["a"]
    with pytest.raises(ValueError, match="two or more models, got 1"):
        attribute({"a": record})
    with pytest.raises(ValueError, match="two or more models, got 0"):
        attribute({})
    with pytest.raises(ValueError, match="at least 8 scored tokens, got 5 under 'b'"):
        attribute({"a": record, "b": record[:5]})
    for alpha in (0, 1, math.nan):
        with pytest.raises(ValueError, match="alpha"):
            attribute({"a": record, "b": record}, alpha=alpha)
