"""Several models over the same texts: what each finds there, and how sure their difference is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matropy._core._random import poisson_weights
from matropy.evaluation._accumulators import REPLICATES
from matropy.evaluation._evaluation import Evaluation, Interval
from matropy.evaluation._records import TextRecord

__all__ = ["LOGARITHMIC", "CommonTexts", "Measured", "common_texts", "own_records"]

LOGARITHMIC = ("perplexity",)
"""Metrics that are exponentials of a mean: they are compared by their ratio, which is the exponential of a difference."""

_POOLED_OVER = {
    "perplexity": "predicted",
    "conditional_entropy": "predicted",
    "bits_per_byte": "bytes",
}
_CHUNK = 1024


@dataclass(frozen=True)
class Measured:
    """A figure with its uncertainty; None where it is not defined.

    Attributes
    ----------
    value, standard_error : float or None
    ci95 : (float, float) or None
        Bootstrap 95 % interval.
    """

    value: float | None
    standard_error: float | None
    ci95: Interval | None


def own_records(evaluation: Evaluation) -> list[TextRecord] | None:
    """Records of an evaluation's texts; None without, or where they are those of another evaluation.

    Files get moved: a ``texts.jsonl`` is believed when it gives the means that the evaluation holds.
    """
    if evaluation.records is None:
        return None
    records = list(evaluation.records)
    if len(records) != evaluation.texts.scored:
        return None
    for name, metric in evaluation.summary.items():
        sums = np.array([_sums(record, name) for record in records])
        total, weight = np.nansum(sums, axis=0)
        if metric.mean is not None and weight:
            mean = math.exp(total / weight) if name in LOGARITHMIC else total / weight
            if not math.isclose(mean, metric.mean, rel_tol=1e-6, abs_tol=1e-9):
                return None
    return records


def common_texts(records: Sequence[Sequence[TextRecord]]) -> list[tuple[TextRecord, ...]]:
    """Texts that every model has, one tuple a text with one record a model, in the order of the first model's corpus.

    The first occurrence of a text that a corpus repeats counts, as the models read the same thing each time.
    """
    by_text: list[dict[str, TextRecord]] = []
    for one in records:
        found: dict[str, TextRecord] = {}
        for record in sorted(one, key=lambda record: record.index):
            found.setdefault(record.sha256, record)
        by_text.append(found)
    return [
        tuple(found[text] for found in by_text)
        for text in by_text[0]
        if all(text in found for found in by_text)
    ]


class CommonTexts:
    r"""Means of several models over the same texts, and differences of these means.

    Each figure is a ratio of two sums over texts, :math:`r = \sum_i u_i / \sum_i v_i`: of values and ones for a plain
    mean, of totals and weights for a pooled one. The standard error of :math:`r_b - r_a` is that of the mean of
    :math:`e_{b,i} - e_{a,i}` with :math:`e_i = (u_i - r v_i) / \bar v`; for plain means these are the differences of
    single texts. The interval holds 95 % of the replicates of a Poisson bootstrap over texts, in which both models
    are resampled alike. A figure that one model has not for a text is left out for all of them there.

    Parameters
    ----------
    texts : list of tuple of TextRecord
        What :func:`common_texts` gives.
    metrics : sequence of str
    seed : int
        Of the bootstrap.
    """

    def __init__(self, texts: Sequence[tuple[TextRecord, ...]], metrics: Sequence[str], seed: int) -> None:
        self._columns = {name: column for column, name in enumerate(metrics)}
        sums = np.array([[[_sums(one, name) for name in metrics] for one in text] for text in texts])
        measured = ~np.isnan(sums).any(axis=3)
        somewhere = measured.any(axis=0)
        used = (measured | ~somewhere).all(axis=1)[:, None, :] & somewhere
        sums = np.where(used[..., None], sums, 0.0)
        self._texts = used.sum(axis=0)
        totals = sums.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            self._values = totals[..., 0] / totals[..., 1]
            residuals = sums[..., 0] - self._values * sums[..., 1]
            self._influence = residuals * self._texts / totals[..., 1]
            replicates = _replicates(sums, [text[0].index for text in texts], seed)
            self._replicates = replicates[..., 0] / replicates[..., 1]

    def texts(self, metric: str, model: int) -> int:
        """How many texts the figure of a model is over."""
        return int(self._texts[model, self._columns[metric]])

    def value(self, metric: str, model: int) -> Measured:
        """The figure of one model."""
        at = model, self._columns[metric]
        return self._measured(
            metric, model, self._values[at], self._influence[:, *at], self._replicates[:, *at]
        )

    def difference(self, metric: str, model: int, baseline: int = 0) -> Measured:
        """The figure of one model minus that of another; of a logarithmic metric, the ratio."""
        here, there = (model, self._columns[metric]), (baseline, self._columns[metric])
        return self._measured(
            metric,
            model,
            self._values[here] - self._values[there],
            self._influence[:, *here] - self._influence[:, *there],
            self._replicates[:, *here] - self._replicates[:, *there],
        )

    def _measured(
        self,
        metric: str,
        model: int,
        value: float,
        influence: NDArray[np.float64],
        replicates: NDArray[np.float64],
    ) -> Measured:
        count = self.texts(metric, model)
        error, low, high = math.nan, math.nan, math.nan
        drawn = replicates[~np.isnan(replicates)]
        if count > 1 and len(drawn):
            error = math.sqrt(np.sum(influence**2) / (count * (count - 1)))
            low, high = np.percentile(drawn, [2.5, 97.5])
        if metric in LOGARITHMIC:
            value, low, high = (float(np.exp(exponent)) for exponent in (value, low, high))
            error *= value
        ends = _finite(low), _finite(high)
        return Measured(_finite(value), _finite(error), None if None in ends else (float(low), float(high)))


def _sums(record: TextRecord, metric: str) -> tuple[float, float]:
    """What a text adds to the two sums of a metric; NaN where it has no value."""
    value = record.values.get(metric)
    weight = float(getattr(record, _POOLED_OVER[metric])) if metric in _POOLED_OVER else 1.0
    if value is None or not weight or (metric in LOGARITHMIC and value <= 0):
        return math.nan, math.nan
    return (math.log(value) if metric in LOGARITHMIC else value) * weight, weight


def _replicates(sums: NDArray[np.float64], indices: Sequence[int], seed: int) -> NDArray[np.float64]:
    """Sums over texts in each replicate: ``(texts, ...)`` to ``(REPLICATES, ...)``, some texts at a time."""
    total = np.zeros((REPLICATES, *sums.shape[1:]))
    for start in range(0, len(indices), _CHUNK):
        weights = np.array([poisson_weights(seed, index, REPLICATES) for index in indices[start:][:_CHUNK]])
        total += np.tensordot(weights.astype(float), sums[start : start + _CHUNK], axes=(0, 0))
    return total


def _finite(value: float) -> float | None:
    """The float, or None for NaN and infinity."""
    return float(value) if math.isfinite(value) else None
