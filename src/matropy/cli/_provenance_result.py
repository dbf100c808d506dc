"""What ``matropy provenance`` found: the file format, typed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from matropy._core._files import to_json, write_atomic

if TYPE_CHECKING:
    import rich.table

__all__ = [
    "AccusationOfText",
    "AttributionOfText",
    "ModelOfText",
    "Provenance",
    "SkippedText",
    "TextProvenance",
]


@dataclass(frozen=True)
class ModelOfText:
    """A model that may have made the texts; ``sha256`` is of its weight file."""

    name: str
    path_or_id: str
    architecture: str
    parameters: int
    vocabulary: int
    quantization: str | None
    sha256: str | None
    dtype: str
    device: str
    has_chat_template: bool


@dataclass(frozen=True)
class AttributionOfText:
    """Which of two models; by name, over the same ``bytes`` of the text. None stands for an infinite value."""

    bytes: int
    log_likelihood: dict[str, float | None]
    log_e: dict[str, float | None]
    best: str | None
    rejected: list[str]
    verdict: str


@dataclass(frozen=True)
class AccusationOfText:
    """The text among ``references`` texts by people, cut to its length; None where none is that long."""

    p_value: float | None
    references: int
    verdict: str


@dataclass(frozen=True)
class TextProvenance:
    """One text. Indices of tokens count scored tokens from 0; None stands for an infinite value, or for none.

    ``impossible_token`` is the first that the declared law does not allow, ``prompt`` the prompt after which the text is
    least rejected, ``record`` the file of its tokens.
    """

    name: str
    excerpt: str
    sha256: str
    bytes: int
    tokens: int
    scored: int
    truncated: bool
    prompt: int | None
    reject: bool
    p_values: dict[str, float]
    e_value: float | None
    D: float | None
    z: float | None
    log_perplexity: float | None
    entropy: float
    growth: float | None
    expected_tokens: float | None
    first_rejection: int | None
    impossible_token: int | None
    verdict: str
    log_e_path: list[float | None]
    record: str
    attribution: AttributionOfText | None
    accusation: AccusationOfText | None


@dataclass(frozen=True)
class SkippedText:
    """A text that could not be scored."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """All that ``provenance.json`` holds; the first model is the null."""

    format: Literal["matropy.provenance"] = "matropy.provenance"
    version: Literal[1] = 1
    created: str
    matropy: str
    environment: dict[str, str]
    models: list[ModelOfText]
    settings: dict[str, Any]
    null: str
    texts: list[TextProvenance]
    skipped: list[SkippedText]

    def table(self) -> rich.table.Table:
        """One row a text, for the terminal."""
        from matropy.cli._provenance_report import terminal_table

        return terminal_table(self).to_rich()

    def save(self, folder: Path) -> None:
        """Write ``provenance.json`` and ``report.html``, each whole or not at all."""
        from matropy.cli._provenance_report import report

        html = report(self).to_html()
        write_atomic(folder / "report.html", html)
        write_atomic(folder / "provenance.json", to_json(self))
