import itertools
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matropy.reporting import Figure, Series

from .svg import SVG, parse


def figure(*series, **options):
    return Figure("Entropy", "Layer", "nats", series, **options)


def drawn(plot):
    return parse(plot.to_svg())


def paths(tree, name="path", role=None):
    return [one.get("d") for one in tree.iter(SVG + name) if role is None or one.get("class") == role]


def test_svg_is_an_image_with_a_name_and_a_description():
    tree = drawn(figure(Series("a", [0, 1, 2], [1, 3, 2])))
    assert tree.get("role") == "img"
    assert tree.find(SVG + "title").text == "Entropy"
    assert tree.find(SVG + "desc").text == (
        "nats over Layer. a: 3 values, x from 0 to 2; lowest 1 at 0, highest 3 at 1."
    )


def test_alt_replaces_the_description():
    assert drawn(figure(Series("a", [0], [1]), alt="mine")).find(SVG + "desc").text == "mine"


def test_a_gap_splits_the_line_and_the_band():
    y = [1, 2, None, 4, math.nan, 6]
    low, high = [v and v - 1 for v in y], [v and v + 1 for v in y]
    tree = drawn(figure(Series("a", range(6), y, low, high)))
    line = next(d for d in paths(tree) if "L" in d and "Z" not in d)
    assert line.count("M") == 1, "the lone points after the gaps are dots, not lines"
    assert len(paths(tree, role="band")) == 1
    assert len(paths(tree, role="bar")) == 2
    assert "nan" not in figure(Series("a", range(6), y)).to_svg()


def test_points_have_bars_and_no_line():
    tree = drawn(figure(Series("a", [1, 2], [1, 2], [0, 1], [2, 3], kind="points")))
    assert len(paths(tree, role="bar")) == 2
    assert not any("L" in d for d in paths(tree))


def test_a_reference_is_dashed_and_muted():
    svg = figure(Series("null", [0, 1], [1, 1], kind="reference")).to_svg()
    assert 'class="reference"' in svg
    assert "stroke-dasharray" in svg


def test_whole_x_values_get_whole_ticks():
    tree = drawn(figure(Series("layer", [0, 1, 2], [0.1, 0.2, 0.3])))
    labels = [text.text for text in tree.iter(SVG + "text") if text.get("text-anchor") == "middle"]
    assert labels == ["0", "1", "2", "Layer"]


def test_tick_labels_do_not_touch():
    tree = drawn(figure(Series("a", [0, 1_000_000], [0, 1])))
    places = [
        float(t.get("x"))
        for t in tree.iter(SVG + "text")
        if re.fullmatch(r"[\d,]+", t.text) and t.get("dy") == "1.1em"
    ]
    assert all(b - a > 80 for a, b in itertools.pairwise(places))


def test_no_data_is_said():
    svg = figure(Series("a", [0, 1], [None, None])).to_svg()
    assert "no data" in svg
    assert "nan" not in svg


values = st.one_of(st.none(), st.floats(), st.floats(-10, 10))


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.floats(-1e279, 1e279), values), min_size=1, max_size=12),
    st.text(),
    st.sampled_from(["line", "points", "reference"]),
)
def test_any_data_and_names_make_well_formed_svg(points, name, kind):
    x, y = zip(*points, strict=True)
    svg = Figure(name, name, name, (Series(name, x, y, kind=kind), Series(name, x, y))).to_svg()
    parse(svg)
    assert not re.search("nan|inf", re.sub(r">[^<]*<", "><", svg))


def test_log_scales_draw():
    svg = figure(Series("a", [1, 10, 100], [1e-6, 1e-3, 1.0]), x_scale="log", y_scale="log").to_svg()
    assert ">1e-06<" in svg
    assert ">100<" in svg


@pytest.mark.parametrize(
    ("series", "options", "message"),
    [
        ((), {}, "at least one series"),
        (
            (Series("a", [1], [1]),),
            {"x_scale": "sqrt"},
            "x_scale of figure 'Entropy' must be linear or log; got 'sqrt'",
        ),
        (
            (Series("a", [1], [0]),),
            {"y_scale": "log"},
            "y of series 'a' must be positive on a log scale; got 0",
        ),
        ((Series("a", [-1], [1]),), {"x_scale": "log"}, "x of series 'a' must be positive"),
        ((Series("a", [1], [1], [-1], [2]),), {"y_scale": "log"}, "got -1"),
    ],
)
def test_figure_says_what_is_wrong(series, options, message):
    with pytest.raises(ValueError, match=message):
        figure(*series, **options)
