import math

import numpy as np
import pytest

from matropy.reporting import Series


def test_arrays_become_tuples_and_what_cannot_be_drawn_becomes_none():
    series = Series("a", np.arange(3), np.array([1.0, math.nan, math.inf]), [0, 0, 0], [2, 2, None])
    assert series.x == (0.0, 1.0, 2.0)
    assert series.y == (1.0, None, None)
    assert series == Series("a", [0, 1, 2], [1, None, None], [0, 0, 0], [2, 2, None])
    assert [point.has_interval for point in series.points] == [True, True, False]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": [1, 2], "y": [1]}, "y of series 'a' has 1 values for 2 values of x"),
        ({"x": [1], "y": [1], "low": [1, 2], "high": [1, 2]}, "low of series 'a' has 2 values"),
        ({"x": [1], "y": [1], "low": [0]}, "both low and high"),
        ({"x": [1], "y": [1], "low": [2], "high": [1]}, "low of series 'a' must not exceed high"),
        ({"x": [math.nan], "y": [1]}, "x of series 'a' must be finite"),
        ({"x": [1], "y": [1], "kind": "bars"}, "line, points, reference; got 'bars'"),
    ],
)
def test_series_says_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        Series("a", **arguments)
