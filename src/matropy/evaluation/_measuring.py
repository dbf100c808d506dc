"""Measuring the hidden states of a batch while the model runs: texts side by side on a CPU, at once elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from matropy.linalg._tridiagonal import raw_and_centered_eigenvalues
from matropy.metrics._representation_statistics import (
    PreparedStates,
    RepresentationStatistics,
    prepared_states,
)
from matropy.metrics._token_matrix import raw_and_centered_spectra, unit_eigenvalues, unit_spectrum

if TYPE_CHECKING:
    import torch

__all__ = ["SPECTRUM_LENGTH", "BatchMeasures", "BatchMeter", "Meter"]

SPECTRUM_LENGTH = 64

_DOUBLE_UP_TO = 64
"""Side of spectra that are found in float64. In float32 they cost two thirds; against float64 throughout, entropies of
a real model's states then differ by 1e-6 and exact nuclear norms by 3e-5.
"""

_WAITING_BYTES = 2**25
"""Normalized states that wait for their spectra, many of which are found at a time.

The threads that ran the model go on spinning for a moment, in which ours have to share the cores with them.
"""

Item = TypeVar("Item")
Result = TypeVar("Result")
Span = tuple[int, int]


@dataclass(frozen=True)
class BatchMeasures:
    """Measures of B windows at one layer.

    Attributes
    ----------
    values : array, shape (B, M)
        NaN where not defined or not wanted.
    spectrum : array, shape (B, SPECTRUM_LENGTH)
        The largest eigenvalues of the normalized covariance, padded with zeros.
    mean : array, shape (B, d)
        Mean state of each window.
    finite, degenerate : array of bool, shape (B,)
        Whether all states are finite; whether a token could not be normalized.
    """

    values: NDArray[np.float64]
    spectrum: NDArray[np.float64]
    mean: NDArray[np.float32]
    finite: NDArray[np.bool_]
    degenerate: NDArray[np.bool_]


class Meter:
    """Takes measures of hidden states, in threads of its own while it is open, and counts the seconds.

    Parameters
    ----------
    device : torch.device
        Where the states are.
    metrics : sequence of str
        All metrics, in the order of the columns of values.
    at_layer : mapping of int to sequence of str
        Those that are wanted of each hidden state.

    Attributes
    ----------
    seconds : float
        What was spent inside of :meth:`timed`.
    """

    def __init__(
        self, device: torch.device, metrics: Sequence[str], at_layer: Mapping[int, Sequence[str]]
    ) -> None:
        self.metrics, self.at_layer = metrics, at_layer
        self.on_cpu = device.type == "cpu"
        self.seconds = 0.0
        self._open = ExitStack()
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Meter:
        import torch
        from threadpoolctl import threadpool_limits

        if self.on_cpu:
            # One thread of linear algebra in each of ours: small matrices gain nothing from more, and all would fight.
            self._open.enter_context(threadpool_limits(1, user_api="blas"))
            self._pool = self._open.enter_context(ThreadPoolExecutor(torch.get_num_threads()))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count what happens inside as measuring."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - start

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """The function of every item, side by side in threads on a CPU."""
        return list((self._pool.map if self._pool is not None else map)(function, items))


class BatchMeter:
    """Measures one batch, of which each text counts in its rows ``(start, stop)``."""

    def __init__(self, meter: Meter, spans: Sequence[Span]) -> None:
        self._meter, self._spans = meter, spans
        self._waiting: list[PreparedStates] = []
        self._found: list[BatchMeasures] = []

    def add(self, layer: int, states: torch.Tensor) -> None:
        """Measure ``states (B, N, d)`` of a layer; on a CPU its spectra wait until there are many."""
        meter = self._meter
        with meter.timed():
            prepared = prepared_states(states, self._mask(states), meter.at_layer[layer])
            if not meter.on_cpu:
                spectrum = unit_spectrum(prepared.z, prepared.rows) if prepared.wants_spectrum else None
                raw = raw_and_centered_spectra(prepared.rows) if prepared.wants_raw_spectra else None
                self._found.append(_gathered(prepared.measured(spectrum, raw), meter.metrics))
                return
            self._waiting.append(prepared)
            if len(self._waiting) * prepared.z.nbytes >= _WAITING_BYTES:
                self._measure()
            elif prepared.wants_raw_spectra:
                # Whoever made the states may go on to change them.
                rows = replace(prepared.rows, x=prepared.rows.x.clone())
                self._waiting[-1] = replace(prepared, rows=rows)

    def finish(self) -> list[BatchMeasures]:
        """The measures of every layer, in the order in which they came."""
        if self._waiting:
            with self._meter.timed():
                self._measure()
        return self._found

    def _measure(self) -> None:
        """Find the spectra that are waited for, matrix by matrix, and all that they say."""
        tasks: list[Callable[[], Any]] = []
        for states in self._waiting:
            if states.wants_spectrum:
                z = states.z.numpy()
                tasks += [
                    partial(unit_eigenvalues, z[row, start:stop], double_up_to=_DOUBLE_UP_TO)
                    for row, (start, stop) in enumerate(self._spans)
                ]
            if states.wants_raw_spectra:
                x = states.rows.x.numpy()
                tasks += [
                    partial(_raw_spectra, x[row, start:stop]) for row, (start, stop) in enumerate(self._spans)
                ]
        results = iter(self._meter.map(lambda task: task(), tasks))
        count = len(self._spans)
        for states in self._waiting:
            spectrum = raw = None
            if states.wants_spectrum:
                spectrum = _stacked(list(islice(results, count)), states)
            if states.wants_raw_spectra:
                pairs = list(islice(results, count))
                raw = _stacked([one for one, _ in pairs], states), _stacked([two for _, two in pairs], states)
            self._found.append(_gathered(states.measured(spectrum, raw), self._meter.metrics))
        self._waiting.clear()

    def _mask(self, states: torch.Tensor) -> torch.Tensor | None:
        """Which rows count; None where all do."""
        import torch

        length = states.shape[1]
        if all(span == (0, length) for span in self._spans):
            return None
        positions = torch.arange(length, device=states.device)
        bounds = torch.tensor(self._spans, device=states.device)
        return (positions >= bounds[:, :1]) & (positions < bounds[:, 1:])


def _raw_spectra(x: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return raw_and_centered_eigenvalues(x.astype(np.float64))


def _stacked(spectra: Sequence[NDArray[Any]], states: PreparedStates) -> torch.Tensor:
    """Spectra of several lengths, with zeros behind, in one tensor."""
    import torch

    rows = np.zeros((len(spectra), min(states.z.shape[-2:])), spectra[0].dtype)
    for row, spectrum in zip(rows, spectra, strict=True):
        row[: len(spectrum)] = spectrum
    return torch.from_numpy(rows)


def _gathered(found: RepresentationStatistics, metrics: Sequence[str]) -> BatchMeasures:
    import torch

    shape = (len(found.finite), len(metrics))
    values = torch.full(shape, torch.nan, dtype=torch.float64, device=found.finite.device)
    for column, name in enumerate(metrics):
        if name in found.values:
            values[:, column] = found.values[name]
    spectrum = values.new_zeros(shape[0], SPECTRUM_LENGTH)
    if found.spectrum is not None:
        top = found.spectrum[:, :SPECTRUM_LENGTH]
        spectrum[:, : top.shape[1]] = top
    flags = torch.stack([found.finite, found.degenerate], dim=1).double()
    # One copy for everything that was found.
    array = torch.cat([values, spectrum, flags, found.mean.double()], dim=1).cpu().numpy()
    ends = np.cumsum([len(metrics), SPECTRUM_LENGTH, 2])
    values_found, spectrum_found, flags_found, mean = np.split(array, ends, axis=1)
    return BatchMeasures(
        values_found, spectrum_found, mean.astype(np.float32), flags_found[:, 0] > 0, flags_found[:, 1] > 0
    )
