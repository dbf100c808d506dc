import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matropy.reporting import format_number
from matropy.reporting._numbers import format_column


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.71587, "0.7159"),
        (0.5, "0.5"),
        (1.0, "1"),
        (0.0, "0"),
        (-0.0, "0"),
        (-2.25, "-2.25"),
        (9.99996, "10"),
        (12345, "12,345"),
        (12345.678, "12,346"),
        (1234567890123, "1,234,567,890,123"),
        (1.2e-7, "1.2e-07"),
        (0.0001234, "0.0001234"),
        (3.2e12, "3.2e+12"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (True, "yes"),
        (np.bool_(False), "no"),
        (np.float32(0.25), "0.25"),
        (np.int64(1500), "1,500"),
    ],
)
def test_values_are_written_one_way(value, written):
    assert format_number(value) == written


def test_digits_are_significant():
    assert format_number(0.0123456, 2) == "0.012"
    assert format_number(98765.4, 2) == "98,765"


@given(st.floats(min_value=-1e300, max_value=1e300))
def test_what_is_written_is_the_value_to_four_digits(value):
    read = float(format_number(value).replace(",", ""))
    assert read == pytest.approx(value, rel=5.1e-4)


def test_decimals_line_up_in_a_column_but_digits_are_not_invented():
    assert format_column([0.7159, 0.5, 1.0, 12.5, 1234.56]) == ["0.7159", "0.5000", "1.000", "12.50", "1,235"]
    assert format_column([3, 0.25, math.nan, 1e-9, 0.0]) == ["3", "0.25", "–", "1e-09", "0"]
    assert format_column([]) == []
