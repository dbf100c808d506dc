"""``matropy list``."""

from __future__ import annotations

__all__ = ["list_methods"]


def list_methods() -> None:
    """List the 27 methods, and say which work."""
    from rich.console import Console

    from matropy.studies import catalog_table

    Console().print(catalog_table().to_rich())
