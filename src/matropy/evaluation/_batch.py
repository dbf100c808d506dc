"""One batch through the model: what every process does by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from matropy._core._errors import InputError
from matropy.evaluation._measuring import SPECTRUM_LENGTH, BatchMeasures, Measure
from matropy.lm import LanguageModel, Window, token_scores
from matropy.lm._hidden_states import padded, run_layers

if TYPE_CHECKING:
    import torch

__all__ = ["MeasuredWindow", "measure_batch", "measured_rows"]

Head = Callable[["torch.Tensor"], "torch.Tensor"]


@dataclass(frozen=True)
class MeasuredWindow:
    """What was found in one window.

    Attributes
    ----------
    values : array, shape (L, M)
        Measures at each wanted hidden state, NaN where not defined.
    spectra : array, shape (L, SPECTRUM_LENGTH)
        Largest eigenvalues.
    fault : str or None
        Why its text cannot be measured.
    loss, entropy : float
        Sums over the predictions, nats.
    predicted : int
        How many predictions.
    """

    values: NDArray[np.float64]
    spectra: NDArray[np.float64]
    fault: str | None
    loss: float
    entropy: float
    predicted: int


def measured_rows(window: Window, model: LanguageModel, drop_bos: bool) -> tuple[int, int]:
    """First and last row of a window that is measured; fewer than two rows are none."""
    bos = model.tokenizer.bos_token_id
    leading = drop_bos and window.part == 0 and len(window.ids) > 0 and window.ids[0] == bos
    start, stop = int(leading), len(window.ids)
    return (start, stop) if stop - start >= 2 else (start, start)


def measure_batch(
    model: LanguageModel,
    batch: Sequence[Window],
    spans: Sequence[tuple[int, int]],
    *,
    layers: Sequence[int],
    measure: Measure,
    head: Head | None,
) -> tuple[list[MeasuredWindow], float]:
    """Run a batch and measure its windows, each in its rows ``spans``.

    Returns
    -------
    windows : list of MeasuredWindow
    seconds : float
        That the measures took, of the whole.

    Raises
    ------
    InputError
        If a hidden state is not finite.
    """
    ids, _ = padded(batch, model)
    found: list[BatchMeasures] = []
    seconds = 0.0

    def on_layer(layer: int, states: torch.Tensor) -> None:
        nonlocal seconds
        start = time.perf_counter()
        found.append(measure(states, spans))
        seconds += time.perf_counter() - start

    final = run_layers(model, ids, layers, on_layer)
    scores = _scores(batch, ids, final, head) if head is not None else [(0.0, 0.0, 0)] * len(batch)
    for layer, measures in zip(layers, found, strict=True):
        if not measures.finite.all():
            index = batch[int(np.argmin(measures.finite))].text
            raise InputError(
                f"the hidden states of layer {layer} are not finite for text {index} (computed in {model.dtype})"
            )
    return [_window(row, layers, found, scores[row]) for row in range(len(batch))], seconds


def _window(
    row: int, layers: Sequence[int], found: Sequence[BatchMeasures], score: tuple[float, float, int]
) -> MeasuredWindow:
    flat = [layer for layer, measures in zip(layers, found, strict=True) if measures.degenerate[row]]
    empty = np.zeros((0, SPECTRUM_LENGTH))
    return MeasuredWindow(
        values=np.array([measures.values[row] for measures in found]),
        spectra=np.array([measures.spectrum[row] for measures in found]) if found else empty,
        fault=f"a token's state equals the mean of all tokens (layer {flat[0]})" if flat else None,
        loss=score[0],
        entropy=score[1],
        predicted=score[2],
    )


def _scores(
    batch: Sequence[Window], ids: torch.Tensor, final: torch.Tensor, head: Head
) -> list[tuple[float, float, int]]:
    """Sums of loss and entropy over the predictions of each window, and how many there are."""
    import torch

    counts = [len(window.ids) - 1 for window in batch]
    states = torch.cat([final[row, :count] for row, count in enumerate(counts)])
    targets = torch.cat([ids[row, 1 : count + 1] for row, count in enumerate(counts)])
    scores = token_scores(states, targets, head)
    losses, entropies = scores.loss.double().split(counts), scores.entropy.double().split(counts)
    sums = torch.stack([torch.stack([a.sum(), b.sum()]) for a, b in zip(losses, entropies, strict=True)])
    return [(loss, entropy, count) for (loss, entropy), count in zip(sums.tolist(), counts, strict=True)]
