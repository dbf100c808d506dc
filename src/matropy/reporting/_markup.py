"""Markup from parts: everything that came from outside is escaped here or by the templates."""

from __future__ import annotations

import re

import markupsafe

__all__ = ["clean", "element", "text", "visible"]

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(content: str) -> str:
    """Replace characters that neither XML nor UTF-8 nor a terminal takes (controls, lone surrogates)."""
    return _NOT_IN_XML.sub("\ufffd", content)


def text(content: str) -> str:
    """Escape ``content`` for an element or a quoted attribute."""
    return str(markupsafe.escape(clean(content)))


def visible(content: str, length: int) -> str:
    """Shorten ``content`` to ``length`` characters, the last of them an ellipsis."""
    return content if len(content) <= length else content[: length - 1].rstrip() + "…"


def element(name: str, *children: str, **attributes: str | float) -> str:
    """Write an element; children are markup, attributes are escaped (``class_``, ``text_anchor``)."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"' for key, value in attributes.items()
    )
    return f"<{name}{written}>{''.join(children)}</{name}>" if children else f"<{name}{written}/>"


def _attribute(value: str | float) -> str:
    return text(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
