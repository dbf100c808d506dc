"""A matrix of values as colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matropy.reporting._canvas import EM, WIDTH, drawing, label, text_width
from matropy.reporting._markup import element, text, visible
from matropy.reporting._numbers import format_column, format_number
from matropy.reporting._series import finite

__all__ = ["CellGrid", "HeatMap"]

# Dark to light, its lightness rising evenly, along blue to yellow: the axis that colour-blind readers see too.
_ANCHORS = ((16, 42, 82), (22, 82, 118), (34, 124, 132), (88, 163, 122), (168, 196, 112), (244, 228, 150))
_LEVELS = 40
_LEGIBLE_CELLS = 120
_STEEPEST_NAMES = 24


@dataclass(frozen=True)
class HeatMap:
    """Values over two lists of names; the first row is on top.

    Parameters
    ----------
    title : str
    x_label, y_label : str
    x_ticks, y_ticks : sequence of str or number
        Names of the columns and rows.
    values : sequence of sequences of float or None, shape (len(y_ticks), len(x_ticks))
        None, NaN and infinite cells stay empty.
    caption : str
    alt : str
        What the map shows, in words; made from the data when empty.

    Raises
    ------
    ValueError
        If the values do not have the shape of the ticks, or there is no cell.
    """

    title: str
    x_label: str
    y_label: str
    x_ticks: Sequence[str | float]
    y_ticks: Sequence[str | float]
    values: Sequence[Sequence[float | None]]
    caption: str = ""
    alt: str = ""

    def __post_init__(self) -> None:
        if len(self.x_ticks) == 0 or len(self.y_ticks) == 0:
            raise ValueError(f"Heat map {self.title!r} needs at least one row and one column.")
        if len(self.values) != len(self.y_ticks):
            raise ValueError(
                f"Heat map {self.title!r} has {len(self.values)} rows of values for {len(self.y_ticks)} y_ticks."
            )
        for number, row in enumerate(self.values):
            if len(row) != len(self.x_ticks):
                raise ValueError(
                    f"Row {number} of heat map {self.title!r} has {len(row)} values for {len(self.x_ticks)} x_ticks."
                )
        object.__setattr__(self, "x_ticks", tuple(self.x_ticks))
        object.__setattr__(self, "y_ticks", tuple(self.y_ticks))
        object.__setattr__(self, "values", tuple(tuple(map(finite, row)) for row in self.values))

    def to_svg(self) -> str:
        """Draw the map as SVG that stands alone."""
        grid = CellGrid(self)
        return drawing(
            grid.bottom + grid.names_height + 2.2 * EM,
            self.title,
            self.alt or self.description,
            label(visible(self.y_label, 52), 2, grid.top - 8, role="ink"),
            _scale(grid),
            _cells(self, grid),
            _row_names(grid),
            _column_names(grid),
            label(
                visible(self.x_label, 50),
                (grid.left + WIDTH) / 2,
                grid.bottom + grid.names_height,
                anchor="middle",
                dy="1.4em",
                role="ink",
            ),
        )

    @property
    def description(self) -> str:
        """What the map shows, made from the data."""
        grid = CellGrid(self)
        shape = f"{self.y_label} by {self.x_label}, {len(grid.rows)} rows and {len(grid.columns)} columns."
        cells = [
            (value, row, column)
            for row, line in enumerate(self.values)
            for column, value in enumerate(line)
            if value is not None
        ]
        if not cells:
            return f"{shape} No data."
        extremes = (("Lowest", min(cells)), ("highest", max(cells)))
        told = ", ".join(
            f"{word} {format_number(value)} at {grid.columns[column]}, {grid.rows[row]}"
            for word, (value, row, column) in extremes
        )
        return f"{shape} {told}."


class CellGrid:
    """Where the cells of a heat map stand."""

    def __init__(self, heat_map: HeatMap) -> None:
        self.columns = tuple(map(_name, heat_map.x_ticks))
        self.rows = tuple(map(_name, heat_map.y_ticks))
        present = [value for row in heat_map.values for value in row if value is not None]
        self.low, self.high = min(present, default=0.0), max(present, default=0.0)
        self.left = round(min(170.0, max(map(text_width, self.rows)) + 12), 1)
        self.top = round(3.2 * EM, 1)
        self.width = round((WIDTH - 4 - self.left) / len(self.columns), 3)
        square = min(max(self.width, 180 / len(self.rows)), 36.0)
        self.height = round(min(square, 400 / len(self.rows)), 3)
        self.bottom = self.top + self.height * len(self.rows)
        longest = max(map(text_width, self.columns))
        self.slanted = (
            longest + 6 > self.width
            and len(self.columns) <= _STEEPEST_NAMES
            and any(isinstance(tick, str) for tick in heat_map.x_ticks)
        )
        self.names_height = min(longest, 110.0) * 0.72 + EM if self.slanted else 1.4 * EM

    def corner(self, row: int, column: int) -> tuple[float, float]:
        """Left top corner of a cell; neighbours share theirs to the last digit, so no seam shows."""
        return self.left + column * self.width, self.top + row * self.height

    def level(self, value: float | None) -> int:
        """Which of the colours shows ``value``; -1 is none."""
        if value is None:
            return -1
        if self.high == self.low:
            return _LEVELS // 2
        return min(int((value - self.low) / (self.high - self.low) * _LEVELS), _LEVELS - 1)


def _name(tick: str | float) -> str:
    return tick if isinstance(tick, str) else format_number(tick)


def _cells(heat_map: HeatMap, grid: CellGrid) -> str:
    """One path for all cells of a colour; the values in words where they fit."""
    paths: dict[int, list[str]] = {}
    for row, line in enumerate(heat_map.values):
        for column, value in enumerate(line):
            (left, top), (right, bottom) = grid.corner(row, column), grid.corner(row + 1, column + 1)
            level = grid.level(value)
            paths.setdefault(level, []).append(f"M{left:.2f} {top:.2f}H{right:.2f}V{bottom:.2f}H{left:.2f}z")
    drawn = [
        element("path", d="".join(parts), fill="currentColor", opacity=0.07)
        if level < 0
        else element("path", d="".join(parts), fill=_colour(level / (_LEVELS - 1)))
        for level, parts in sorted(paths.items())
    ]
    return element("g", *drawn, class_="cells", shape_rendering="crispEdges") + _cell_texts(heat_map, grid)


def _cell_texts(heat_map: HeatMap, grid: CellGrid) -> str:
    if len(grid.rows) * len(grid.columns) > _LEGIBLE_CELLS or grid.height < 22:
        return ""
    values = [value for line in heat_map.values for value in line]
    texts = format_column(values, 3)
    if max(map(text_width, texts)) > grid.width - 4:
        return ""
    parts = []
    for number, (value, written) in enumerate(zip(values, texts, strict=True)):
        left, top = grid.corner(*divmod(number, len(grid.columns)))
        parts.append(_value(written, left + grid.width / 2, top + grid.height / 2, grid.level(value)))
    return "".join(parts)


def _value(written: str, x: float, y: float, level: int) -> str:
    fill = "currentColor" if level < 0 else "#ffffff" if level < 0.45 * _LEVELS else "#10202c"
    return element("text", text(written), x=x, y=y, dy="0.35em", text_anchor="middle", fill=fill)


def _scale(grid: CellGrid) -> str:
    """From the lowest value to the highest, at the top right."""
    width, right, y = 3.0, WIDTH - 4, 4.0
    high, low = format_number(grid.high), format_number(grid.low)
    stop = right - text_width(high) - 6
    start = stop - width * _LEVELS
    bar = [
        element(
            "rect", x=start + width * level, y=y, width=width, height=12, fill=_colour(level / (_LEVELS - 1))
        )
        for level in range(_LEVELS)
    ]
    return (
        label(low, start - 6, y + 6, anchor="end", dy="0.35em")
        + element("g", *bar, shape_rendering="crispEdges")
        + label(high, stop + 6, y + 6, dy="0.35em")
    )


def _row_names(grid: CellGrid) -> str:
    stride = max(1, -int(-(EM + 2) // grid.height))
    return "".join(
        label(
            visible(grid.rows[row], 17),
            grid.left - 8,
            grid.top + (row + 0.5) * grid.height,
            anchor="end",
            dy="0.35em",
        )
        for row in range(0, len(grid.rows), stride)
    )


def _column_names(grid: CellGrid) -> str:
    middles = [grid.left + (column + 0.5) * grid.width for column in range(len(grid.columns))]
    y = grid.bottom + 4
    if grid.slanted:
        return "".join(
            element(
                "g",
                label(visible(name, 16), 0, 0, anchor="end"),
                transform=f"translate({x:.1f} {y + 12:.1f}) rotate(-40)",
            )
            for name, x in zip(grid.columns, middles, strict=True)
        )
    widest = max(map(text_width, grid.columns)) + 10
    stride = max(1, -int(-widest // grid.width))
    return "".join(
        label(grid.columns[column], middles[column], y, anchor="middle", dy="1.1em")
        for column in range(0, len(grid.columns), stride)
    )


def _colour(fraction: float) -> str:
    position = fraction * (len(_ANCHORS) - 1)
    index = min(int(position), len(_ANCHORS) - 2)
    share = position - index
    mixed = (round(a + share * (b - a)) for a, b in zip(_ANCHORS[index], _ANCHORS[index + 1], strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
