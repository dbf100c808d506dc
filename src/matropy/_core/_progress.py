"""Progress that a person can read: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Progress", "progress", "silent"]

_SECONDS_BETWEEN_LINES = 15.0


class Progress(Protocol):
    """What long work is given to report to."""

    def advance(self, amount: float = 1) -> None:
        """Say that ``amount`` more of the total is done."""


class _Silent:
    def advance(self, amount: float = 1) -> None:
        pass


class _Lines:
    """One line on stderr at most every fifteen seconds, with the time left at the pace so far."""

    def __init__(self, title: str, total: float, unit: str) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._title, self._total, self._unit = title, total, unit
        self._done = 0.0
        self._start = self._last = time.monotonic()

    def advance(self, amount: float = 1) -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN_LINES or self._done >= self._total:
            return
        self._last = now
        left = (now - self._start) * (self._total / self._done - 1)
        self._console.print(
            f"{self._title}: {self._done:,.0f} of {self._total:,.0f} {self._unit}, about {_duration(left)} left",
            markup=False,
        )


@contextmanager
def silent(title: str = "", total: float = 0, unit: str = "") -> Iterator[Progress]:
    """Report nothing: the default of the Python API."""
    yield _Silent()


@contextmanager
def progress(title: str, total: float, unit: str = "") -> Iterator[Progress]:
    """Report on stderr: a bar where it is a terminal, otherwise a line now and then."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(title, total, unit)
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
        TextColumn(unit),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task(title, total=total)

        class _Bar:
            def advance(self, amount: float = 1) -> None:
                bar.advance(task, amount)

        yield _Bar()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
