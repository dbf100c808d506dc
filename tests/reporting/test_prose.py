import pytest

from matropy.reporting import Facts, Link, Text


def test_a_lone_string_is_one_paragraph():
    assert Text("one").paragraphs == ("one",)
    assert Text(("one", "two"), "note").paragraphs == ("one", "two")


def test_text_says_what_is_wrong():
    with pytest.raises(ValueError, match="at least one paragraph"):
        Text(())
    with pytest.raises(ValueError, match=r"plain, note, warning; got 'loud'"):
        Text("x", "loud")


def test_cards_are_written_out():
    facts = Facts(
        (("loss", 2.34567, "nats"), ("layers", 31), ("none", None), ("model", Link("m", "javascript:x")))
    )
    assert [(card.value, card.href, card.hint) for card in facts.cards] == [
        ("2.346", None, "nats"),
        ("31", None, ""),
        ("–", None, ""),
        ("m", None, ""),
    ]


@pytest.mark.parametrize("item", [("a",), ("a", 1, "b", "c")])
def test_a_fact_has_two_or_three_parts(item):
    with pytest.raises(ValueError, match="parts"):
        Facts((item,))


def test_a_fact_of_another_type_is_refused():
    with pytest.raises(ValueError, match="'a' must be text, a number, None or a Link; got list"):
        Facts((("a", [1]),))
