"""What a study comes to: verdicts, values, tables, plots."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from matropy._core._errors import InputError
from matropy._core._files import output_folder, to_json, write_atomic
from matropy.reporting import Column, Figure, HeatMap, Link, Table, format_number
from matropy.studies._contract import Paper, Verdict
from matropy.studies._run import Scale

if TYPE_CHECKING:
    import rich.table

__all__ = ["StudyResult", "with_columns"]


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """Verdicts on the claims of a paper, and all that was measured for them.

    Attributes
    ----------
    created : str
        Start of the run, UTC, ISO 8601.
    matropy : str
        Version that made it.
    name : str
        Of the study.
    title : str
        Of the method.
    paper : Paper
    scale : {"smoke", "quick", "full"}
    seed : int
    verdicts : tuple of Verdict
    values : dict of str to float or None
        None where a value is not defined.
    skipped : dict of str to str
        What was missing, and why.
    tables : tuple of Table
    plots : tuple of Figure
    heat_maps : tuple of HeatMap
    environment : dict of str to str
        Versions, machine, device.
    seconds : float
    """

    format: Literal["matropy.study"] = "matropy.study"
    version: Literal[1] = 1
    created: str
    matropy: str
    name: str
    title: str
    paper: Paper
    scale: Scale
    seed: int
    verdicts: tuple[Verdict, ...]
    values: dict[str, float | None]
    skipped: dict[str, str] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    plots: tuple[Figure, ...] = ()
    heat_maps: tuple[HeatMap, ...] = ()
    environment: dict[str, str]
    seconds: float

    @property
    def changes(self) -> tuple[Verdict, ...]:
        """Verdicts that differ from the recorded ones; none at the smoke scale, which only checks that it runs."""
        return tuple(verdict for verdict in self.verdicts if verdict.changed and self.scale != "smoke")

    @property
    def changed(self) -> bool:
        """Whether there are :attr:`changes`."""
        return bool(self.changes)

    def count(self, outcome: str, *origins: str) -> int:
        """How many claims (of these origins, or of all) came out so."""
        return sum(
            verdict.outcome == outcome and (not origins or verdict.origin in origins)
            for verdict in self.verdicts
        )

    @property
    def guards(self) -> tuple[int, int]:
        """How many claims of ours or of a peer came out as recorded, and how many were measured."""
        measured = [
            verdict
            for verdict in self.verdicts
            if verdict.origin in ("own", "peer") and verdict.outcome != "not measured"
        ]
        return sum(not verdict.changed for verdict in measured), len(measured)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts, as in ``study.json``: None instead of NaN."""
        plain: dict[str, Any] = msgspec.json.decode(to_json(self))
        return plain

    def table(self) -> rich.table.Table:
        """Claims and verdicts, for the terminal."""
        return with_columns(self.claims_table(), "Claim", "Verdict", "Measured", "Published").to_rich()

    def claims_table(self, *origins: str) -> Table:
        """Claims of these origins (of all, the paper's first) and their verdicts."""
        origins = origins or ("paper", "theory", "peer", "own")
        verdicts = [verdict for origin in origins for verdict in self.verdicts if verdict.origin == origin]
        return Table(
            "" if len(origins) < 4 else f"{self.title}: claims",
            (
                Column("Claim"),
                Column(
                    "Verdict", help="As measured here; in brackets the recorded verdict where it differs."
                ),
                Column("Measured", help="The values that the criterion needs."),
                Column("Published"),
                Column(
                    "Origin", help="The paper's figure, an exact result, a peer's, or an earlier one of ours."
                ),
            ),
            tuple(
                (
                    verdict.claim,
                    _outcome(verdict, self.scale),
                    _measured(verdict),
                    _published(verdict),
                    ", ".join(part for part in (verdict.origin, verdict.where) if part),
                )
                for verdict in verdicts
            ),
        )

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``study.json`` and ``report.html`` into ``folder``; returns the folder."""
        from matropy.studies._report import study_page

        path = output_folder(folder)
        write_atomic(path / "report.html", study_page(self).to_html())
        write_atomic(path / "study.json", to_json(self))
        return path

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> StudyResult:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If ``study.json`` is missing, no JSON, or of another format or version.
        """
        file = Path(folder) / "study.json"
        try:
            content = msgspec.json.decode(file.read_bytes())
            for table in content.get("tables", ()):
                table["rows"] = [[_cell(cell) for cell in row] for row in table["rows"]]
            return msgspec.convert(content, cls, dec_hook=lambda _, value: value)
        except OSError as error:
            raise InputError(f"cannot read {file}: {error.strerror or error}") from error
        except (msgspec.MsgspecError, AttributeError, KeyError, TypeError) as error:
            raise InputError(f"{file} is not the result of a study: {error}") from error


def with_columns(table: Table, *names: str) -> Table:
    """The same table with these columns only: what fits a terminal."""
    kept = [index for index, column in enumerate(table.columns) if column.name in names]
    return Table(
        table.title,
        tuple(table.columns[index] for index in kept),
        tuple(tuple(row[index] for index in kept) for row in table.rows),
    )


def _cell(value: Any) -> object:
    return Link(**value) if isinstance(value, dict) else value


def _outcome(verdict: Verdict, scale: Scale) -> str:
    if verdict.outcome == "not measured" or scale == "smoke":
        return verdict.outcome
    if verdict.changed:
        return f"{verdict.outcome}, recorded: {verdict.expected}"
    return "refuted, as recorded" if verdict.outcome == "refuted" else "holds"


def _published(verdict: Verdict) -> str | None:
    if verdict.published is None or isinstance(verdict.published, str):
        return verdict.published
    return format_number(verdict.published)


def _measured(verdict: Verdict) -> str | None:
    if all(value is None for value in verdict.measured.values()):
        return None
    return ", ".join(format_number(value) for value in verdict.measured.values())
