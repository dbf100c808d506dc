"""One batch through the model: what every process does by itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from matropy._core._errors import InputError
from matropy.evaluation._gates import Gates, WindowCodes
from matropy.evaluation._measuring import SPECTRUM_LENGTH, BatchMeasures, BatchMeter, Meter
from matropy.lm import LanguageModel, Window
from matropy.lm._hidden_states import padded, run_layers

if TYPE_CHECKING:
    import torch

    from matropy.nn import PredictionHead

__all__ = ["MeasuredWindow", "measure_batch", "measured_rows"]

_LOGIT_BYTES = 2**25
"""Workspace of the scores; more makes them no faster."""


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
    pooled : array, shape (L, d), or None
        Mean state at each wanted layer, where wanted.
    codes : WindowCodes or None
        Which gated units its tokens switch on, where wanted.
    """

    values: NDArray[np.float64]
    spectra: NDArray[np.float64]
    fault: str | None
    loss: float
    entropy: float
    predicted: int
    pooled: NDArray[np.float32] | None = None
    codes: WindowCodes | None = None


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
    meter: Meter,
    head: PredictionHead | None,
    pool: bool = False,
    gates: Gates | None = None,
) -> list[MeasuredWindow]:
    """Run a batch and measure its windows, each in its rows ``spans``.

    Raises
    ------
    InputError
        If a hidden state is not finite.
    """
    ids, _ = padded(batch, model)
    measures = BatchMeter(meter, spans)
    with gates.recording(meter, ids.shape[1], spans) if gates is not None else nullcontext():
        final = run_layers(model, ids, layers, measures.add)
    found = measures.finish()
    codes = gates.windows(meter) if gates is not None else [None] * len(batch)
    scores = _scores(batch, ids, final, head) if head is not None else [(0.0, 0.0, 0)] * len(batch)
    for layer, at_layer in zip(layers, found, strict=True):
        if not at_layer.finite.all():
            index = batch[int(np.argmin(at_layer.finite))].text
            raise InputError(
                f"the hidden states of layer {layer} are not finite for text {index} (computed in {model.dtype})"
            )
    windows = [_window(row, layers, found, scores[row]) for row in range(len(batch))]
    means = np.stack([at_layer.mean for at_layer in found], axis=1) if pool else [None] * len(batch)
    return [
        replace(window, pooled=mean, codes=code)
        for window, mean, code in zip(windows, means, codes, strict=True)
    ]


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
    batch: Sequence[Window], ids: torch.Tensor, final: torch.Tensor, head: PredictionHead
) -> list[tuple[float, float, int]]:
    """Sums of loss and entropy over the predictions of each window, and how many there are."""
    import torch

    from matropy.nn import token_statistics

    counts = [len(window.ids) - 1 for window in batch]
    states = torch.cat([final[row, :count] for row, count in enumerate(counts)])
    targets = torch.cat([ids[row, 1 : count + 1] for row, count in enumerate(counts)])
    states, bias = head.scaled(states)
    with torch.inference_mode():
        scores = token_statistics(
            states,
            head.weight,
            targets,
            linear_bias=bias,
            softcap=head.softcap,
            ignore_index=-1,
            memory_budget=_LOGIT_BYTES,
        )
    losses, entropies = (
        one.double().split(counts) for one in (scores.nll, scores.entropy) if one is not None
    )
    sums = torch.stack([torch.stack([a.sum(), b.sum()]) for a, b in zip(losses, entropies, strict=True)])
    return [(loss, entropy, count) for (loss, entropy), count in zip(sums.tolist(), counts, strict=True)]
