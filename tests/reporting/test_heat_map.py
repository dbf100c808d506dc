import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from matropy.reporting import HeatMap

from .svg import SVG, parse


def heat_map(values, **options):
    values = np.asarray(values, dtype=float)
    return HeatMap("Map", "column", "row", range(values.shape[1]), range(values.shape[0]), values, **options)


@given(arrays(float, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_any_matrix_makes_well_formed_svg(values):
    svg = heat_map(values).to_svg()
    parse(svg)
    assert "nan" not in svg


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_names_make_well_formed_svg(column, row):
    parse(HeatMap(column, row, column, [column, row], [row], [[1, 2]]).to_svg())


def test_the_description_names_the_extremes():
    tree = parse(heat_map([[1, 2], [3, math.nan]]).to_svg())
    assert (
        tree.find(SVG + "desc").text
        == "row by column, 2 rows and 2 columns. Lowest 1 at 0, 0, highest 3 at 0, 1."
    )
    assert heat_map([[math.nan]]).description.endswith("No data.")
    assert "mine" in heat_map([[1]], alt="mine").to_svg()


def test_small_maps_show_their_values_and_large_ones_stay_small():
    assert ">0.25<" in heat_map([[0.25, 0.5]]).to_svg()
    assert len(heat_map(np.random.default_rng(0).normal(size=(100, 100))).to_svg()) < 400_000


@pytest.mark.parametrize(
    ("x_ticks", "y_ticks", "values", "message"),
    [
        ([], [1], [[]], "at least one row and one column"),
        ([1], [1, 2], [[1]], "1 rows of values for 2 y_ticks"),
        ([1, 2], [1], [[1]], "Row 0 of heat map 'm' has 1 values for 2 x_ticks"),
    ],
)
def test_heat_map_says_what_is_wrong(x_ticks, y_ticks, values, message):
    with pytest.raises(ValueError, match=message):
        HeatMap("m", "x", "y", x_ticks, y_ticks, values)
