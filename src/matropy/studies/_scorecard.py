"""All studies on one page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from matropy._core._files import output_folder, to_json, write_atomic
from matropy.reporting import Column, Link, Table
from matropy.studies._catalog import Method, catalog
from matropy.studies._result import StudyResult, with_columns
from matropy.studies._run import Scale

if TYPE_CHECKING:
    import rich.table

__all__ = ["Scorecard"]


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """The studies that were run, beside those that are not built yet.

    Attributes
    ----------
    matropy : str
        Version that made it.
    scale : {"smoke", "quick", "full"}
    results : tuple of StudyResult
        In the order of :func:`catalog`.
    """

    format: Literal["matropy.scorecard"] = "matropy.scorecard"
    version: Literal[1] = 1
    matropy: str
    scale: Scale
    results: tuple[StudyResult, ...]

    @property
    def changed(self) -> bool:
        """Whether any verdict differs from the recorded one."""
        return any(result.changed for result in self.results)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts, as in ``scorecard.json``."""
        plain: dict[str, Any] = msgspec.json.decode(to_json(self))
        return plain

    def table(self) -> rich.table.Table:
        """One row a method, for the terminal."""
        columns = ("#", "Study", "Outcome", "Hold", "Refuted", "Not measured")
        return with_columns(self.methods_table(), *columns).to_rich()

    def methods_table(self) -> Table:
        """One row a method; claims of the paper and of theory are counted apart from the rest."""
        results = {result.name: result for result in self.results}
        return Table(
            f"Studies at the {self.scale} scale",
            (
                Column("#"),
                Column("Study"),
                Column("Outcome", help="Whether a verdict differs from the recorded one."),
                Column("Hold", help="Claims of the paper, or exact results, that hold here."),
                Column("Refuted", help="Claims of the paper, or exact results, that do not."),
                Column("Not measured", help="Of all claims, for want of data, a model or time."),
                Column(
                    "Guards",
                    help="Earlier findings of ours or a peer's claims that came out as recorded, of those measured.",
                ),
                Column("Method"),
            ),
            tuple(_row(method, results.get(method.study)) for method in catalog()),
        )

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``scorecard.json`` and ``report.html`` into ``folder``; returns the folder."""
        from matropy.studies._report import scorecard_page

        path = output_folder(folder)
        write_atomic(path / "report.html", scorecard_page(self).to_html())
        write_atomic(path / "scorecard.json", to_json(self))
        return path


def _row(method: Method, result: StudyResult | None) -> tuple[object, ...]:
    if result is None:
        outcome = "not run" if method.available else "not built yet"
        return (method.seed, method.study, outcome, None, None, None, None, method.title)
    return (
        method.seed,
        Link(method.study, f"{method.study}/report.html"),
        f"{len(result.changes)} changed" if result.changed else "as recorded",
        result.count("holds", "paper", "theory"),
        result.count("refuted", "paper", "theory"),
        result.count("not measured"),
        "{} of {}".format(*result.guards),
        method.title,
    )
