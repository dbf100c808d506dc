import itertools
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from matropy.reporting._ticks import log_ticks, nice_ticks, tick_labels

ends = st.floats(-1e12, 1e12)


def is_one_two_five(step):
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    return any(math.isclose(mantissa, factor, rel_tol=1e-5) for factor in (1, 2, 5))


@given(ends, ends, st.integers(2, 10))
def test_nice_ticks_are_few_even_round_and_inside(a, b, count):
    low, high = sorted((a, b))
    assume(high - low > 1e-6 * max(abs(low), abs(high), 1e-100))
    ticks = nice_ticks(low, high, count)
    steps = [after - before for before, after in itertools.pairwise(ticks)]
    slack = 1e-6 * (high - low)
    assert 1 <= len(ticks) <= count + 1
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    assert all(step == pytest.approx(steps[0], rel=1e-5) for step in steps)
    assert not steps or is_one_two_five(steps[0])
    labels = tick_labels(ticks)
    assert len(set(labels)) == len(ticks)
    assert [float(label.replace(",", "")) for label in labels] == pytest.approx(ticks, rel=1e-9, abs=slack)


@given(st.integers(-1000, 1000), st.integers(1, 1000), st.integers(2, 10))
def test_whole_ticks_are_whole(low, span, count):
    assert all(tick.is_integer() for tick in nice_ticks(low, low + span, count, whole=True))


@given(st.floats(-60, 60), st.floats(0.01, 60), st.integers(3, 8))
def test_log_ticks_are_few_and_inside(exponent, decades, count):
    low, high = 10.0**exponent, 10.0 ** (exponent + decades)
    ticks = log_ticks(low, high, count)
    assert 1 <= len(ticks) <= max(count + 1, 9)
    assert list(ticks) == sorted(set(ticks))
    assert all(low * (1 - 1e-6) <= tick <= high * (1 + 1e-6) for tick in ticks)


def test_many_decades_show_powers_of_ten_only():
    assert log_ticks(1e-8, 1e4, 6) == (1e-8, 1e-6, 1e-4, 1e-2, 1.0, 1e2, 1e4)


def test_labels_share_their_decimals_on_a_linear_axis():
    assert tick_labels((0.0, 0.5, 1.0)) == ("0.0", "0.5", "1.0")
    assert tick_labels((0.1, 1.0, 10.0), "log") == ("0.1", "1", "10")
    assert tick_labels((10000.0, 20000.0)) == ("10,000", "20,000")
    assert tick_labels((-1.0, 0.0, 1.0)) == ("-1", "0", "1")
