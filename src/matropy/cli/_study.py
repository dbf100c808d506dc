"""``matropy study``."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["study"]


def study(name: Annotated[str, typer.Argument(help="A study, or all.")]) -> None:
    """Regenerate a paper's headline result beside the paper's figure."""
