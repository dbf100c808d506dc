import pytest

from matropy.reporting import Link


@pytest.mark.parametrize(
    "href",
    [
        "#layers",
        "studies/a.html",
        "./a.html?x=1:2#y",
        "../a",
        "https://example.org/a?b=c",
        "HTTP://example.org",
        "a#b:c",
    ],
)
def test_fragments_relative_paths_and_the_web_are_followed(href):
    assert Link("x", href).target == href


@pytest.mark.parametrize(
    "href",
    [
        "",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\tscript:alert(1)",
        "\x01javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "mailto:a@example.org",
        "//example.org",
        "/etc/passwd",
        "\\\\host\\share",
        "https:/example.org",
        "http:///x",
        "https://exa mple.org",
        'a"onmouseover="x',
        "a<b",
    ],
)
def test_anything_else_is_text(href):
    assert Link("x", href).target is None
