"""Each criterion at its edges."""

from __future__ import annotations

import pytest

from matropy.studies import AtLeast, AtMost, Close, Ordered, Within


@pytest.mark.parametrize(
    ("criterion", "met", "missed"),
    [
        (Within("x", 1.0, 2.0), (1.0, 1.5, 2.0), (0.999, 2.001)),
        (AtLeast("x", 1.0), (1.0, 3.0), (0.999,)),
        (AtMost("x", 1.0), (1.0, -3.0), (1.001,)),
        (Close("x", 100.0, rtol=0.01), (99.0, 101.0), (98.9, 101.1)),
        (Close("x", 0.0, atol=0.5), (-0.5, 0.5), (0.51,)),
        (Close("x", 100.0, rtol=0.01, atol=2.0), (98.0, 102.0), (97.9,)),
    ],
)
def test_criterion_of_one_value(criterion, met, missed):
    assert criterion.names == ("x",)
    assert all(criterion.holds({"x": value}) for value in met)
    assert not any(criterion.holds({"x": value}) for value in missed)


def test_ordered_means_strictly_rising_in_the_order_of_the_names():
    rising = Ordered("a", "b", "c")
    assert rising.names == ("a", "b", "c")
    assert rising.holds({"a": 1, "b": 2, "c": 3})
    assert not rising.holds({"a": 1, "b": 2, "c": 2})
    assert not rising.holds({"a": 3, "b": 2, "c": 1})


def test_criteria_write_themselves_out():
    assert str(Within("real", 403.92, 403.94)) == "403.92 ≤ real ≤ 403.94"
    assert str(Close("loss", 2.5, atol=1e-3)) == "loss = 2.5 ± 0.001"
    assert str(AtLeast("ratio", 10)) == "ratio ≥ 10"
    assert str(AtMost("error", 0.5)) == "error ≤ 0.5"
    assert str(Ordered("a", "b")) == "a < b"


def test_criteria_that_could_never_be_judged_are_refused():
    with pytest.raises(ValueError, match="low must not exceed high"):
        Within("x", 2.0, 1.0)
    with pytest.raises(ValueError, match="positive rtol or atol"):
        Close("x", 1.0)
    with pytest.raises(ValueError, match="positive rtol or atol"):
        Close("x", 1.0, rtol=-0.1)
    with pytest.raises(ValueError, match="at least two names"):
        Ordered("x")
