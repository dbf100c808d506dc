"""What remains of the texts: sums whose size does not depend on how many there were."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matropy.evaluation._accumulators import StreamingMeans, StreamingRatio
from matropy.evaluation._batch import MeasuredWindow
from matropy.evaluation._evaluation import SkippedText
from matropy.evaluation._measuring import SPECTRUM_LENGTH
from matropy.evaluation._pooled import PooledTexts
from matropy.evaluation._records import EXCERPT_LENGTH, TextRecord, text_digest
from matropy.lm import Window
from matropy.metrics import isotropic_null

__all__ = ["Sums"]

Array = NDArray[Any]


@dataclass(frozen=True)
class _OpenText:
    """A text of which windows are still to come: sums over its windows, weighted by their rows."""

    windows_left: int
    values: Array
    defined: Array
    spectra: Array
    null: Array
    rows: int = 0
    predicted: int = 0
    loss: float = 0.0
    entropy: float = 0.0
    fault: str = ""
    pooled: Array | float = 0.0
    redundancy: Array | float = 0.0
    ones: Array | int = 0


@dataclass
class _Counts:
    scored: int = 0
    truncated: int = 0
    windowed: int = 0
    tokens: int = 0
    coded: int = 0


class Sums:
    """Everything that an evaluation is made of.

    Parameters
    ----------
    layers : int
        How many hidden states are measured.
    measures, scores : list of str
        Metrics of the hidden states and of the predictions.
    ends_last : bool
        Whether the last measured hidden state is the model's last.
    width : int
        Features of a hidden state.
    seed : int
        Of the bootstrap.
    gates : sequence of int
        Units of the gate of each block; empty where codes are not wanted.

    Attributes
    ----------
    pooled : PooledTexts or None
        What takes the mean states of texts, where they are wanted.
    """

    def __init__(
        self,
        layers: int,
        measures: Sequence[str],
        scores: Sequence[str],
        *,
        ends_last: bool,
        width: int,
        seed: int,
        gates: Sequence[int] = (),
    ) -> None:
        self.measures, self.scores, self._ends_last, self._width = measures, scores, ends_last, width
        self.means = StreamingMeans(layers * len(measures), seed)
        self.losses = StreamingMeans(2, seed)
        self.pooled: PooledTexts | None = None
        self._coded = bool(gates)
        self.redundancy = StreamingMeans(len(gates) + 1, seed)
        self.ones = np.zeros(sum(gates), np.int64)
        self.pooled_loss, self.pooled_bits, self.pooled_entropy = (StreamingRatio(seed) for _ in range(3))
        self.spectra = np.zeros((layers, SPECTRUM_LENGTH))
        self.null = np.zeros(2)
        self.skipped: list[SkippedText] = []
        self.counts = _Counts()
        self._open: dict[int, _OpenText] = {}

    def add(self, window: Window, rows: int, found: MeasuredWindow | None) -> TextRecord | None:
        """Add a window of which ``rows`` were measured (None: too few); the record of its text, if that is complete."""
        text = self._open.pop(window.text, None) or self._new_text(window)
        text = replace(text, windows_left=text.windows_left - 1)
        self.counts.tokens += len(window.ids)
        if found is not None:
            text = replace(
                text,
                values=text.values + rows * np.nan_to_num(found.values),
                defined=text.defined + rows * ~np.isnan(found.values),
                spectra=text.spectra + rows * found.spectra,
                null=text.null + rows * _null(rows, self._width),
                rows=text.rows + rows,
                predicted=text.predicted + found.predicted,
                loss=text.loss + found.loss,
                entropy=text.entropy + found.entropy,
                fault=text.fault or found.fault or "",
            )
            if found.pooled is not None:
                text = replace(text, pooled=text.pooled + rows * found.pooled.astype(np.float64))
            if found.codes is not None:
                text = replace(
                    text,
                    redundancy=text.redundancy + rows * found.codes.redundancy,
                    ones=text.ones + found.codes.ones,
                )
        if text.windows_left:
            self._open[window.text] = text
            return None
        return self._close(window, text)

    def arrays(self) -> dict[str, Array]:
        """The sums as named arrays."""
        arrays = {"spectra": self.spectra, "null": self.null, "ones": self.ones}
        for name, accumulator in self._accumulators().items():
            arrays |= {f"{name}.{key}": array for key, array in accumulator.arrays().items()}
        for index, text in self._open.items():
            arrays |= {f"open.{index}.{key}": np.asarray(value) for key, value in vars(text).items()}
        return arrays

    def rest(self) -> dict[str, Any]:
        """What is no array: counts, skipped texts, the indices of the open ones."""
        return {
            "counts": asdict(self.counts),
            "skipped": [asdict(text) for text in self.skipped],
            "open": list(self._open),
            "pooled": None if self.pooled is None else self.pooled.progress(),
        }

    def restore(self, arrays: Mapping[str, Array], rest: Mapping[str, Any]) -> None:
        """Go on from what :meth:`arrays` and :meth:`rest` gave."""
        self.spectra, self.null, self.ones = arrays["spectra"], arrays["null"], arrays["ones"]
        for name, accumulator in self._accumulators().items():
            accumulator.restore({key: arrays[f"{name}.{key}"] for key in accumulator.arrays()})
        self.counts = _Counts(**rest["counts"])
        self.skipped = [SkippedText(**text) for text in rest["skipped"]]
        fields = _OpenText.__dataclass_fields__
        for index in rest["open"]:
            values: dict[str, Any] = {key: arrays[f"open.{index}.{key}"] for key in fields}
            self._open[index] = _OpenText(**{key: v if v.ndim else v.item() for key, v in values.items()})

    def _accumulators(self) -> dict[str, StreamingMeans | StreamingRatio]:
        return {
            "means": self.means,
            "losses": self.losses,
            "redundancy": self.redundancy,
            "pooled_loss": self.pooled_loss,
            "pooled_bits": self.pooled_bits,
            "pooled_entropy": self.pooled_entropy,
        }

    def _new_text(self, window: Window) -> _OpenText:
        shape = (len(self.spectra), len(self.measures))
        return _OpenText(
            window.parts, np.zeros(shape), np.zeros(shape), np.zeros_like(self.spectra), np.zeros(2)
        )

    def _close(self, window: Window, text: _OpenText) -> TextRecord | None:
        index = window.text
        self.counts.truncated += window.truncated
        self.counts.windowed += window.parts > 1
        if not text.rows or text.fault:
            self.skipped.append(SkippedText(index, text.fault or "shorter than two tokens"))
            return None
        self.counts.scored += 1
        with np.errstate(invalid="ignore"):
            values = text.values / text.defined
        self.means.update(index, values.ravel(), text.rows)
        self.spectra = self.spectra + text.spectra / text.rows
        self.null = self.null + text.null / text.rows
        if self.pooled is not None:
            self.pooled.add(np.asarray(text.pooled))
        if self._coded:
            self.counts.coded += text.rows
            self.redundancy.update(index, np.asarray(text.redundancy) / text.rows, text.rows)
            self.ones = self.ones + text.ones
        bits = text.loss / math.log(2)
        if self.scores:
            losses = np.array([text.loss, text.loss - text.entropy]) / text.predicted
            self.losses.update(index, losses, text.predicted)
            self.pooled_loss.update(index, text.loss, text.predicted)
            self.pooled_bits.update(index, bits, window.bytes)
            self.pooled_entropy.update(index, text.entropy, text.predicted)
        return self._record(window, text, values)

    def _record(self, window: Window, text: _OpenText, values: Array) -> TextRecord:
        figures: dict[str, float | None] = {}
        for column, name in enumerate(self.measures):
            value = float(values[-1, column]) if self._ends_last else math.nan
            figures[name] = value if math.isfinite(value) else None
        if self._coded:
            redundancy = float(np.asarray(text.redundancy)[-1] / text.rows)
            figures["code_redundancy"] = redundancy if math.isfinite(redundancy) else None
        if self.scores:
            loss = text.loss / text.predicted
            all_scores = {
                "loss": loss,
                "perplexity": math.exp(loss) if loss < 700 else None,
                "bits_per_byte": text.loss / math.log(2) / window.bytes if window.bytes else None,
                "conditional_entropy": text.entropy / text.predicted,
                "provenance_statistic": (text.loss - text.entropy) / text.predicted,
            }
            figures |= {name: all_scores[name] for name in self.scores}
        return TextRecord(
            index=window.text,
            sha256=text_digest(window.source),
            excerpt=window.source[:EXCERPT_LENGTH],
            tokens=text.rows,
            predicted=text.predicted,
            bytes=window.bytes,
            values=figures,
        )


@lru_cache(maxsize=4096)
def _null(n_tokens: int, n_features: int) -> NDArray[np.float64]:
    null = isotropic_null(n_tokens, n_features)
    return np.array([null.matrix_nuclear_norm, null.matrix_entropy])
