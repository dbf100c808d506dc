"""Means over texts with their uncertainty, in memory that does not grow with the texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from matropy._core._random import poisson_weights

__all__ = ["StreamingMeans", "StreamingRatio"]

REPLICATES = 1000

Values = NDArray[np.float64]


class _Accumulator:
    """Sums in named arrays, which can be taken out and put back to the bit."""

    _ARRAYS: tuple[str, ...]

    def arrays(self) -> dict[str, Values]:
        """The sums so far, by name."""
        return {name: getattr(self, name) for name in self._ARRAYS}

    def restore(self, arrays: Mapping[str, Values]) -> None:
        """Go on from sums that :meth:`arrays` gave."""
        for name in self._ARRAYS:
            setattr(self, name, arrays[name])


class StreamingMeans(_Accumulator):
    """Plain and weighted means of many columns of values, one row a text; NaN is left out of its own column.

    The intervals are percentiles of a Poisson bootstrap: the weight of a text in a replicate is a function of
    ``(seed, index of the text)``, so neither order nor grouping changes them, and two evaluations of the same texts
    are resampled alike.

    Parameters
    ----------
    columns : int
        Number of values a text has.
    seed : int
        Of the bootstrap.
    """

    _ARRAYS = ("_count", "_mean", "_squares", "_weighted", "_replicates")

    def __init__(self, columns: int, seed: int) -> None:
        self._seed = seed
        self._count = np.zeros(columns)
        self._mean = np.zeros(columns)
        self._squares = np.zeros(columns)
        self._weighted = np.zeros((2, columns))
        self._replicates = np.zeros((2, REPLICATES, columns))

    def update(self, index: int, values: Values, weight: float) -> None:
        """Add the text ``index`` with its ``values (columns,)`` and its weight in the weighted mean."""
        defined = ~np.isnan(values)
        known = np.where(defined, values, 0.0)
        self._count += defined
        step = np.where(defined, values - self._mean, 0.0)
        self._mean += step / np.maximum(self._count, 1)
        self._squares += step * np.where(defined, values - self._mean, 0.0)
        self._weighted += weight * np.stack([known, defined])
        drawn = poisson_weights(self._seed, index, REPLICATES)
        # Most replicates draw a text zero or one times; the rows that draw it are the only ones that change.
        taken = np.flatnonzero(drawn)
        times = drawn[taken, None]
        self._replicates[0, taken] += times * known
        self._replicates[1, taken] += times * defined

    @property
    def mean(self) -> Values:
        """Plain mean of each column, NaN without values."""
        return np.where(self._count > 0, self._mean, np.nan)

    @property
    def weighted_mean(self) -> Values:
        """Weighted mean of each column, NaN without weight."""
        total, weight = self._weighted
        return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)

    @property
    def standard_error(self) -> Values:
        """Standard deviation (n - 1) over the square root of n, NaN for fewer than two values."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self._count > 1, np.sqrt(self._squares / (self._count - 1) / self._count), np.nan)

    def intervals(self, columns: slice | Sequence[int] = slice(None)) -> Values:
        """Bootstrap 95 % intervals of some columns, shape (2, columns); NaN for fewer than two values."""
        return np.where(self._count[columns] > 1, _percentiles(*self._replicates[:, :, columns]), np.nan)


class StreamingRatio(_Accumulator):
    """Ratio of two sums over texts, as the pooled loss is, with its bootstrap.

    Parameters
    ----------
    seed : int
        Of the bootstrap; the weights are those of :class:`StreamingMeans`.
    """

    _ARRAYS = ("_texts", "_sums", "_replicates")

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._texts = np.zeros(())
        self._sums = np.zeros(2)
        self._replicates = np.zeros((2, REPLICATES, 1))

    def update(self, index: int, numerator: float, denominator: float) -> None:
        """Add the text ``index``."""
        pair = np.array([numerator, denominator])
        self._texts = self._texts + 1
        self._sums += pair
        self._replicates[:, :, 0] += pair[:, None] * poisson_weights(self._seed, index, REPLICATES)

    @property
    def value(self) -> float:
        """The ratio of the sums, NaN without texts."""
        return float(self._sums[0] / self._sums[1]) if self._sums[1] > 0 else math.nan

    @property
    def standard_error(self) -> float:
        """Standard deviation of the bootstrap replicates, NaN for fewer than two texts."""
        numerator, denominator = self._replicates[:, :, 0]
        drawn = denominator > 0
        return float(np.std(numerator[drawn] / denominator[drawn])) if self._texts > 1 else math.nan

    def interval(self) -> tuple[float, float]:
        """Bootstrap 95 % interval, NaN for fewer than two texts."""
        if self._texts < 2:
            return math.nan, math.nan
        low, high = _percentiles(*self._replicates)[:, 0]
        return float(low), float(high)


def _percentiles(sums: Values, counts: Values) -> Values:
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(counts > 0, sums / counts, np.nan)
    result = np.full((2, sums.shape[1]), np.nan)
    defined = ~np.all(np.isnan(means), axis=0)
    result[:, defined] = np.nanpercentile(means[:, defined], [2.5, 97.5], axis=0)
    return result
