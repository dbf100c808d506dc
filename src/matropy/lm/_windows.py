"""Texts as token windows, and windows as batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matropy._core._validation import check_integer

__all__ = ["Window", "batched_windows", "token_windows"]

_SORTED_TOGETHER = 1024


@dataclass(frozen=True)
class Window:
    """Tokens of one text that go through the model together.

    Attributes
    ----------
    text : int
        Index of the text in the corpus, from 0.
    part, parts : int
        Which of how many windows of the text this is, from 0.
    ids : array of int64, shape (N,)
        Token ids.
    bytes : int
        Length in UTF-8 of what the tokens of the *whole* text cover (after truncation).
    truncated : bool
        Whether the text was longer than the maximum length.
    source : str
        The whole text.
    """

    text: int
    part: int
    parts: int
    ids: NDArray[np.int64]
    bytes: int
    truncated: bool
    source: str = field(default="", repr=False)


def token_windows(
    corpus: Iterable[str], tokenizer: Any, max_length: int, *, context: int | None = None
) -> Iterator[Window]:
    """Cut texts into token windows.

    Special tokens are added as the tokenizer does, then a text is truncated to ``max_length`` tokens. One that is
    still longer than ``context`` is cut into as few windows of equal length (to a token) as fit.

    Parameters
    ----------
    corpus : iterable of str
        Texts.
    tokenizer : transformers tokenizer
        Fast ones give the bytes that the tokens cover, with all bytes of a character that the last one cuts.
    max_length : int
        Tokens of a text that are used, at least 2.
    context : int, optional
        Longest window that the model takes.

    Yields
    ------
    Window
        In the order of the texts; a text without tokens gives one empty window.

    Raises
    ------
    ValueError
        If ``max_length`` or ``context`` is below 2.
    """
    max_length = check_integer(max_length, "max_length", low=2)
    context = max_length if context is None else check_integer(context, "context", low=2)
    for index, text in enumerate(corpus):
        ids, size, truncated = _encode(text, tokenizer, max_length)
        parts = max(1, -(-len(ids) // context))
        for part, piece in enumerate(np.array_split(ids, parts)):
            yield Window(index, part, parts, piece, size, truncated, text)


def batched_windows(windows: Iterable[Window], batch_tokens: int) -> Iterator[list[Window]]:
    """Group windows of like length so that a padded batch holds at most ``batch_tokens`` tokens (or one window).

    Sorts within a thousand windows at a time: memory stays flat however long the stream is, and the batches depend
    on nothing but the stream.
    """
    stream = iter(windows)
    while chunk := list(islice(stream, _SORTED_TOGETHER)):
        batch: list[Window] = []
        for window in sorted(chunk, key=lambda window: (-len(window.ids), window.text, window.part)):
            if batch and (len(batch) + 1) * len(batch[0].ids) > batch_tokens:
                yield batch
                batch = []
            batch.append(window)
        yield batch


def _encode(text: str, tokenizer: Any, max_length: int) -> tuple[NDArray[np.int64], int, bool]:
    if not tokenizer.is_fast:
        ids = tokenizer(text, verbose=False)["input_ids"]
        kept = tokenizer(text, truncation=True, max_length=max_length)["input_ids"]
        covered = tokenizer.decode(kept, skip_special_tokens=True) if len(kept) < len(ids) else text
        return np.asarray(kept, np.int64), len(covered.encode()), len(kept) < len(ids)
    encoding = tokenizer(text, truncation=True, max_length=max_length).encodings[0]
    truncated = bool(encoding.overflowing)
    end = max((stop for _, stop in encoding.offsets), default=0) if truncated else len(text)
    return np.asarray(encoding.ids, np.int64), len(text[:end].encode()), truncated
