"""A page with everything on it, and the same with hostile words."""

from matropy.reporting import Column, Facts, Figure, Grid, HeatMap, Link, Page, Section, Series, Table, Text

HOSTILE = "</script></style><script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg onload=alert(3)>{{7*7}}&lt;"


def full_page(word="word", href="#two"):
    layers = range(31)
    figure = Figure(
        f"Figure {word}",
        f"Layer {word}",
        f"Entropy {word}",
        (
            Series(
                f"model {word}",
                layers,
                [i / 10 for i in layers],
                [i / 20 for i in layers],
                [i / 5 for i in layers],
            ),
            Series("null", [0, 30], [2, 2], kind="reference"),
        ),
        caption=word,
    )
    table = Table(
        f"Table {word}",
        (
            Column(f"Model {word}", help=word),
            Column("Loss", unit=word),
            *(Column(f"Wide column {i}") for i in range(8)),
        ),
        (
            (f"a {word}", 2.5, *range(8)),
            (Link(f"b {word}", href), 10.25, *range(8)),
            ("c", None, *range(8)),
            ("d", -1.0, *range(8)),
        ),
        word,
    )
    heat_map = HeatMap(
        f"Map {word}", word, word, [word, "b"], [word, "d", "e"], [[1, 2], [3, None], [5, 6]], word
    )
    return Page(
        f"Page {word}",
        word,
        (
            Section("", (Facts(((word, word, word), ("loss", 2.34567), ("link", Link(word, href)))),)),
            Section(
                f"One {word}",
                (Text((word, "plain")), Text(word, "note"), Text(word, "warning"), figure),
                word,
            ),
            Section("Two", (Grid((figure, heat_map)), table)),
        ),
        word,
    )
