"""Paragraphs and the big figures of a first screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from matropy.reporting._link import Link
from matropy.reporting._numbers import format_number, is_value

__all__ = ["Facts", "Text"]

_KINDS = ("plain", "note", "warning")


@dataclass(frozen=True)
class Text:
    """Paragraphs of plain text; markup in them is shown, not obeyed.

    Parameters
    ----------
    paragraphs : tuple of str
        One string a paragraph; a lone string is one paragraph.
    kind : {"plain", "note", "warning"}
        Notes and warnings stand in a box of their own.
    anchor : str
        The fragment that a :class:`Link` may name; letters, digits and hyphens.

    Raises
    ------
    ValueError
        If there is no paragraph, the kind is unknown or the anchor holds other characters.
    """

    paragraphs: str | tuple[str, ...]
    kind: Literal["plain", "note", "warning"] = "plain"
    anchor: str = ""

    def __post_init__(self) -> None:
        paragraphs = (self.paragraphs,) if isinstance(self.paragraphs, str) else tuple(self.paragraphs)
        if not paragraphs:
            raise ValueError("Text needs at least one paragraph.")
        if self.kind not in _KINDS:
            raise ValueError(f"kind of a Text must be one of {', '.join(_KINDS)}; got {self.kind!r}.")
        if not all(character.isalnum() or character == "-" for character in self.anchor):
            raise ValueError(f"anchor of a Text must be letters, digits and hyphens; got {self.anchor!r}.")
        object.__setattr__(self, "paragraphs", paragraphs)


@dataclass(frozen=True)
class Facts:
    """Cards with one big figure each.

    Parameters
    ----------
    items : tuple of (label, value) or (label, value, hint)
        The value is a string, a number, None or a :class:`Link`; the hint is a short line below it.

    Raises
    ------
    ValueError
        If an item has another length or a value of another type.
    """

    items: tuple[tuple[str, object] | tuple[str, object, str], ...]

    def __post_init__(self) -> None:
        for item in self.items:
            if len(item) not in (2, 3):
                raise ValueError(
                    f"An item of Facts is (label, value) or (label, value, hint); got {len(item)} parts."
                )
            value = item[1]
            if not (isinstance(value, str | Link) or is_value(value)):
                raise ValueError(
                    f"The value of {item[0]!r} must be text, a number, None or a Link; got {type(value).__name__}."
                )

    @property
    def cards(self) -> tuple[Card, ...]:
        """What is shown, written out."""
        return tuple(
            Card(item[0], *_written(item[1]), item[2] if len(item) == 3 else "") for item in self.items
        )


@dataclass(frozen=True)
class Card:
    """One card, written out."""

    label: str
    value: str
    href: str | None
    hint: str


def _written(value: object) -> tuple[str, str | None]:
    if isinstance(value, Link):
        return value.text, value.target
    return format_number(value) if is_value(value) else str(value), None
