"""One evaluation as it runs: batches dealt out to processes, results added up by the first of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import msgspec

from matropy._core._errors import InputError
from matropy._core._progress import Progress
from matropy._core._ranks import Ranks
from matropy._version import __version__
from matropy.evaluation._batch import MeasuredWindow, measure_batch, measured_rows
from matropy.evaluation._gates import Gates
from matropy.evaluation._measuring import Meter
from matropy.evaluation._pooled import PooledTexts
from matropy.evaluation._records import RECORDS_FILE, TextRecords
from matropy.evaluation._resume import ResumeState
from matropy.evaluation._sums import Sums
from matropy.lm import Corpus, LanguageModel, Window, token_windows
from matropy.lm._prediction_head import checked_prediction_head
from matropy.lm._windows import batched_windows

__all__ = ["Options", "Run", "default_batch_tokens"]

Batch = list[Window]


@dataclass(frozen=True)
class Options:
    """Every choice that changes a figure.

    Attributes
    ----------
    layers : list of int
        Hidden states that are measured, rising.
    measures, scores : list of str
        Metrics of the hidden states and of the predictions.
    last_layer_only : list of str
        Those of the measures that are taken of the model's last hidden state alone.
    vendi_score, code_redundancy : bool
        Whether the diversity of all texts, and the codes of gated units, are wanted.
    max_length, batch_tokens, seed, drop_bos
        As for :func:`matropy.evaluate`.
    """

    layers: list[int]
    measures: list[str]
    scores: list[str]
    last_layer_only: list[str]
    vendi_score: bool
    code_redundancy: bool
    max_length: int
    batch_tokens: int
    seed: int
    drop_bos: bool

    def measures_at(self, layer: int, last: int) -> list[str]:
        """The measures that are wanted of a hidden state; ``last`` is the index of the model's last."""
        return [name for name in self.measures if layer == last or name not in self.last_layer_only]


class Run:
    """The work of an evaluation; :meth:`all_batches` does it.

    Parameters
    ----------
    model, corpus, options
        What runs over what, and how.
    ranks : Ranks
        The processes that share the work.
    folder : Path or None
        Where the state and the records of an unfinished run are kept; None keeps no state.
    resume : bool
        Go on from that state, if it is there.
    """

    def __init__(
        self,
        model: LanguageModel,
        corpus: Corpus,
        options: Options,
        *,
        ranks: Ranks,
        folder: Path | None = None,
        resume: bool = False,
    ) -> None:
        self.model, self.corpus, self.options = model, corpus, options
        of_states = options.measures or options.vendi_score or options.code_redundancy
        self.layers = options.layers if of_states else []
        self.gates = Gates.of(model) if options.code_redundancy else None
        self._folder = folder if ranks.rank == 0 else None
        self.sums = Sums(
            len(self.layers),
            options.measures,
            options.scores,
            ends_last=self.layers[-1:] == [model.layers],
            width=model.width,
            seed=options.seed,
            gates=self.gates.bits if self.gates is not None else (),
        )
        self.forward_seconds = 0.0
        self.metrics_seconds: float | None = 0.0 if model.device.type == "cpu" else None
        self._ranks = ranks
        self._done = 0
        self._texts_read = self._tokens_read = 0
        self._state = (
            ResumeState(folder, self._identity()) if folder is not None and ranks.rank == 0 else None
        )
        problem = None
        try:
            kept = self._state.load() if self._state is not None and resume else None
            keep_bytes = self._restore(*kept) if kept else 0
            self._records = _open_records(self._folder, keep_bytes)
            if options.vendi_score and ranks.rank == 0:
                pooled = kept[1]["pooled"] if kept else None
                self.sums.pooled = PooledTexts(len(self.layers), model.width, self._folder, pooled)
        except (ValueError, OSError) as error:
            problem = error
        self._ranks.go_on_together(problem)
        self._done = ranks.broadcast(self._done)

    @property
    def records(self) -> TextRecords:
        """What was found for each text."""
        self._records.flush()
        return TextRecords(Path(self._records.name), keep=self._records)

    def all_batches(self, progress: Progress) -> None:
        """Run every text through the model.

        Raises
        ------
        InputError
            If a hidden state is not finite, or no text could be scored.
        """
        head = checked_prediction_head(self.model) if self.options.scores else None
        context = self.model.context
        windows = token_windows(self.corpus, self.model.tokenizer, self.options.max_length, context=context)
        batches = batched_windows(self._counted(windows), self.options.batch_tokens)
        at_layer = {layer: self.options.measures_at(layer, self.model.layers) for layer in self.layers}
        with Meter(self.model.device, self.options.measures, at_layer) as meter:
            # What an interrupted run has done is read again, which costs little, and not run again.
            for batch in islice(batches, self._done):
                self._advance(progress, batch)
            while round_of_batches := list(islice(batches, self._ranks.size)):
                self._round(round_of_batches, meter, head)
                for batch in round_of_batches:
                    self._advance(progress, batch)
        self.sums.skipped.sort(key=lambda text: text.index)
        problem = None
        if self._ranks.rank == 0 and not self.sums.counts.scored:
            reason = self.sums.skipped[0].reason
            problem = InputError(f"no text of {self.corpus.name} can be scored: {reason}")
        self._ranks.go_on_together(problem)

    def forget(self) -> None:
        """Remove what only an unfinished run needs."""
        if self.sums.pooled is not None:
            self.sums.pooled.forget()
        if self._state is not None:
            self._state.forget()
            Path(self._records.name).unlink(missing_ok=True)

    def _round(self, round_of_batches: Sequence[Batch], meter: Meter, head: Any) -> None:
        """A batch for each process; the first adds up what all have found, in the order of the batches."""
        start = time.perf_counter()
        own: Any = None
        if self._ranks.rank < len(round_of_batches):
            try:
                own = self._measured(round_of_batches[self._ranks.rank], meter, head)
            except (ValueError, RuntimeError) as error:
                if self._ranks.size == 1:
                    raise
                own = error
        gathered = self._ranks.gather(own)
        problem = None
        if self._ranks.rank == 0:
            try:
                self._add(round_of_batches, gathered[: len(round_of_batches)])
            except (ValueError, OSError, RuntimeError) as error:
                problem = error
        self._ranks.go_on_together(problem)
        self.forward_seconds += time.perf_counter() - start

    def _measured(self, batch: Batch, meter: Meter, head: Any) -> list[tuple[int, MeasuredWindow | None]]:
        """How many rows of each window were measured, and what was found in them."""
        spans = [measured_rows(window, self.model, self.options.drop_bos) for window in batch]
        usable = [row for row, (start, stop) in enumerate(spans) if stop > start]
        result: list[tuple[int, MeasuredWindow | None]] = [(0, None)] * len(batch)
        if usable:
            before = meter.seconds
            found = measure_batch(
                self.model,
                [batch[row] for row in usable],
                [spans[row] for row in usable],
                layers=self.layers,
                meter=meter,
                head=head,
                pool=self.options.vendi_score,
                gates=self.gates,
            )
            for row, window in zip(usable, found, strict=True):
                result[row] = (spans[row][1] - spans[row][0], window)
            if self.metrics_seconds is not None:
                self.metrics_seconds += meter.seconds - before
                self.forward_seconds -= meter.seconds - before
        return result

    def _add(self, batches: Sequence[Batch], results: Sequence[Any]) -> None:
        for result in results:
            if isinstance(result, Exception):
                raise result
        for batch, result in zip(batches, results, strict=True):
            for window, (rows, found) in zip(batch, result, strict=True):
                record = self.sums.add(window, rows, found)
                if record is not None:
                    self._records.write(msgspec.json.encode(record) + b"\n")
        self._done += len(batches)
        self._keep_state()

    def _keep_state(self) -> None:
        """What is done, where an interrupted run will find it."""
        if self._state is None:
            return
        self._records.flush()
        progress = {
            "batches": self._done,
            "record_bytes": self._records.tell(),
            "forward_seconds": self.forward_seconds,
            "metrics_seconds": self.metrics_seconds,
            **self.sums.rest(),
        }
        self._state.save(self.sums.arrays(), progress)

    def _restore(self, arrays: dict[str, Any], progress: dict[str, Any]) -> int:
        """Go on from an earlier state; the length that the file of records had."""
        self.sums.restore(arrays, progress)
        self._done = progress["batches"]
        self.forward_seconds, self.metrics_seconds = progress["forward_seconds"], progress["metrics_seconds"]
        return int(progress["record_bytes"])

    def _counted(self, windows: Iterable[Window]) -> Iterator[Window]:
        for window in windows:
            self._tokens_read += len(window.ids)
            self._texts_read += window.part == 0
            yield window

    def _advance(self, progress: Progress, batch: Batch) -> None:
        """Tell the batch's part of all tokens, in texts: long texts come first, so counting them would mislead."""
        tokens = sum(len(window.ids) for window in batch)
        progress.advance(tokens * self._texts_read / max(1, self._tokens_read))

    def _identity(self) -> dict[str, Any]:
        model, corpus = self.model, self.corpus
        return {
            "matropy": __version__,
            "model": model.name,
            "model sha256": model.sha256,
            "parameters": model.parameters,
            "dtype": model.dtype,
            "device": model.device.type,
            "corpus": corpus.name,
            "corpus sha256": corpus.sha256,
            **vars(self.options),
        }


def _open_records(folder: Path | None, keep_bytes: int) -> IO[bytes]:
    """The file of records: temporary, or beside the state; an earlier run's finished file is left alone."""
    if folder is None:
        return tempfile.NamedTemporaryFile(prefix="matropy-", suffix=".jsonl")
    file = (folder / f"unfinished-{RECORDS_FILE}").open("r+b" if keep_bytes else "w+b")
    # A batch that was written after the last state is written again.
    file.truncate(keep_bytes)
    file.seek(keep_bytes)
    return file


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
