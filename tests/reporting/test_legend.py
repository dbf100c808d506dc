from matropy.reporting import Series
from matropy.reporting._legend import draw_legend, legend_height, strokes


def one(name, kind="line"):
    return Series(name, [1], [1], kind=kind)


def test_a_lone_series_needs_no_legend():
    assert draw_legend([one("a")]) == ""
    assert legend_height([one("a")]) == 0


def test_references_use_up_no_colour_and_the_palette_goes_round_with_dashes():
    found = strokes([one("null", "reference"), *(one(str(i)) for i in range(8))])
    assert [stroke.name for stroke in found] == ["reference", *(f"s{i}" for i in range(7)), "s0"]
    assert (found[1].dash, found[8].dash) == ("", "2 4")


def test_long_legends_wrap():
    assert legend_height([one("a" * 40), one("b" * 40)]) > legend_height([one("a"), one("b")])


def test_the_same_series_twice_keeps_its_place():
    assert draw_legend([one("a"), one("a")]).count("<text") == 2
