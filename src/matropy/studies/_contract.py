"""What a study is: claims with their criteria, written down before one function measures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Literal

from matropy._core._validation import check_choice
from matropy.reporting import Figure, HeatMap, Table
from matropy.studies._criteria import Criterion

if TYPE_CHECKING:
    from matropy.studies._run import Run

__all__ = ["Claim", "Measured", "Paper", "Study", "Verdict", "judge"]

Origin = Literal["paper", "theory", "peer", "own"]
Outcome = Literal["holds", "refuted", "not measured"]


@dataclass(frozen=True)
class Paper:
    """What is studied.

    Attributes
    ----------
    title, authors : str
    year : int
    arxiv : str or None
        Identifier, for example ``"2210.02410"``.
    venue : str or None
        Where it was published.
    """

    title: str
    authors: str
    year: int
    _: KW_ONLY
    arxiv: str | None = None
    venue: str | None = None

    @property
    def url(self) -> str | None:
        """Address of the preprint."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else None


@dataclass(frozen=True)
class Claim:
    """One sentence that can turn out wrong.

    Parameters
    ----------
    sentence : str
        What is claimed, for a reader who sees nothing else.
    criterion : Criterion
        When it holds.
    published : float, str or None
        The figure as published.
    where : str
        Where it stands: a table, a theorem, a page.
    origin : {"paper", "theory", "peer", "own"}
        Whose claim it is: the paper's, an exact result, another program's, or an earlier measurement of ours that
        is kept as a guard.
    departs : str
        How this setting differs from the published one.
    expected : bool
        False records a claim that was found not to hold.

    Raises
    ------
    ValueError
        For another origin.
    """

    sentence: str
    criterion: Criterion
    _: KW_ONLY
    published: float | str | None = None
    where: str = ""
    origin: Origin = "paper"
    departs: str = ""
    expected: bool = True

    def __post_init__(self) -> None:
        check_choice(self.origin, "origin", ("paper", "theory", "peer", "own"))


@dataclass(frozen=True)
class Measured:
    """What a study found.

    Attributes
    ----------
    values : mapping of str to float
        Named values; NaN is a value that could not be measured.
    tables : tuple of Table
    plots : tuple of Figure or HeatMap
    """

    values: Mapping[str, float]
    tables: tuple[Table, ...] = ()
    plots: tuple[Figure | HeatMap, ...] = ()


@dataclass(frozen=True)
class Study:
    """A paper, its claims, and the function that measures them all.

    Attributes
    ----------
    paper : Paper
    claims : tuple of Claim
    measure : callable
        From a :class:`Run` to :class:`Measured`.
    """

    paper: Paper
    claims: tuple[Claim, ...]
    measure: Callable[[Run], Measured]


@dataclass(frozen=True)
class Verdict:
    """A claim beside what was measured.

    Attributes
    ----------
    claim : str
        Its sentence.
    criterion : str
        Written out.
    outcome : {"holds", "refuted", "not measured"}
    expected : {"holds", "refuted"}
        The recorded outcome.
    measured : dict of str to float or None
        The values that the criterion needs.
    published : float, str or None
    where, origin, departs : str
        As the claim says.
    """

    claim: str
    criterion: str
    outcome: Outcome
    expected: Literal["holds", "refuted"]
    measured: dict[str, float | None]
    published: float | str | None
    where: str
    origin: Origin
    departs: str

    @property
    def changed(self) -> bool:
        """Whether it was measured and came out otherwise than recorded."""
        return self.outcome not in ("not measured", self.expected)


def judge(claim: Claim, values: Mapping[str, float]) -> Verdict:
    """Put a claim to the test; a value that is missing, NaN or infinite leaves it not measured."""
    measured = {name: values.get(name, math.nan) for name in claim.criterion.names}
    outcome: Outcome = "not measured"
    if all(math.isfinite(value) for value in measured.values()):
        outcome = "holds" if claim.criterion.holds(measured) else "refuted"
    return Verdict(
        claim=claim.sentence,
        criterion=str(claim.criterion),
        outcome=outcome,
        expected="holds" if claim.expected else "refuted",
        measured={name: value if math.isfinite(value) else None for name, value in measured.items()},
        published=claim.published,
        where=claim.where,
        origin=claim.origin,
        departs=claim.departs,
    )
