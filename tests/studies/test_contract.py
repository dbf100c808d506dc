"""Claims become verdicts."""

from __future__ import annotations

import math

import pytest

from matropy.studies import AtLeast, Claim, Ordered, Paper
from matropy.studies._contract import judge


def test_a_claim_holds_or_is_refuted():
    claim = Claim("x is large", AtLeast("x", 1.0), published=2.5, where="table 1", departs="smaller")
    verdict = judge(claim, {"x": 3.0, "unused": 0.0})
    assert (verdict.outcome, verdict.expected, verdict.changed) == ("holds", "holds", False)
    assert verdict.measured == {"x": 3.0}
    assert (verdict.published, verdict.where, verdict.departs) == (2.5, "table 1", "smaller")
    assert (judge(claim, {"x": 0.0}).outcome, judge(claim, {"x": 0.0}).changed) == ("refuted", True)


def test_a_claim_recorded_as_refuted_changes_when_it_holds():
    claim = Claim("x is large", AtLeast("x", 1.0), expected=False)
    refuted, holds = judge(claim, {"x": 0.0}), judge(claim, {"x": 2.0})
    assert (refuted.outcome, refuted.expected, refuted.changed) == ("refuted", "refuted", False)
    assert (holds.outcome, holds.changed) == ("holds", True)


@pytest.mark.parametrize("values", [{}, {"a": 1.0}, {"a": 1.0, "b": math.nan}, {"a": 1.0, "b": math.inf}])
@pytest.mark.parametrize("expected", [True, False])
def test_missing_or_undefined_values_are_not_measured_and_change_nothing(values, expected):
    verdict = judge(Claim("rises", Ordered("a", "b"), expected=expected), values)
    assert (verdict.outcome, verdict.changed) == ("not measured", False)
    assert verdict.measured["b"] is None


def test_bad_claims_and_papers():
    with pytest.raises(ValueError, match="origin must be one of"):
        Claim("x", AtLeast("x", 1.0), origin="ours")
    with pytest.raises(TypeError):
        Claim("x", AtLeast("x", 1.0), 2.0)
    assert Paper("T", "A", 2020).url is None
    assert Paper("T", "A", 2020, arxiv="2011.02867").url == "https://arxiv.org/abs/2011.02867"
