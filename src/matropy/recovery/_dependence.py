"""Words for columns that depend on each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

__all__ = ["dependence"]

_MOST_NAMES = 8


def dependence(what: str, names: Sequence[str], dependent: Mapping[int, tuple[int, ...]]) -> str:
    """Say which columns are linear combinations of which earlier ones."""
    told = (
        f"{names[column]} (of {_listed(names[other] for other in others)})"
        if others
        else f"{names[column]} (zero)"
        for column, others in dependent.items()
    )
    return (
        f"{what} has rank {len(names) - len(dependent)}, not {len(names)}; columns that are linear combinations of"
        f" others: {_listed(told)}. The solution is the one of least norm."
    )


def _listed(items: Iterable[str]) -> str:
    items = list(items)
    more = len(items) - _MOST_NAMES
    return ", ".join(items[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
