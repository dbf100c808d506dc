"""Conditions that measured values meet or do not meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

__all__ = ["AtLeast", "AtMost", "Close", "Criterion", "Ordered", "Within"]


class Criterion(Protocol):
    """A condition on named values; ``str`` writes it out."""

    @property
    def names(self) -> tuple[str, ...]:
        """The values that it needs."""

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether it is met; every name is there and finite."""


@dataclass(frozen=True)
class Within:
    """``low <= value <= high``."""

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"low must not exceed high, got {self.low} and {self.high}")

    @property
    def names(self) -> tuple[str, ...]:
        """The values that it needs."""
        return (self.name,)

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether it is met."""
        return self.low <= values[self.name] <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} ≤ {self.name} ≤ {self.high:g}"


@dataclass(frozen=True)
class Close:
    r"""``|value - target| <= max(rtol |target|, atol)``; one of the tolerances is given and positive."""

    name: str
    target: float
    rtol: float = 0.0
    atol: float = 0.0

    def __post_init__(self) -> None:
        if min(self.rtol, self.atol) < 0 or max(self.rtol, self.atol) == 0:
            raise ValueError(f"give a positive rtol or atol, got {self.rtol} and {self.atol}")

    @property
    def names(self) -> tuple[str, ...]:
        """The values that it needs."""
        return (self.name,)

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether it is met."""
        return abs(values[self.name] - self.target) <= self._tolerance

    @property
    def _tolerance(self) -> float:
        return max(self.rtol * abs(self.target), self.atol)

    def __str__(self) -> str:
        return f"{self.name} = {self.target:g} ± {self._tolerance:.2g}"


@dataclass(frozen=True)
class AtLeast:
    """``value >= low``."""

    name: str
    low: float

    @property
    def names(self) -> tuple[str, ...]:
        """The values that it needs."""
        return (self.name,)

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether it is met."""
        return values[self.name] >= self.low

    def __str__(self) -> str:
        return f"{self.name} ≥ {self.low:g}"


@dataclass(frozen=True)
class AtMost:
    """``value <= high``."""

    name: str
    high: float

    @property
    def names(self) -> tuple[str, ...]:
        """The values that it needs."""
        return (self.name,)

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether it is met."""
        return values[self.name] <= self.high

    def __str__(self) -> str:
        return f"{self.name} ≤ {self.high:g}"


@dataclass(frozen=True, init=False)
class Ordered:
    """Values that rise strictly in the order in which they are named: ``first < second < ...``.

    A series that falls is named from its end.
    """

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        if len(names) < 2:
            raise ValueError("Ordered needs at least two names")
        object.__setattr__(self, "names", names)

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether it is met."""
        measured = [values[name] for name in self.names]
        return all(left < right for left, right in pairwise(measured))

    def __str__(self) -> str:
        return " < ".join(self.names)
