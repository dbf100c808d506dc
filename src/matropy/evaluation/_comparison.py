"""What a comparison found: the file format, typed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from matropy._core._files import output_folder, to_json, write_atomic
from matropy.evaluation._comparability import Comparable
from matropy.evaluation._evaluation import (
    CorpusInfo,
    Environment,
    ModelInfo,
    Texts,
)
from matropy.evaluation._pairing import Measured

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Compared", "Comparison", "Difference", "MetricComparison", "Profile"]


@dataclass(frozen=True)
class Compared:
    """One of the models, and how it was evaluated.

    Attributes
    ----------
    name : str
        What the comparison calls it.
    paired : bool
        Whether it is compared text by text; False without records of its texts.
    created, matropy, environment, model, corpus, settings, texts
        From its evaluation.
    """

    name: str
    paired: bool
    created: str
    matropy: str
    environment: Environment
    model: ModelInfo
    corpus: CorpusInfo
    settings: dict[str, Any]
    texts: Texts


@dataclass(frozen=True)
class Difference:
    """One figure of one model against the baseline's.

    Attributes
    ----------
    value : float or None
        The model's minus the baseline's; of perplexity, the model's over the baseline's. None where the two may not
        be compared, or one was not measured.
    standard_error : float or None
    ci95 : (float, float) or None
        Bootstrap over the common texts; without records, 1.96 standard errors to each side.
    comparable : {"yes", "with care", "no"}
    because : str
        What differs between the two evaluations and matters to this figure.
    consequence : str
        In which way it matters.
    """

    value: float | None
    standard_error: float | None
    ci95: tuple[float, float] | None
    comparable: Comparable
    because: str
    consequence: str


@dataclass(frozen=True)
class MetricComparison:
    """One figure of all models.

    Attributes
    ----------
    unit : str
    kind : {"difference", "ratio"}
        How it is compared.
    values : list of Measured
        One a model: over the common texts where it has records, else over all of its own.
    differences : list of Difference
        One for each model but the first, which is the baseline.
    order : list of str or None
        Names from the lowest value to the highest; None where not all may be compared.
    """

    unit: str
    kind: Literal["difference", "ratio"]
    values: list[Measured]
    differences: list[Difference]
    order: list[str] | None


@dataclass(frozen=True)
class Profile:
    """The course of a figure over the layers of one model, each over all texts that it was evaluated on.

    ``depth`` is the index of the hidden state over the last index: 0 the embedding, 1 after the final norm.
    """

    depth: list[float]
    mean: list[float | None]
    ci95: list[tuple[float, float] | None]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The result of :func:`matropy.compare`, and exactly what ``comparison.json`` holds.

    Attributes
    ----------
    created : str
        UTC, ISO 8601.
    matropy : str
        Version that made it.
    seed, bootstrap_replicates : int
        Of the intervals.
    common_texts : int or None
        Texts that the baseline and all others with records have; None where there are no two such.
    models : list of Compared
        The first is the baseline.
    metrics : dict of MetricComparison
        By name of the metric, calibrated ones first.
    profiles : dict of list of Profile
        Metrics that may be compared with the baseline, one profile a model; empty where that one may not.
    """

    format: Literal["matropy.comparison"] = "matropy.comparison"
    version: Literal[1] = 1
    created: str
    matropy: str
    seed: int
    bootstrap_replicates: int
    common_texts: int | None
    models: list[Compared]
    metrics: dict[str, MetricComparison]
    profiles: dict[str, list[Profile]]

    def to_dict(self) -> dict[str, Any]:
        """The content of ``comparison.json`` as dicts and lists."""
        plain: dict[str, Any] = msgspec.json.decode(to_json(self))
        return plain

    def table(self) -> Table:
        """Every figure of every model with its difference from the baseline, as a rich table."""
        from matropy.evaluation._comparison_report import terminal_table

        return terminal_table(self).to_rich()

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``comparison.json`` and ``report.html`` into ``folder``, each whole or not at all.

        Returns
        -------
        Path
            The folder.
        """
        from matropy.evaluation._comparison_report import report

        target = output_folder(folder)
        html = report(self).to_html()
        write_atomic(target / "comparison.json", to_json(self))
        write_atomic(target / "report.html", html)
        return target
