import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matropy.reporting._axis import fit_axis

drawable = st.floats(-1e279, 1e279)


@given(st.lists(drawable, min_size=1, max_size=20))
def test_every_value_lies_inside_and_order_is_kept(values):
    axis = fit_axis(values, start=0, stop=100)
    places = [axis.position(value) for value in sorted(values)]
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)
    assert places == sorted(places)


@given(st.lists(st.floats(1e-279, 1e279), min_size=1, max_size=20))
def test_a_log_axis_holds_its_values(values):
    axis = fit_axis(values, start=100, stop=0, scale="log")
    assert all(math.isfinite(axis.position(value)) for value in values)
    assert all(-1e-6 <= axis.position(value) <= 100 + 1e-6 for value in values)


def test_air_does_not_cross_zero():
    assert fit_axis([0.0, 10.0], start=0, stop=1).low == 0
    assert fit_axis([-10.0, 0.0], start=0, stop=1).high == 0


def test_whole_values_get_whole_ticks():
    assert fit_axis([0.0, 1.0, 2.0], start=0, stop=1, count=10).ticks == (0.0, 1.0, 2.0)
    assert fit_axis([7.0], start=0, stop=1).ticks == (6.0, 7.0, 8.0)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_no_values_still_make_an_axis(scale):
    assert fit_axis([], start=0, stop=1, scale=scale).ticks
