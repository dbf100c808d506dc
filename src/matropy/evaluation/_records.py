"""What was found for each text, one JSON line a text, so that memory does not grow with the corpus."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from matropy._core._errors import InputError

__all__ = ["RECORDS_FILE", "TextRecord", "TextRecords", "text_digest"]

RECORDS_FILE = "texts.jsonl"
EXCERPT_LENGTH = 240


@dataclass(frozen=True)
class TextRecord:
    """Figures of one text.

    Attributes
    ----------
    index : int
        In the corpus, from 0.
    sha256 : str
        First 16 hexadecimal digits over the whole text: the same text has the same in any corpus.
    excerpt : str
        How the text begins.
    tokens : int
        Rows that were measured.
    predicted : int
        Tokens that were scored.
    bytes : int
        UTF-8 length of the scored text.
    values : dict of str to float or None
        Each summary metric of this text alone: measures at the last hidden state, the mean loss and entropy over its
        predictions, its perplexity and bits per byte. None where not defined.
    """

    index: int
    sha256: str
    excerpt: str
    tokens: int
    predicted: int
    bytes: int
    values: dict[str, float | None]


@dataclass(frozen=True)
class TextRecords:
    """Records in a file, in the order in which the texts were finished.

    Attributes
    ----------
    path : Path
        One JSON object a line.
    keep : object
        Holds on to a temporary file as long as the records are wanted.
    """

    path: Path
    keep: IO[bytes] | None = None

    def __iter__(self) -> Iterator[TextRecord]:
        decoder = msgspec.json.Decoder(TextRecord)
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise InputError(f"{self.path}, line {number} is damaged: {error}") from error

    def copy_to(self, folder: Path) -> None:
        """Copy the file into ``folder``, whole or not at all."""
        target = folder / RECORDS_FILE
        if target.exists() and target.samefile(self.path):
            return
        unfinished = folder / f".{RECORDS_FILE}.tmp"
        shutil.copyfile(self.path, unfinished)
        unfinished.replace(target)


def text_digest(text: str) -> str:
    """What identifies a text in any corpus."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
