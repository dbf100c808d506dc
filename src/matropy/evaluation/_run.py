"""One evaluation as it runs: what is done with a batch, and the sums that remain of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matropy._core._errors import InputError
from matropy._core._progress import Progress
from matropy.evaluation._accumulators import StreamingMeans, StreamingRatio
from matropy.evaluation._evaluation import SkippedText
from matropy.evaluation._measuring import SPECTRUM_LENGTH, BatchMeasures, Measure, measuring
from matropy.lm import Corpus, LanguageModel, Window, token_scores, token_windows
from matropy.lm._hidden_states import padded, run_layers
from matropy.lm._token_scores import prediction_head
from matropy.lm._windows import batched_windows
from matropy.metrics import isotropic_null

if TYPE_CHECKING:
    import torch

    Head = Callable[[torch.Tensor], torch.Tensor]

__all__ = ["Run", "default_batch_tokens"]


@dataclass
class _Text:
    """A text in work: sums over its windows, weighted by their tokens."""

    windows_left: int
    values: NDArray[np.float64]
    defined: NDArray[np.float64]
    spectra: NDArray[np.float64]
    null: NDArray[np.float64]
    bytes: int
    tokens: int = 0
    predicted: int = 0
    loss: float = 0.0
    entropy: float = 0.0
    fault: str | None = field(default=None)


class Run:
    """The sums of an evaluation; :meth:`all_batches` fills them.

    Parameters
    ----------
    model, corpus
        What runs over what.
    layers : list of int
        Hidden states that are measured, rising.
    measures, scores : list of str
        Metrics of the hidden states and of the predictions.
    max_length, batch_tokens, seed, drop_bos
        As for :func:`matropy.evaluate`.
    """

    def __init__(
        self,
        model: LanguageModel,
        corpus: Corpus,
        *,
        layers: list[int],
        measures: list[str],
        scores: list[str],
        max_length: int,
        batch_tokens: int,
        seed: int,
        drop_bos: bool,
    ) -> None:
        self.model, self.corpus = model, corpus
        self.layers = layers if measures else []
        self.measures, self.scores = measures, scores
        self.max_length, self.batch_tokens, self.seed, self.drop_bos = (
            max_length,
            batch_tokens,
            seed,
            drop_bos,
        )
        self.means = StreamingMeans(len(self.layers) * len(measures), seed)
        self.losses = StreamingMeans(1, seed)
        self.pooled_loss, self.pooled_bits, self.pooled_entropy = (StreamingRatio(seed) for _ in range(3))
        self.spectra = np.zeros((len(self.layers), SPECTRUM_LENGTH))
        self.null = {"matrix_nuclear_norm": 0.0, "matrix_entropy": 0.0}
        self.skipped: list[SkippedText] = []
        self.scored = self.truncated = self.windowed = self.tokens = 0
        self.forward_seconds = 0.0
        self.metrics_seconds: float | None = 0.0 if model.device.type == "cpu" else None
        self._head = prediction_head(model) if scores else None
        self._open: dict[int, _Text] = {}
        self._texts_read = self._tokens_read = 0

    def all_batches(self, progress: Progress) -> None:
        """Run every text through the model.

        Raises
        ------
        InputError
            If a hidden state is not finite, or no text could be scored.
        """
        windows = token_windows(
            self.corpus, self.model.tokenizer, self.max_length, context=self.model.context
        )
        with measuring(self.model.device, self.measures) as measure:
            for batch in batched_windows(self._measurable(windows), self.batch_tokens):
                self._batch(batch, measure)
                # The batch's part of all tokens, told in texts: long texts come first, so counting them would mislead.
                tokens = sum(len(window.ids) for window in batch)
                progress.advance(tokens * self._texts_read / self._tokens_read)
        self.skipped.sort(key=lambda text: text.index)
        if not self.scored:
            raise InputError(f"no text of {self.corpus.name} can be scored: {self.skipped[0].reason}")

    def _measurable(self, windows: Iterable[Window]) -> Iterable[Window]:
        """Open every text at its first window; pass on the windows with two rows to measure."""
        for window in windows:
            self._tokens_read += len(window.ids)
            if window.part == 0:
                self._texts_read += 1
                shape = (len(self.layers), len(self.measures))
                spectra = np.zeros((len(self.layers), SPECTRUM_LENGTH))
                self._open[window.text] = _Text(
                    window.parts, np.zeros(shape), np.zeros(shape), spectra, np.zeros(2), window.bytes
                )
                self.truncated += window.truncated
                self.windowed += window.parts > 1
            start, stop = self._span(window)
            if stop - start >= 2:
                yield window
            else:
                self._close_window(window)

    def _span(self, window: Window) -> tuple[int, int]:
        """First and last row of a window that is measured."""
        bos = self.model.tokenizer.bos_token_id
        leading = self.drop_bos and window.part == 0 and len(window.ids) > 0 and window.ids[0] == bos
        return int(leading), len(window.ids)

    def _batch(self, batch: list[Window], measure: Measure) -> None:
        start = time.perf_counter()
        ids, _ = padded(batch, self.model)
        spans = [self._span(window) for window in batch]
        found: list[BatchMeasures] = []
        measuring_seconds = 0.0

        def on_layer(layer: int, states: torch.Tensor) -> None:
            nonlocal measuring_seconds
            begin = time.perf_counter()
            found.append(measure(states, spans))
            measuring_seconds += time.perf_counter() - begin

        final = run_layers(self.model, ids, self.layers, on_layer)
        if self._head is not None:
            self._add_scores(batch, ids, final, self._head)
        for position, measures in enumerate(found):
            self._add_measures(batch, spans, position, measures)
        for window in batch:
            self.tokens += len(window.ids)
            self._close_window(window)
        if self.metrics_seconds is not None:
            self.metrics_seconds += measuring_seconds
            self.forward_seconds -= measuring_seconds
        self.forward_seconds += time.perf_counter() - start

    def _add_scores(
        self, batch: Sequence[Window], ids: torch.Tensor, final: torch.Tensor, head: Head
    ) -> None:
        import torch

        counts = [len(window.ids) - 1 for window in batch]
        states = torch.cat([final[row, :count] for row, count in enumerate(counts)])
        targets = torch.cat([ids[row, 1 : count + 1] for row, count in enumerate(counts)])
        scores = token_scores(states, targets, head)
        losses, entropies = scores.loss.double().split(counts), scores.entropy.double().split(counts)
        sums = torch.stack(
            [torch.stack([a.sum(), b.sum()]) for a, b in zip(losses, entropies, strict=True)]
        ).tolist()
        for window, count, (loss, entropy) in zip(batch, counts, sums, strict=True):
            text = self._open[window.text]
            text.predicted += count
            text.loss += loss
            text.entropy += entropy

    def _add_measures(
        self,
        batch: Sequence[Window],
        spans: Sequence[tuple[int, int]],
        position: int,
        measures: BatchMeasures,
    ) -> None:
        layer = self.layers[position]
        if not measures.finite.all():
            index = batch[int(np.argmin(measures.finite))].text
            raise InputError(
                f"the hidden states of layer {layer} are not finite for text {index} (computed in {self.model.dtype})"
            )
        for row, (window, (start, stop)) in enumerate(zip(batch, spans, strict=True)):
            text = self._open[window.text]
            if measures.degenerate[row]:
                text.fault = text.fault or f"a token's state equals the mean of all tokens (layer {layer})"
            values = measures.values[row]
            text.values[position] += (stop - start) * np.nan_to_num(values)
            text.defined[position] += (stop - start) * ~np.isnan(values)
            text.spectra[position] += (stop - start) * measures.spectrum[row]

    def _close_window(self, window: Window) -> None:
        text = self._open[window.text]
        start, stop = self._span(window)
        if stop - start >= 2:
            text.tokens += stop - start
            text.null += (stop - start) * _null(stop - start, self.model.width)
        text.windows_left -= 1
        if not text.windows_left:
            self._close_text(window.text, self._open.pop(window.text))

    def _close_text(self, index: int, text: _Text) -> None:
        if not text.tokens:
            self.skipped.append(SkippedText(index, "shorter than two tokens"))
            return
        if text.fault:
            self.skipped.append(SkippedText(index, text.fault))
            return
        self.scored += 1
        with np.errstate(invalid="ignore"):
            self.means.update(index, (text.values / text.defined).ravel(), text.tokens)
        self.spectra += text.spectra / text.tokens
        for name, value in zip(self.null, text.null / text.tokens, strict=True):
            self.null[name] += value
        if self._head is not None:
            self.losses.update(index, np.array([text.loss / text.predicted]), text.predicted)
            self.pooled_loss.update(index, text.loss, text.predicted)
            self.pooled_bits.update(index, text.loss / np.log(2), text.bytes)
            self.pooled_entropy.update(index, text.entropy, text.predicted)


@lru_cache(maxsize=4096)
def _null(n_tokens: int, n_features: int) -> NDArray[np.float64]:
    null = isotropic_null(n_tokens, n_features)
    return np.array([null.matrix_nuclear_norm, null.matrix_entropy])


def default_batch_tokens(model: LanguageModel) -> int:
    """As many tokens as a quarter of the free memory surely holds, at most 4096, a power of two."""
    import torch

    if model.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(model.device)
    else:
        import psutil

        free = psutil.virtual_memory().available
    config: Any = model.model.config.get_text_config()
    inner = getattr(config, "intermediate_size", None) or 4 * model.width
    bytes_per_token = model.model.dtype.itemsize * (12 * model.width + 4 * inner)
    affordable = max(1, int(free / 4 / bytes_per_token))
    return min(4096, 1 << (affordable.bit_length() - 1))
