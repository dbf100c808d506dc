from hypothesis import given
from hypothesis import strategies as st

from matropy.reporting._markup import clean, element, text, visible

from .svg import parse


@given(st.text(alphabet=st.characters()))
def test_any_text_survives_as_text(content):
    tree = parse(element("text", text(content), class_=content))
    expected = clean(content).replace("\r\n", "\n").replace("\r", "\n")
    assert (tree.text or "") == expected
    assert len(tree) == 0


def test_controls_and_lone_surrogates_are_replaced():
    assert clean("a\x00b\x1b[31m\ud800\tc\n") == "a\ufffdb\ufffd[31m\ufffd\tc\n"


def test_attributes_take_their_svg_names_and_short_numbers():
    assert element("text", "x", class_="ink", text_anchor="end", x=1.23456) == (
        '<text class="ink" text-anchor="end" x="1.23">x</text>'
    )
    assert element("line", y=12345678.0) == '<line y="12345678"/>'


def test_long_names_end_in_an_ellipsis():
    assert visible("abcdef", 6) == "abcdef"
    assert visible("abc defg", 5) == "abc…"
