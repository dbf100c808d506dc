"""Lines and points over x."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from matropy.reporting._axis import Axis, fit_axis
from matropy.reporting._canvas import EM, WIDTH, drawing, label, points_path, text_width, x_axis, y_axis
from matropy.reporting._legend import Stroke, draw_legend, legend_height, strokes
from matropy.reporting._markup import element
from matropy.reporting._numbers import format_number
from matropy.reporting._series import Point, Series

__all__ = ["Figure", "Layout"]

_SCALES = ("linear", "log")
_PLOT_HEIGHT = 220.0
_DOTTED = 60


@dataclass(frozen=True)
class Figure:
    """A plot of one or more series.

    Parameters
    ----------
    title : str
    x_label, y_label : str
        Names of the axes, with their unit.
    series : tuple of Series
    caption : str
        One sentence below the title.
    alt : str
        What the figure shows, in words; made from the data when empty.
    x_scale, y_scale : {"linear", "log"}

    Raises
    ------
    ValueError
        If there is no series, a scale is unknown or a value on a log scale is not positive.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    caption: str = ""
    alt: str = ""
    x_scale: Literal["linear", "log"] = "linear"
    y_scale: Literal["linear", "log"] = "linear"

    def __post_init__(self) -> None:
        if not self.series:
            raise ValueError(f"Figure {self.title!r} needs at least one series.")
        for axis, scale in (("x", self.x_scale), ("y", self.y_scale)):
            if scale not in _SCALES:
                raise ValueError(
                    f"{axis}_scale of figure {self.title!r} must be linear or log; got {scale!r}."
                )
            if scale == "log":
                for one in self.series:
                    smallest = min(_values(one, axis), default=math.inf)
                    if smallest <= 0:
                        raise ValueError(
                            f"{axis} of series {one.name!r} must be positive on a log scale; got {smallest:g}."
                        )

    def to_svg(self) -> str:
        """Draw the figure as SVG that stands alone; a page only changes its colours and the size of its text."""
        layout = Layout(self)
        drawn = [_draw(one, stroke, layout) for one, stroke in layout.back_to_front()]
        if not any(_values(one, "y") for one in self.series):
            drawn.append(label("no data", WIDTH / 2, layout.y.start - _PLOT_HEIGHT / 2, anchor="middle"))
        return drawing(
            layout.height,
            self.title,
            self.alt or self.description,
            draw_legend(self.series),
            y_axis(layout.y, self.y_label, layout.x.start, layout.x.stop),
            x_axis(layout.x, self.x_label, layout.y.start),
            *drawn,
        )

    @property
    def description(self) -> str:
        """What the figure shows, made from the data."""
        parts = [f"{self.y_label} over {self.x_label}."]
        parts += [_describe(one) for one in self.series]
        return " ".join(parts)


class Layout:
    """Where things stand in the drawing of a figure."""

    def __init__(self, figure: Figure) -> None:
        values_x = [value for one in figure.series for value in _values(one, "x")]
        values_y = [value for one in figure.series for value in _values(one, "y")]
        top = legend_height(figure.series) + 1.75 * EM
        bottom = top + _PLOT_HEIGHT
        self.y = fit_axis(values_y, start=bottom, stop=top, scale=figure.y_scale)
        left = max(map(text_width, self.y.labels), default=0.0) + 12
        self.x = _x_axis(values_x, left, figure.x_scale)
        self.height = bottom + 3.1 * EM
        self._series = list(zip(figure.series, strokes(figure.series), strict=True))

    def back_to_front(self) -> list[tuple[Series, Stroke]]:
        """References first, so that no curve hides behind one."""
        return sorted(self._series, key=lambda pair: pair[0].kind != "reference")


def _x_axis(values: Sequence[float], left: float, scale: str) -> Axis:
    """Fit as many ticks as fit without touching."""
    for count in (10, 8, 6, 5, 4, 3, 2):
        axis = fit_axis(values, start=left, stop=WIDTH - 14, scale=scale, count=count, margin=0.02)
        places = [axis.position(tick) for tick in axis.ticks]
        widest = max(map(text_width, axis.labels), default=0.0) + 14
        if all(after - before >= widest for before, after in pairwise(places)):
            break
    return axis


def _draw(series: Series, stroke: Stroke, layout: Layout) -> str:
    parts = [_band(run, layout) for run in _runs(series, interval=True)] if series.low is not None else []
    runs = [[_place(point, layout) for point in run] for run in _runs(series)]
    dots = [place for run in runs for place in run]
    if series.kind != "points":
        path = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in run) for run in runs if len(run) > 1)
        dash = {"stroke_dasharray": stroke.dash} if stroke.dash else {}
        parts.append(element("path", d=path, fill="none", stroke="currentColor", stroke_width=2, **dash))
        dots = (
            [run[0] for run in runs if len(run) == 1]
            if len(dots) > _DOTTED or series.kind == "reference"
            else dots
        )
    if dots:
        size = 6.5 if series.kind == "points" and len(dots) <= 300 else 4.5
        parts.append(
            element(
                "path", d=points_path(dots), stroke="currentColor", stroke_width=size, stroke_linecap="round"
            )
        )
    return element("g", *parts, class_=stroke.name, color=stroke.colour)


def _band(run: Sequence[Point], layout: Layout) -> str:
    """Draw an area through the intervals; one alone is a bar."""
    upper = [(layout.x.position(point.x), layout.y.position(point.high)) for point in run]
    lower = [(layout.x.position(point.x), layout.y.position(point.low)) for point in run]
    if len(run) == 1:
        ((x, high),), ((_, low),) = upper, lower
        path = f"M{x:.1f} {low:.1f}V{high:.1f}M{x - 4:.1f} {high:.1f}h8M{x - 4:.1f} {low:.1f}h8"
        return element("path", class_="bar", d=path, fill="none", stroke="currentColor", stroke_width=1.4)
    outline = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in upper + lower[::-1]) + "Z"
    return element("path", class_="band", d=outline, fill="currentColor", opacity=0.16)


def _runs(series: Series, *, interval: bool = False) -> Iterator[list[Point]]:
    """Stretches without a gap; the points of a scatter are each alone."""
    run: list[Point] = []
    for point in series.points:
        if point.y is not None and (point.has_interval or not interval):
            run.append(point)
            if series.kind != "points":
                continue
        if run:
            yield run
        run = []
    if run:
        yield run


def _place(point: Point, layout: Layout) -> tuple[float, float]:
    return layout.x.position(point.x), layout.y.position(point.y if point.y is not None else math.nan)


def _values(series: Series, axis: str) -> list[float]:
    if axis == "x":
        return list(series.x)
    shown = [point for point in series.points if point.y is not None]
    ends = [end for point in shown if point.has_interval for end in (point.low, point.high)]
    return [point.y for point in shown if point.y is not None] + ends


def _describe(series: Series) -> str:
    points = [(point.y, point.x) for point in series.points if point.y is not None]
    if not points:
        return f"{series.name}: no data."
    (low, at_low), (high, at_high) = min(points), max(points)
    if low == high:
        return f"{series.name}: {format_number(low)} throughout."
    return (
        f"{series.name}: {len(points)} values, x from {format_number(min(series.x))} to "
        f"{format_number(max(series.x))}; lowest {format_number(low)} at {format_number(at_low)}, "
        f"highest {format_number(high)} at {format_number(at_high)}."
    )
