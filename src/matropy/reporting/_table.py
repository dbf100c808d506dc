"""Tables for the terminal and the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, SupportsFloat

import numpy as np

from matropy.reporting._link import Link
from matropy.reporting._markup import clean
from matropy.reporting._numbers import MISSING, format_column, format_number, is_number, is_value

if TYPE_CHECKING:
    import rich.table

__all__ = ["Column", "Table"]


@dataclass(frozen=True)
class Column:
    """A column of a :class:`Table`.

    Parameters
    ----------
    name : str
        What stands in the header.
    unit : str
        Follows the name in a muted voice.
    help : str
        One sentence that appears over the header.
    digits : int
        Significant digits of floats.
    """

    name: str
    unit: str = ""
    help: str = ""
    digits: int = 4

    def __post_init__(self) -> None:
        if self.digits < 1:
            raise ValueError(f"digits of column {self.name!r} must be at least 1; got {self.digits}.")


@dataclass(frozen=True)
class Table:
    """Rows under columns; the first column names the row.

    Parameters
    ----------
    title : str
        Heading of the table.
    columns : tuple of Column
    rows : tuple of tuple
        Cells are text, numbers, truth values, None (an en dash) or a :class:`Link`.
    caption : str
        One sentence below the title.

    Raises
    ------
    ValueError
        If a row is not as wide as the columns, or a cell is of another type.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[object, ...], ...]
    caption: str = ""

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError(f"Table {self.title!r} needs at least one column.")
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"Row {number} of table {self.title!r} has {len(row)} cells for {len(self.columns)} columns."
                )
            for column, value in zip(self.columns, row, strict=True):
                if not (isinstance(value, str | Link) or is_value(value)):
                    raise ValueError(
                        f"Row {number}, column {column.name!r} of table {self.title!r} must be text, a number, "
                        f"None or a Link; got {type(value).__name__}."
                    )

    def to_rich(self) -> rich.table.Table:
        """Make the table that ``rich`` prints; brackets in cells are text, not markup."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(
            box=SIMPLE_HEAD,
            title=Text(clean(self.title)) if self.title else None,
            caption=Text(clean(self.caption)) if self.caption else None,
            title_justify="left",
            caption_justify="left",
        )
        rows = self.cells
        for index, (column, justify) in enumerate(zip(self.columns, self.alignments, strict=True)):
            header = f"{column.name} ({column.unit})" if column.unit else column.name
            names = all(" " not in row[index].text for row in rows)
            table.add_column(Text(clean(header)), justify=justify, no_wrap=names)
        for cells in rows:
            table.add_row(*(Text(clean(cell.text)) for cell in cells))
        return table

    @property
    def alignments(self) -> tuple[Literal["left", "right"], ...]:
        """Right for columns of numbers, left for the others."""
        return tuple("right" if _is_numeric(values) else "left" for values in self._by_column())

    @property
    def cells(self) -> tuple[tuple[Cell, ...], ...]:
        """Rows of cells, written out."""
        columns = [
            [Cell.of(value, text) for value, text in zip(values, _texts(values, column.digits), strict=True)]
            for column, values in zip(self.columns, self._by_column(), strict=True)
        ]
        return tuple(zip(*columns, strict=True))

    def _by_column(self) -> list[list[object]]:
        return [[row[index] for row in self.rows] for index in range(len(self.columns))]


@dataclass(frozen=True)
class Cell:
    """One cell, written out: ``number`` is what sorting and copying use, in full precision."""

    text: str
    kind: Literal["text", "number", "missing"]
    number: str = ""
    href: str | None = None

    @classmethod
    def of(cls, value: object, text: str) -> Cell:
        """Write ``value``, whose visible text is ``text``."""
        if text == MISSING and not isinstance(value, str | Link):
            return cls(text, "missing")
        if is_number(value):
            return cls(text, "number", _exact(value))
        return cls(text, "text", href=value.target if isinstance(value, Link) else None)


def _is_numeric(values: Sequence[object]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(is_number(value) for value in present)


def _texts(values: Sequence[object], digits: int) -> list[str]:
    numbers = [value for value in values if is_number(value)]
    written = iter(format_column(numbers, digits))
    return [next(written) if is_number(value) else _text(value) for value in values]


def _text(value: object) -> str:
    if isinstance(value, Link):
        return value.text
    return format_number(value) if is_value(value) else str(value)


def _exact(value: SupportsFloat) -> str:
    return str(int(value)) if isinstance(value, int | np.integer) else repr(float(value))
