"""What every plot shares: its size, its frame, the colours of a file that stands alone.

Text is laid out for ``EM`` pixels in a drawing ``WIDTH`` wide, so it stays readable on a phone; the page sets it
smaller where there is room. What depends on the size of text is placed in ``em``.
"""

from __future__ import annotations

from collections.abc import Sequence

from matropy.reporting._axis import Axis
from matropy.reporting._markup import element, text, visible

__all__ = ["EM", "WIDTH", "drawing", "label", "points_path", "text_width", "x_axis", "y_axis"]

WIDTH = 500.0
EM = 16.0
_CHARACTER = 0.6
_MUTED = "#5b6670"
_INK = "#1b2126"
_LINE = "#dfe3e7"


def drawing(height: float, title: str, description: str, *children: str) -> str:
    """Wrap a plot; its title and description are what a screen reader says."""
    return element(
        "svg",
        element("title", text(title)),
        element("desc", text(description)),
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="img",
        font_family="system-ui, sans-serif",
        font_size="14",
        color=_INK,
    )


def label(
    content: str, x: float, y: float, *, anchor: str = "start", dy: str = "0", role: str = "muted"
) -> str:
    """Write text at a position, muted or in ink."""
    return element(
        "text",
        text(content),
        class_=role,
        x=x,
        y=y,
        dy=dy,
        text_anchor=anchor,
        fill=_MUTED if role == "muted" else _INK,
    )


def text_width(content: str) -> float:
    """Estimate the width of text at its largest size."""
    return _CHARACTER * EM * len(content)


def x_axis(axis: Axis, title: str, bottom: float) -> str:
    """Draw the line below the plot, its ticks and its title."""
    parts = [_rule(axis.start, bottom, axis.stop, bottom, "baseline")]
    for tick, name in zip(axis.ticks, axis.labels, strict=True):
        x = axis.position(tick)
        parts.append(_rule(x, bottom, x, bottom + 4, "baseline"))
        parts.append(label(name, x, bottom + 4, anchor="middle", dy="1.1em"))
    middle = (axis.start + axis.stop) / 2
    parts.append(label(visible(title, 50), middle, bottom + 6, anchor="middle", dy="2.4em", role="ink"))
    return element("g", *parts)


def y_axis(axis: Axis, title: str, left: float, right: float) -> str:
    """Draw the lines across the plot, their labels and the title above them."""
    parts = [label(visible(title, 52), 2, axis.stop - 10, role="ink")]
    for tick, name in zip(axis.ticks, axis.labels, strict=True):
        y = axis.position(tick)
        parts.append(_rule(left, y, right, y, "gridline"))
        parts.append(label(name, left - 8, y, anchor="end", dy="0.35em"))
    return element("g", *parts)


def points_path(points: Sequence[tuple[float, float]]) -> str:
    """Path data of dots: subpaths of no length, which a round line cap makes visible."""
    return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)


def _rule(x1: float, y1: float, x2: float, y2: float, role: str) -> str:
    return element(
        "line", class_=role, x1=x1, y1=y1, x2=x2, y2=y2, stroke=_LINE if role == "gridline" else _MUTED
    )
