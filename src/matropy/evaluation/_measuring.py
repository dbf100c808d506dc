"""Measuring one hidden state of one batch, text by text on a CPU, all at once on an accelerator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from matropy.metrics._representation_statistics import RepresentationStatistics, representation_statistics

if TYPE_CHECKING:
    import torch

__all__ = ["SPECTRUM_LENGTH", "BatchMeasures", "Measure", "measuring"]

SPECTRUM_LENGTH = 64

# What a second thread takes over where there are fewer texts than threads: half of the cost.
_RAW = ("anisotropy", "rankme", "alpha_req")


@dataclass(frozen=True)
class BatchMeasures:
    """Measures of B windows at one layer.

    Attributes
    ----------
    values : array, shape (B, M)
        NaN where not defined.
    spectrum : array, shape (B, SPECTRUM_LENGTH)
        The largest eigenvalues of the normalized covariance, padded with zeros.
    finite, degenerate : array of bool, shape (B,)
        Whether all states are finite; whether a token could not be normalized.
    """

    values: NDArray[np.float64]
    spectrum: NDArray[np.float64]
    finite: NDArray[np.bool_]
    degenerate: NDArray[np.bool_]


Measure = Callable[["torch.Tensor", Sequence[tuple[int, int]]], BatchMeasures]
"""From ``states (B, N, d)`` and the rows ``(start, stop)`` of each text that count, to its measures."""


@contextmanager
def measuring(device: torch.device, metrics: Sequence[str]) -> Iterator[Measure]:
    """Give the function that measures; its threads end with the context."""
    if device.type != "cpu":
        yield lambda states, spans: _on_device(states, spans, metrics)
        return
    import torch
    from threadpoolctl import threadpool_limits

    # One thread of linear algebra in each worker: small matrices gain nothing from more, and workers would fight.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(torch.get_num_threads()) as pool:
        yield lambda states, spans: _on_cpu(states, spans, metrics, pool)


def _on_cpu(
    states: torch.Tensor,
    spans: Sequence[tuple[int, int]],
    metrics: Sequence[str],
    pool: ThreadPoolExecutor,
) -> BatchMeasures:
    import torch

    array = states.float().numpy() if states.dtype.itemsize < 4 else states.numpy()
    texts = [array[row, start:stop] for row, (start, stop) in enumerate(spans)]
    groups = [metrics]
    if len(texts) < torch.get_num_threads():
        halves = [m for m in metrics if m not in _RAW], [m for m in metrics if m in _RAW]
        groups = [half for half in halves if half]
    tasks = [(text, group) for text in texts for group in groups]
    results = list(pool.map(lambda task: representation_statistics(task[0], None, task[1]), tasks))
    parts = [results[i : i + len(groups)] for i in range(0, len(results), len(groups))]
    return _gathered(parts, metrics)


def _gathered(parts: Sequence[Sequence[RepresentationStatistics]], metrics: Sequence[str]) -> BatchMeasures:
    spectrum = np.zeros((len(parts), SPECTRUM_LENGTH))
    values = np.empty((len(parts), len(metrics)))
    for row, statistics in enumerate(parts):
        merged = {name: value for part in statistics for name, value in part.values.items()}
        values[row] = [merged[name] for name in metrics]
        for part in statistics:
            if part.spectrum is not None:
                top = part.spectrum[:SPECTRUM_LENGTH]
                spectrum[row, : len(top)] = top
    return BatchMeasures(
        values,
        spectrum,
        np.array([bool(part[0].finite) for part in parts]),
        np.array([bool(part[0].degenerate) for part in parts]),
    )


def _on_device(
    states: torch.Tensor, spans: Sequence[tuple[int, int]], metrics: Sequence[str]
) -> BatchMeasures:
    import torch

    positions = torch.arange(states.shape[1], device=states.device)
    bounds = torch.tensor(spans, device=states.device)
    mask = (positions >= bounds[:, :1]) & (positions < bounds[:, 1:])
    found = representation_statistics(states, mask, metrics)
    values = torch.stack([found.values[name].double() for name in metrics], dim=1)
    spectrum = values.new_zeros(len(spans), SPECTRUM_LENGTH)
    if found.spectrum is not None:
        top = found.spectrum[:, :SPECTRUM_LENGTH]
        spectrum[:, : top.shape[1]] = top
    flags = torch.stack([found.finite, found.degenerate], dim=1).double()
    # One copy for everything that was found.
    array = torch.cat([values, spectrum, flags], dim=1).cpu().numpy()
    end = len(metrics)
    return BatchMeasures(array[:, :end], array[:, end:-2], array[:, -2] > 0, array[:, -1] > 0)
