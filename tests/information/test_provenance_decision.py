"""The three tests: exact by enumeration, at their level by simulation, and told in a sentence."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markov_source import LAMBDAS, MarkovSource
from scipy.stats import norm

from matropy.information import Decoding, TokenRecord, provenance_test

DECODINGS = [
    Decoding(),
    Decoding(0.6),
    Decoding(1.5),
    Decoding(top_k=2),
    Decoding(top_p=0.7),
    Decoding(0.8, 2, 0.9),
]


def some_record(n=50, seed=0, vocabulary=20, tilt=0.0, **options):
    """Tokens of the law itself, or of one that is tilted towards unlikely tokens."""
    rng = np.random.default_rng(seed)
    law = rng.dirichlet(np.full(vocabulary, 0.3), size=n)
    drawn = law ** (1 - tilt) / (law ** (1 - tilt)).sum(1, keepdims=True)
    tokens = [rng.choice(vocabulary, p=p) for p in drawn]
    return TokenRecord.from_logits(np.log(law), tokens, **options)


@pytest.mark.parametrize("decoding", DECODINGS, ids=str)
def test_every_bet_has_mean_one_by_enumeration(decoding):
    """All 6,561 strings of eight symbols of a source whose laws depend on all that came before."""
    rng = np.random.default_rng(3)
    strings = np.array(list(itertools.product(range(3), repeat=8)))
    log_probability = np.zeros(len(strings))
    log_bets = np.zeros((len(strings), len(LAMBDAS)))
    excess = np.zeros(len(strings))
    for t in range(8):
        logits = 2 * rng.standard_normal((3**t, 3))
        prefix = strings[:, :t] @ 3 ** np.arange(t)[::-1]
        record = TokenRecord.from_logits(logits[prefix], strings[:, t], decoding=decoding)
        possible = np.isfinite(record.surprise)
        log_probability -= record.surprise
        finite = np.where(possible, record.surprise, 0)
        log_bets += finite[:, None] * np.array(LAMBDAS) - record.cumulant
        excess += finite - record.entropy
    probability = np.exp(log_probability)
    assert probability.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(probability @ np.exp(log_bets), 1, atol=1e-12)
    assert probability @ excess == pytest.approx(0, abs=1e-12)


def test_the_chance_of_ever_crossing_is_below_the_level_exactly():
    """Ville's inequality over all strings, not over a sample of them."""
    rows = np.array([[0.8, 0.2], [0.3, 0.7]])
    strings = np.array(list(itertools.product(range(2), repeat=11)))
    pairs = TokenRecord.from_logits(
        np.log(rows[[0, 0, 1, 1]]), [0, 1, 0, 1], lambdas=(-2, -1, -0.5, 0.3, 0.5, 0.8)
    )
    index = 2 * strings[:, :-1] + strings[:, 1:]
    probability = np.exp(-pairs.surprise[index].sum(1)) / 2
    for side in ("two", "greater", "less"):
        results = [provenance_test(pairs[row], alpha=0.3, side=side) for row in index]
        rejected = probability @ np.array([result.reject for result in results])
        assert 0 < rejected <= 0.3
        p_values = np.array([result.p_value for result in results])
        assert all(probability @ (p_values <= level) <= level + 1e-12 for level in np.linspace(0.01, 1, 50))


def test_levels_and_power_on_a_markov_source():
    """2,000 strings of 200 tokens; the crossing rate of the e-process, the tails of z, and two alternatives."""
    source = MarkovSource(lambdas=(-1, -0.5, -0.25, -0.1, 0.1, 0.2, 0.35, 0.5))
    own = source.strings(2000, 200)
    crossed = (source.log_e_paths(own).max(axis=1) >= math.log(20)).mean()
    assert 0.005 < crossed < 0.05
    assert 0.03 < (np.abs(source.scores(own)) > norm.ppf(0.975)).mean() < 0.07
    mixed = source.strings(300, 200, 0.9 * source.rows + 0.1 / 50)
    assert (source.log_e_paths(mixed).max(axis=1) >= math.log(20)).mean() > 0.8


@pytest.mark.slow
def test_levels_and_power_on_a_markov_source_at_full_size():
    source = MarkovSource(lambdas=(-1, -0.5, -0.25, -0.1, 0.1, 0.2, 0.35, 0.5))
    for length in (50, 200, 500):
        own = source.strings(20_000, length)
        crossed = (source.log_e_paths(own).max(axis=1) >= math.log(20)).mean()
        assert 0.01 < crossed <= 0.05
        if length == 500:
            assert 0.045 <= (np.abs(source.scores(own)) > norm.ppf(0.975)).mean() <= 0.055
    mixed = source.strings(2000, 500, 0.9 * source.rows + 0.1 / 50)
    assert (source.log_e_paths(mixed).max(axis=1) >= math.log(20)).mean() >= 0.98
    warm = source.rows ** (1 / 1.15)
    warm = source.strings(2000, 500, warm / warm.sum(1, keepdims=True))
    assert (source.log_e_paths(warm).max(axis=1) >= math.log(20)).mean() >= 0.55


def test_a_result_is_what_its_definitions_give():
    source = MarkovSource()
    states = source.strings(5, 120)
    paths, scores = source.log_e_paths(states), source.scores(states)
    for record, path, z in zip(source.records(states), paths, scores, strict=True):
        result = provenance_test(record, alpha=0.2)
        np.testing.assert_allclose(result.log_e_path, path, rtol=1e-12, atol=1e-12)
        assert result.e_value == pytest.approx(math.exp(path[-1]))
        assert result.p_value == pytest.approx(min(1, math.exp(-path.max())))
        crossed = np.flatnonzero(path >= math.log(5))
        assert result.first_rejection == (crossed[0] if len(crossed) else None)
        assert result.reject == bool(len(crossed))
        assert result.z == pytest.approx(z)
        assert pytest.approx(np.mean(record.surprise - record.entropy)) == result.D
        bets = record.surprise.sum() * np.array(LAMBDAS) - record.cumulant.sum(0)
        assert result.growth == pytest.approx(bets.max() / 120)
        expected = math.log(6 / 0.2) / result.growth if result.growth > 0 else math.inf
        assert result.expected_tokens == pytest.approx(expected)
        assert len(result) == 120


def test_normal_p_values():
    record = some_record(200, tilt=0.1)
    z = provenance_test(record, method="z").z
    assert provenance_test(record, method="z").p_value == pytest.approx(2 * norm.sf(abs(z)))
    assert provenance_test(record, method="z", side="greater").p_value == pytest.approx(norm.sf(z))
    assert provenance_test(record, method="z", side="less").p_value == pytest.approx(norm.cdf(z))


def test_a_priori_p_values():
    record = some_record(400, vocabulary=50, tilt=0.5)
    D, bound = provenance_test(record).D, math.log(49) ** 2 / 4 + 1
    assert D > 0
    upper = math.exp(-400 * (D - bound * math.log(1 + D / bound)))
    lower = math.exp(400 * (D + bound * math.log(1 - D / bound)))
    assert provenance_test(record, method="bound").p_value == pytest.approx(min(1, upper + lower))
    assert provenance_test(record, method="bound", side="greater").p_value == pytest.approx(upper)
    assert provenance_test(record, method="bound", side="less").p_value == 1
    assert provenance_test(some_record(400, tilt=-1), method="bound", side="greater").p_value == 1
    assert provenance_test(some_record(400, tilt=-1), method="bound", side="less").p_value < 1


@pytest.mark.parametrize("excess", [0.7, 1.5, 3.0, 10.0, 300.0])
def test_the_bound_on_both_sides_of_its_edge(excess):
    """Beyond B no deviation to that side is possible; nothing overflows there."""
    record = some_record(20, vocabulary=2)
    record = dataclasses.replace(record, surprise=record.entropy + excess)
    upper = math.exp(-20 * (excess - math.log(1 + excess)))  # B = 1 for two tokens
    lower = math.exp(20 * (excess + math.log(1 - excess))) if excess < 1 else 0
    assert provenance_test(record, method="bound").p_value == pytest.approx(min(1, upper + lower))


@pytest.mark.parametrize("vocabulary", [2, 3, 10, 1000, 10**5])
def test_no_law_has_a_larger_variance_than_the_bound_allows(vocabulary):
    """The extreme laws have one token against the rest, all alike (Reeb and Wolf)."""
    bound = math.log(vocabulary - 1) ** 2 / 4 + 1
    p = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 4001), np.geomspace(1e-12, 0.5, 500)])
    variance = p * (1 - p) * np.log(p * (vocabulary - 1) / (1 - p)) ** 2
    assert variance.max() <= bound
    rng = np.random.default_rng(0)
    laws = rng.dirichlet(np.full(min(vocabulary, 50), 0.05), size=200)
    logs = np.log(np.maximum(laws, 1e-300))
    assert ((laws * logs**2).sum(1) - (laws * logs).sum(1) ** 2).max() <= math.log(49) ** 2 / 4 + 1


@pytest.mark.parametrize("method", ["e", "z", "bound"])
@pytest.mark.parametrize("side", ["two", "greater", "less"])
def test_a_token_that_the_law_does_not_allow_rejects_outright(method, side):
    logits = np.tile([2.0, 1.0, 0.0], (10, 1))
    tokens = [0, 0, 1, 0, 2, 0, 2, 1, 0, 0]
    record = TokenRecord.from_logits(logits, tokens, decoding=Decoding(top_k=2))
    result = provenance_test(record, method=method, side=side, alpha=1e-9)
    assert result.reject
    assert result.p_value == 0
    assert result.e_value == result.D == result.z == result.growth == math.inf
    assert result.expected_tokens == 0
    assert result.first_rejection == 4
    assert np.isposinf(result.log_e_path[4:]).all()
    assert np.isfinite(result.log_e_path[:4]).all()
    assert "scored token 5 cannot occur under it" in result.verdict


def test_sides_look_where_they_say():
    surprising, predictable = some_record(300, tilt=0.5), some_record(300, tilt=-1)
    assert provenance_test(surprising, side="greater").reject
    assert not provenance_test(surprising, side="less").reject
    assert provenance_test(predictable, side="less").reject
    assert not provenance_test(predictable, side="greater").reject
    assert provenance_test(surprising).D > 0 > provenance_test(predictable).D
    for side, kept in (("greater", slice(3, 6)), ("less", slice(0, 3))):
        one_sided = dataclasses.replace(
            surprising, lambdas=LAMBDAS[kept], cumulant=surprising.cumulant[:, kept]
        )
        np.testing.assert_array_equal(
            provenance_test(surprising, side=side).log_e_path, provenance_test(one_sided).log_e_path
        )


def test_a_certain_law_says_nothing():
    record = TokenRecord.from_logits(np.array([[0.0, -math.inf]] * 8), [0] * 8)
    result = provenance_test(record)
    assert (result.D, result.z, result.p_value, result.growth) == (0, 0, 1, 0)
    assert result.expected_tokens == math.inf


def test_very_strong_evidence_does_not_overflow():
    record = some_record(400, tilt=3.0, lambdas=(0.9,))
    result = provenance_test(record)
    assert result.e_value == math.inf
    assert result.p_value == 0
    assert np.isfinite(result.log_e_path).all()


@pytest.mark.parametrize(
    ("tilt", "why"),
    [
        (0.0, "is consistent with"),
        (0.6, "more surprising"),
        (-2.0, "less surprising than that law makes them, as"),
    ],
)
@pytest.mark.parametrize("method", ["e", "z", "bound"])
def test_the_verdict_is_one_honest_sentence(tilt, why, method):
    record = some_record(2000, tilt=tilt, decoding=Decoding(0.9, 19, 0.999) if tilt == 0 else Decoding())
    record = dataclasses.replace(record[np.isfinite(record.surprise)], model="Tiny-1")
    verdict = provenance_test(record, alpha=0.01, method=method).verdict
    if tilt:
        assert why in verdict
        assert "is rejected as" in verdict
    assert "level 0.01" in verdict
    assert f"Tiny-1 at {record.decoding}" in verdict
    assert verdict.count(". ") == 0
    assert verdict.endswith(".")
    assert not re.search(r"written by|wrote|proves", verdict)


def test_a_result_as_table_dict_and_plot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    result = provenance_test(some_record(30))
    content = json.loads(json.dumps(result.to_dict()))
    assert content["decoding"] == {"temperature": 1.0, "top_k": None, "top_p": None}
    assert len(content["log_e_path"]) == 30
    assert result.table().row_count == 7
    ax = result.plot()
    assert len(ax.lines) == 2
    assert ax.lines[1].get_ydata()[0] == pytest.approx(math.log10(20))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), result.log_e_path / math.log(10))
    impossible = provenance_test(
        TokenRecord.from_logits(np.tile([1.0, 0], (9, 1)), [1] * 9, decoding=Decoding(top_k=1))
    )
    assert impossible.to_dict()["e_value"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "alpha must be strictly between 0 and 1, got 0"),
        ({"alpha": 1}, "alpha"),
        ({"alpha": -0.1}, "alpha"),
        ({"alpha": math.nan}, "alpha"),
        ({"method": "t"}, "method must be one of 'e', 'z', 'bound'"),
        ({"side": "both"}, "side must be one of 'two', 'greater', 'less'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        provenance_test(some_record(20), **options)


def test_records_that_cannot_be_tested():
    with pytest.raises(ValueError, match="at least 8 scored tokens, got 7"):
        provenance_test(some_record(20)[:7])
    with pytest.raises(ValueError, match="side='less' needs a lambda on that side"):
        provenance_test(some_record(20, lambdas=(0.1, 0.2)), side="less")


@given(st.integers(0, 10_000), st.floats(-2, 0.9), st.sampled_from(["two", "greater", "less"]))
def test_p_values_are_probabilities_and_fall_with_length(seed, tilt, side):
    record = some_record(40, seed=seed, tilt=tilt)
    whole, part = provenance_test(record, side=side), provenance_test(record[:20], side=side)
    assert 0 <= whole.p_value <= part.p_value <= 1
    np.testing.assert_allclose(whole.log_e_path[:20], part.log_e_path)
    assert whole.reject == (whole.first_rejection is not None) == (whole.p_value <= whole.alpha)
    for method in ("z", "bound"):
        assert 0 <= provenance_test(record, method=method, side=side).p_value <= 1


def test_fast_detectgpt_and_binoculars_with_one_model():
    """Re-implemented from their formulas, on shared logits."""
    torch = pytest.importorskip("torch")
    logits = 3 * torch.randn(64, 5000, generator=torch.Generator().manual_seed(0))
    tokens = torch.randint(0, 5000, (64,), generator=torch.Generator().manual_seed(1))
    log_p = logits.double().log_softmax(-1)
    p = log_p.exp()
    likelihood = log_p.gather(-1, tokens[:, None])[:, 0]
    mean = (p * log_p).sum(-1)
    spread = (p * log_p.square()).sum(-1) - mean.square()
    discrepancy = (likelihood.sum() - mean.sum()) / spread.sum().sqrt()
    record = TokenRecord.from_logits(logits, tokens)
    assert -provenance_test(record).z == pytest.approx(float(discrepancy), rel=1e-5)
    ratio = record.surprise.sum() / record.entropy.sum()
    assert ratio == pytest.approx(float(-likelihood.mean() / -mean.mean()), rel=1e-5)
