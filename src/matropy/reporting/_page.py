"""A report in one file."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import re
from dataclasses import dataclass
from functools import cache

import jinja2

from matropy.reporting._figure import Figure
from matropy.reporting._heat_map import HeatMap
from matropy.reporting._markup import clean
from matropy.reporting._prose import Facts, Text
from matropy.reporting._readout import readout
from matropy.reporting._table import Table

__all__ = ["Grid", "Page", "Section"]


@dataclass(frozen=True)
class Grid:
    """Plots side by side that wrap: small multiples."""

    figures: tuple[Figure | HeatMap, ...]

    def __post_init__(self) -> None:
        _check("Grid", self.figures, (Figure, HeatMap))


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it.

    Parameters
    ----------
    heading : str
        Its words in lower case, joined by hyphens, are the fragment that a :class:`Link` may name.
    blocks : tuple of Text, Table, Figure, HeatMap, Facts or Grid
    lead : str
        One sentence below the heading.
    """

    heading: str
    blocks: tuple[Text | Table | Figure | HeatMap | Facts | Grid, ...]
    lead: str = ""

    def __post_init__(self) -> None:
        _check(f"Section {self.heading!r}", self.blocks, (Text, Table, Figure, HeatMap, Facts, Grid))


@dataclass(frozen=True)
class Page:
    """A report: one HTML file that opens from disk and asks the network for nothing.

    Parameters
    ----------
    title : str
    subtitle : str
    sections : tuple of Section
        A section without a heading stands before the table of contents' first entry (the first screen).
    footer : str
    """

    title: str
    subtitle: str = ""
    sections: tuple[Section, ...] = ()
    footer: str = ""

    def __post_init__(self) -> None:
        _check(f"Page {self.title!r}", self.sections, (Section,))

    def to_html(self) -> str:
        """Write the page; equal pages give equal bytes."""
        style, script = _asset("page.css"), _asset("page.js")
        policy = (
            f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
            "base-uri 'none'; form-action 'none'"
        )
        html = (
            _environment()
            .get_template("page.html")
            .render(
                page=self,
                sections=list(zip(_fragments(self.sections), self.sections, strict=True)),
                policy=policy,
                style=style,
                script=script,
            )
        )
        return clean(html)


def _fragments(sections: tuple[Section, ...]) -> list[str]:
    taken = {"content", "contents"}
    fragments = []
    for section in sections:
        stem = re.sub(r"\W+", "-", section.heading.lower()).strip("-") or "section"
        fragment, number = stem, 2
        while fragment in taken:
            fragment, number = f"{stem}-{number}", number + 1
        taken.add(fragment)
        fragments.append(fragment)
    return fragments


def _check(owner: str, items: tuple[object, ...], allowed: tuple[type, ...]) -> None:
    for item in items:
        if not isinstance(item, allowed):
            names = ", ".join(kind.__name__ for kind in allowed)
            raise ValueError(f"{owner} holds {names}; got {type(item).__name__}.")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("matropy.reporting", "_templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters["readout"] = readout
    return environment


def _asset(name: str) -> str:
    return importlib.resources.files("matropy.reporting").joinpath("_templates", name).read_text("utf-8")


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
