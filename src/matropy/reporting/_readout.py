"""What a plot says under the pointer and on the arrow keys, as JSON for the page's script."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby

from matropy.reporting._figure import Figure, Layout
from matropy.reporting._heat_map import CellGrid, HeatMap
from matropy.reporting._legend import Stroke, strokes
from matropy.reporting._numbers import format_number
from matropy.reporting._series import Point, Series

__all__ = ["readout"]

_TOGETHER = 3


def readout(plot: Figure | HeatMap) -> str:
    """Write the texts of a plot and their places; points that share a column of pixels are told together."""
    content = _of_figure(plot) if isinstance(plot, Figure) else _of_heat_map(plot)
    return json.dumps(content, separators=(",", ":"))


def _of_figure(figure: Figure) -> dict[str, object]:
    layout = Layout(figure)
    columns: dict[int, list[tuple[int, Point]]] = {}
    for number, one in enumerate(figure.series):
        for point in one.points:
            if point.y is not None:
                columns.setdefault(round(layout.x.position(point.x)), []).append((number, point))
    pairs = list(zip(figure.series, strokes(figure.series), strict=True))
    return {
        "kind": "figure",
        "x": figure.x_label,
        "top": round(layout.y.stop, 1),
        "bottom": round(layout.y.start, 1),
        "columns": [
            {
                "at": round(layout.x.position(entries[0][1].x), 1),
                "label": _span([point.x for _, point in entries]),
                "rows": _rows(entries, pairs, layout),
            }
            for _, entries in sorted(columns.items())
        ],
    }


def _rows(
    entries: Sequence[tuple[int, Point]], pairs: Sequence[tuple[Series, Stroke]], layout: Layout
) -> list[list[object]]:
    """Name, class, positions and text of each series that has a value here."""
    rows: list[list[object]] = []
    for number, group in groupby(entries, key=lambda entry: entry[0]):
        points = [point for _, point in group]
        shown = points[:_TOGETHER]
        more = f"; {len(points) - _TOGETHER} more" if len(points) > _TOGETHER else ""
        places = [round(layout.y.position(point.y), 1) for point in shown if point.y is not None]
        series, stroke = pairs[number]
        rows.append([series.name, stroke.name, places, "; ".join(map(_value, shown)) + more])
    return rows


def _of_heat_map(heat_map: HeatMap) -> dict[str, object]:
    grid = CellGrid(heat_map)
    return {
        "kind": "heat-map",
        "x": heat_map.x_label,
        "y": heat_map.y_label,
        "left": grid.left,
        "top": grid.top,
        "width": grid.width,
        "height": grid.height,
        "columns": list(grid.columns),
        "rows": list(grid.rows),
        "values": [[format_number(value) for value in row] for row in heat_map.values],
    }


def _span(values: Sequence[float]) -> str:
    low, high = format_number(min(values)), format_number(max(values))
    return low if low == high else f"{low} to {high}"


def _value(point: Point) -> str:
    interval = f" ({format_number(point.low)} to {format_number(point.high)})" if point.has_interval else ""
    return format_number(point.y) + interval
