"""The names of the series above the plot, each beside a sample of its stroke."""

from __future__ import annotations

from collections.abc import Sequence

from matropy.reporting._canvas import EM, WIDTH, text_width
from matropy.reporting._markup import element, text, visible
from matropy.reporting._series import Series

__all__ = ["Stroke", "draw_legend", "legend_height", "strokes"]

_COLOURS = ("#0067a5", "#c8500a", "#007d5f", "#a8458c", "#8a6a00", "#3d8fc4", "#6b6f76")
_ROW = 1.45
_SAMPLE = 2.1
_GAP = 1.2


class Stroke:
    """Colour and dash of a series: a class that the page colours, and values for a file that stands alone."""

    def __init__(self, kind: str, number: int) -> None:
        reference = kind == "reference"
        self.name = "reference" if reference else f"s{number % len(_COLOURS)}"
        self.colour = "#5b6670" if reference else _COLOURS[number % len(_COLOURS)]
        self.dash = "6 5" if reference else "" if number < len(_COLOURS) else "2 4"


def strokes(series: Sequence[Series]) -> list[Stroke]:
    """Give every series its stroke; references use up no colour."""
    numbers = iter(range(len(series)))
    return [Stroke(one.kind, 0 if one.kind == "reference" else next(numbers)) for one in series]


def legend_height(series: Sequence[Series]) -> float:
    """Height that the legend takes; a lone series needs none."""
    rows = _rows(series)
    return (len(rows) * _ROW + 0.1) * EM if rows else 0.0


def draw_legend(series: Sequence[Series]) -> str:
    """Draw the legend at the top left corner."""
    by_series = dict(zip(map(id, series), strokes(series), strict=True))
    parts = []
    for number, row in enumerate(_rows(series)):
        offset, y = 0.15, number * _ROW + 1
        for one in row:
            parts.append(_entry(one, by_series[id(one)], offset, y))
            offset += _width(one)
    return element("g", *parts, class_="legend") if parts else ""


def _entry(series: Series, stroke: Stroke, x: float, y: float) -> str:
    middle = f"{y - 0.33:.2f}em"
    if series.kind == "points":
        sample = element("circle", cx=f"{x + 0.8:.2f}em", cy=middle, r="0.28em", fill="currentColor")
    else:
        dash = {"stroke_dasharray": stroke.dash} if stroke.dash else {}
        ends = {"x1": f"{x:.2f}em", "x2": f"{x + 1.6:.2f}em", "y1": middle, "y2": middle}
        sample = element("line", **ends, stroke="currentColor", stroke_width=2.5, **dash)
    name = element("text", text(_name(series)), class_="ink", x=f"{x + _SAMPLE:.2f}em", y=f"{y:.2f}em")
    return element("g", sample, class_=stroke.name, color=stroke.colour) + name


def _rows(series: Sequence[Series]) -> list[list[Series]]:
    rows: list[list[Series]] = []
    room = 0.0
    for one in series if len(series) > 1 else ():
        if not rows or _width(one) > room:
            rows.append([])
            room = WIDTH / EM + _GAP
        rows[-1].append(one)
        room -= _width(one)
    return rows


def _width(series: Series) -> float:
    return _SAMPLE + text_width(_name(series)) / EM + _GAP


def _name(series: Series) -> str:
    return visible(series.name, 46)
