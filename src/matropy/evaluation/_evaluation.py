"""What an evaluation found: the file format, typed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from matropy._core._errors import InputError
from matropy._core._files import output_folder, to_json, write_atomic
from matropy.evaluation._records import RECORDS_FILE, TextRecords

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "CorpusInfo",
    "Environment",
    "Evaluation",
    "Layer",
    "LayerCodes",
    "LayerMetric",
    "ModelInfo",
    "SkippedText",
    "SummaryMetric",
    "Texts",
    "Timing",
    "load_evaluation",
]

Interval = tuple[float, float]


@dataclass(frozen=True)
class Environment:
    """Where it was computed."""

    python: str
    torch: str
    transformers: str
    platform: str
    device: str
    dtype: str
    threads: int


@dataclass(frozen=True)
class ModelInfo:
    """Which model; ``sha256`` is of the weight file, ``width`` the features of a hidden state."""

    name: str
    path_or_id: str
    architecture: str
    parameters: int
    layers: int
    width: int
    vocabulary: int
    quantization: str | None
    sha256: str | None


@dataclass(frozen=True)
class CorpusInfo:
    """Which texts; ``truncated`` counts those longer than ``max_length`` tokens."""

    name: str
    texts: int
    bytes: int
    sha256: str
    max_length: int
    truncated: int


@dataclass(frozen=True)
class SkippedText:
    """A text that could not be scored; ``index`` counts in the corpus, from 0."""

    index: int
    reason: str


@dataclass(frozen=True)
class Texts:
    """How many texts were scored, and which were not."""

    scored: int
    skipped: list[SkippedText] = field(default_factory=list)


@dataclass(frozen=True)
class LayerMetric:
    """Mean over texts of one metric at one layer, with its uncertainty; None where it is not defined."""

    mean: float | None
    standard_error: float | None
    ci95: Interval | None


@dataclass(frozen=True)
class LayerCodes:
    """The sign codes of a block's gated units.

    Attributes
    ----------
    bits : int
        Units.
    redundancy : float
        Share of a text's tokens that are surplus to its different codes; mean over texts.
    dead, always_on : float
        Share of the units that no token, and that every token of all texts switches on.
    bit_entropy : float
        Mean over units of the entropy of being on or off over all tokens, nats.
    """

    bits: int
    redundancy: float
    dead: float
    always_on: float
    bit_entropy: float


@dataclass(frozen=True)
class SummaryMetric:
    """One metric of the whole model, or of its last hidden state; None where it is not defined."""

    mean: float | None
    token_weighted_mean: float | None
    standard_error: float | None
    ci95: Interval | None
    unit: str


@dataclass(frozen=True)
class Layer:
    """One hidden state: index 0 is the embedding, the last is after the final norm.

    ``spectrum`` holds the largest mean eigenvalues of the normalized covariance, falling (their sum over all is 1).
    ``codes`` are those of the gated units of the block that made this state; None for the embedding, for a block
    without gates, and where they were not asked for.
    """

    index: int
    name: str
    metrics: dict[str, LayerMetric]
    spectrum: list[float]
    codes: LayerCodes | None = None


@dataclass(frozen=True)
class Timing:
    """Seconds, tokens per second and bytes; ``metrics_s`` is None where a device runs ahead of the clock."""

    load_s: float | None
    forward_s: float
    metrics_s: float | None
    tokens_per_s: float
    peak_memory_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of :func:`evaluate`, and exactly what ``evaluation.json`` holds.

    Attributes
    ----------
    created : str
        UTC, ISO 8601.
    matropy : str
        Version that made it.
    environment, model, corpus, timing
        Where, what, on what, how fast.
    settings : dict
        Every option that changes a figure.
    texts : Texts
        Scored and skipped texts.
    summary : dict of SummaryMetric
        Of the whole model and of the last hidden state.
    layers : list of Layer
        In rising order of index.
    """

    format: Literal["matropy.evaluation"] = "matropy.evaluation"
    version: Literal[1] = 1
    created: str
    matropy: str
    environment: Environment
    model: ModelInfo
    corpus: CorpusInfo
    settings: dict[str, Any]
    texts: Texts
    summary: dict[str, SummaryMetric]
    layers: list[Layer]
    timing: Timing

    @property
    def records(self) -> TextRecords | None:
        """What was found for each text, where that is known: it lies beside ``evaluation.json``, not in it."""
        return self.__dict__.get("_records")

    def with_records(self, records: TextRecords | None) -> Evaluation:
        """The same evaluation that knows its records."""
        copy = replace(self)
        copy.__dict__["_records"] = records
        return copy

    def to_dict(self) -> dict[str, Any]:
        """The content of ``evaluation.json`` as dicts and lists."""
        plain: dict[str, Any] = msgspec.json.decode(to_json(self))
        return plain

    def table(self) -> Table:
        """The summary as a rich table, with a sketch of every metric's course over the layers."""
        from matropy.evaluation._report import terminal_table

        return terminal_table(self).to_rich()

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``evaluation.json``, ``report.html`` and ``texts.jsonl`` into ``folder``, each whole or not at all.

        Returns
        -------
        Path
            The folder.
        """
        from matropy.evaluation._report import report

        target = output_folder(folder)
        html = report(self).to_html()
        write_atomic(target / "report.html", html)
        write_atomic(target / "evaluation.json", to_json(self))
        if self.records is None:
            (target / RECORDS_FILE).unlink(missing_ok=True)
        else:
            self.records.copy_to(target)
        return target


def load_evaluation(path: str | os.PathLike[str]) -> Evaluation:
    """Read an evaluation that was saved.

    Parameters
    ----------
    path : path
        The JSON file, or the folder that holds ``evaluation.json``.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        If there is no such file, it is no JSON, of another format or version, or holds a value of the wrong type
        (the message says where).
    """
    file = Path(path)
    if file.is_dir():
        file = file / "evaluation.json"
    try:
        content = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    except msgspec.DecodeError as error:
        raise InputError(f"{file} is not valid JSON: {error}") from error
    named = content.get("format") if isinstance(content, dict) else None
    if named != "matropy.evaluation":
        raise InputError(f"{file} is not an evaluation: its format is {named!r}, not 'matropy.evaluation'")
    if content.get("version") != 1:
        raise InputError(
            f"{file} is an evaluation of version {content.get('version')!r}; this matropy reads version 1"
        )
    try:
        evaluation = msgspec.convert(content, Evaluation)
    except msgspec.ValidationError as error:
        raise InputError(f"{file} is damaged: {error}") from error
    records = file.with_name(RECORDS_FILE)
    return evaluation.with_records(TextRecords(records) if records.exists() else None)
