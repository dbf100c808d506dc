"""Links that can only lead where a reader expects."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Link"]

_WEB = re.compile(r"https?://[^/]", re.IGNORECASE)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0\\<>\"]")


@dataclass(frozen=True)
class Link:
    """A link in a cell or a card.

    Parameters
    ----------
    text : str
        What is read.
    href : str
        A fragment (``#layers``), a relative path (``studies/vendi-score.html``) or an http(s) address. Anything
        else, a ``javascript:`` address for instance, is shown as plain text.
    """

    text: str
    href: str

    @property
    def target(self) -> str | None:
        """The address, or None where it is not one that a report links to."""
        if not self.href or _FORBIDDEN.search(self.href):
            return None
        if self.href.startswith("#") or _WEB.match(self.href):
            return self.href
        first_segment = re.split(r"[/?#]", self.href, maxsplit=1)[0]
        is_relative = not self.href.startswith("/") and ":" not in first_segment
        return self.href if is_relative else None
