"""Which texts stand apart from the rest."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

from matropy.evaluation._evaluation import Evaluation
from matropy.evaluation._records import TextRecord

__all__ = ["Outlier", "outliers"]

_WATCHED = ("loss", "matrix_entropy_calibrated", "anisotropy")


@dataclass(frozen=True)
class Outlier:
    """A text and the figure in which it stands apart.

    Attributes
    ----------
    record : TextRecord
    metric : str
        The figure that is farthest from its mean.
    deviations : float
        How many standard deviations over texts it is above (or below) it.
    """

    record: TextRecord
    metric: str
    deviations: float


def outliers(evaluation: Evaluation, count: int = 8) -> list[Outlier]:
    """The texts farthest from the mean in loss, calibrated entropy or anisotropy, farthest first.

    Only those beyond two standard deviations; one pass over the records, which need not fit in memory.
    """
    scales = {}
    for name in _WATCHED:
        metric = evaluation.summary.get(name)
        if metric and metric.mean is not None and metric.standard_error:
            scales[name] = (metric.mean, metric.standard_error * math.sqrt(evaluation.texts.scored))
    farthest: list[tuple[float, int, Outlier]] = []
    for record in evaluation.records or ():
        found = _farthest(record, scales)
        if found is not None and abs(found.deviations) > 2:
            entry = (abs(found.deviations), -record.index, found)
            heapq.heappush(farthest, entry) if len(farthest) < count else heapq.heappushpop(farthest, entry)
    return [found for _, _, found in sorted(farthest, key=lambda entry: entry[:2], reverse=True)]


def _farthest(record: TextRecord, scales: dict[str, tuple[float, float]]) -> Outlier | None:
    best = None
    for name, (mean, deviation) in scales.items():
        value = record.values.get(name)
        if value is not None:
            found = Outlier(record, name, (value - mean) / deviation)
            if best is None or abs(found.deviations) > abs(best.deviations):
                best = found
    return best
