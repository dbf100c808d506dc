import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from matropy.reporting import Facts, Figure, Grid, Page, Section, Series, Text

from .pages import HOSTILE, full_page


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found, self.text = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_equal_pages_give_equal_bytes():
    assert full_page().to_html() == full_page().to_html()


def test_hostile_words_add_no_element_and_no_attribute():
    def shape(page):
        return [(tag, sorted(attributes)) for tag, attributes in Tags(page.to_html()).found]

    assert shape(full_page(HOSTILE)) == shape(full_page("w" * len(HOSTILE)))


@pytest.mark.parametrize(
    "href", ["javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "//example.org"]
)
def test_an_unsafe_link_is_plain_text(href):
    html = full_page("word", href).to_html()
    assert "b word" in html
    assert not [a for a in Tags(html).all("a") if a.get("href") == href]


def test_links_to_the_web_do_not_tell_where_from():
    link = next(a for a in Tags(full_page(href="https://example.org/").to_html()).all("a") if "rel" in a)
    assert link == {"href": "https://example.org/", "rel": "noopener noreferrer"}


def test_the_policy_allows_exactly_this_style_and_script():
    html = full_page().to_html()
    policy = next(
        m["content"] for m in Tags(html).all("meta") if m.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r"\s(style|on\w+)=", re.sub(r"<(script|style)>.*?</\1>", "", html, flags=re.DOTALL))


def test_nothing_is_fetched():
    tags = Tags(full_page().to_html())
    assert not [attributes for _, attributes in tags.found if "src" in attributes]
    assert tags.all("link") == [{"rel": "icon", "href": "data:,"}]


def test_headings_landmarks_and_table_markup():
    tags = Tags(full_page().to_html())
    names = [tag for tag, _ in tags.found]
    assert (names.count("h1"), names.count("h2"), names.count("main"), names.count("nav")) == (1, 2, 1, 1)
    assert names.count("caption") == 1
    assert {a["scope"] for a in tags.all("th")} == {"col", "row"}
    assert tags.all("a")[0] == {"class": "skip", "href": "#content"}
    ids = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(a["href"][1:] in ids for a in tags.all("a") if a["href"].startswith("#"))


def test_headings_that_repeat_get_their_own_fragment():
    page = Page(
        "p", sections=tuple(Section(heading, ()) for heading in ("Same", "same!", "Content", "…", "Größe x"))
    )
    assert [a["href"] for a in Tags(page.to_html()).all("a")[1:]] == [
        "#same",
        "#same-2",
        "#content-2",
        "#section",
        "#größe-x",
    ]


def test_one_section_needs_no_contents():
    assert "<nav" not in Page("p", sections=(Section("only", ()),)).to_html()


def test_a_page_survives_utf8_whatever_it_says():
    Page("lone \ud800 \x00", "x", (Section("s", (Text("\udfff"),)),)).to_html().encode()


def test_a_full_report_stays_small():
    layers = range(31)
    y = [0.123456 * i for i in layers]
    figures = tuple(
        Figure(
            f"m{i}",
            "Layer",
            "value",
            (Series("a", layers, y, y, y), Series("null", layers, y, kind="reference")),
        )
        for i in range(15)
    )
    assert len(Page("p", sections=(Section("s", (Grid(figures),)),)).to_html()) < 250_000


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Section("s", ("text",)), "Section 's' holds Text, Table, .*; got str"),
        (lambda: Grid((Facts(()),)), "Grid holds Figure, HeatMap; got Facts"),
        (lambda: Page("p", sections=(Text("x"),)), "Page 'p' holds Section; got Text"),
    ],
)
def test_blocks_of_another_type_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
