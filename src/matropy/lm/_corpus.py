"""Texts: files, folders, JSON lines, Hugging Face datasets, strings, or the manual that every Python carries."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import msgspec

from matropy._core._errors import InputError, require
from matropy._core._validation import check_integer

__all__ = ["Corpus", "load_corpus"]


class Corpus:
    """Texts that can be read again and again, one at a time, with what identifies them.

    Made by :func:`load_corpus`, which reads them once from end to end, so a fault in the last line is known before
    any work starts; the texts themselves are not kept.

    Parameters
    ----------
    name : str
        What reports call it.
    read : callable
        Gives a fresh iterator over the texts.
    made : dict, optional
        How the texts were made, where a program made them.

    Attributes
    ----------
    name : str
    texts : int
        How many texts.
    bytes : int
        Their length in UTF-8.
    sha256 : str
        Over the lengths and bytes of all texts in order.
    """

    def __init__(
        self, name: str, read: Callable[[], Iterator[str]], *, made: dict[str, Any] | None = None
    ) -> None:
        self.name = name
        self.made = made
        self._read = read
        self.texts = self.bytes = 0
        digest = hashlib.sha256()
        for text in read():
            data = text.encode()
            digest.update(len(data).to_bytes(8, "little") + data)
            self.texts += 1
            self.bytes += len(data)
        if self.texts == 0:
            raise InputError(f"{name} holds no text")
        self.sha256 = digest.hexdigest()

    def __iter__(self) -> Iterator[str]:
        return self._read()

    def __len__(self) -> int:
        return self.texts

    def __repr__(self) -> str:
        return f"Corpus({self.name!r}, texts={self.texts}, bytes={self.bytes})"


def load_corpus(
    source: str | PathLike[str] | Iterable[str | PathLike[str]] | None = None,
    *,
    dataset: str | None = None,
    subset: str | None = None,
    split: str = "test",
    field: str = "text",
    limit: int | None = None,
) -> Corpus:
    """Open texts and read them once, to count them and to find faults before any work.

    Parameters
    ----------
    source : path, sequence of paths, sequence of str, or None
        A ``.jsonl`` file is one text a line in the field ``field``; any other file is one text; a folder is its
        files in name order. In a sequence, ``Path`` objects are files and plain strings are texts. ``None`` (and no
        ``dataset``) is the Python manual, ``pydoc_data.topics``, one text a topic.
    dataset, subset, split : str
        A data set for :func:`datasets.load_dataset` (a name or a folder), its configuration and its split.
    field : str
        Field of a JSON line, or column of a data set.
    limit : int, optional
        Take the first ``limit`` texts only.

    Returns
    -------
    Corpus

    Raises
    ------
    InputError
        For a file that is missing, empty, not UTF-8 or cut off, a line that is no JSON object or lacks the field,
        a folder without files, or no text at all; the message names file and line.
    MissingExtraError
        For ``dataset`` where the ``datasets`` library is not installed.

    Examples
    --------
    >>> from matropy.lm import load_corpus
    >>> corpus = load_corpus(["Matrices.", "Entropy!"])
    >>> corpus.texts, corpus.bytes, list(corpus)
    (2, 17, ['Matrices.', 'Entropy!'])
    """
    if limit is not None:
        limit = check_integer(limit, "limit", low=1)
    if dataset is not None:
        if source is not None:
            raise ValueError("give source or dataset, not both")
        name, read = _dataset(dataset, subset, split, field)
    elif source is None:
        name, read = "Python manual", _manual
    elif isinstance(source, str | PathLike):
        name, read = _files([Path(source)], field)
    else:
        items = list(source)
        if items and all(isinstance(item, PathLike) for item in items):
            name, read = _files([Path(item) for item in items], field)
        elif all(isinstance(item, str) for item in items):
            name, read = f"{len(items)} given texts", lambda: _given(items)
        else:
            raise TypeError(
                "a sequence of texts must hold strings only, a sequence of files Path objects only"
            )
    return Corpus(name, lambda: islice(read(), limit))


def _manual() -> Iterator[str]:
    from pydoc_data import topics

    return iter([text for _, text in sorted(topics.topics.items())])


def _given(texts: Sequence[Any]) -> Iterator[str]:
    for index, text in enumerate(texts):
        yield _text(text, f"text {index}")


def _files(paths: Sequence[Path], field: str) -> tuple[str, Callable[[], Iterator[str]]]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(
                file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")
            )
            if not inside:
                raise InputError(f"the folder {path} holds no files")
            files += inside
        elif path.exists():
            files.append(path)
        else:
            raise InputError(f"there is no file {path}")

    def read() -> Iterator[str]:
        for file in files:
            yield from _json_lines(file, field) if file.suffix == ".jsonl" else [_whole_file(file)]

    return ", ".join(path.resolve().name for path in paths), read


def _whole_file(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    if not data:
        raise InputError(f"{file} is empty")
    return _decode(data, file, "")


def _json_lines(file: Path, field: str) -> Iterator[str]:
    decoder = msgspec.json.Decoder()
    empty = True
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                empty = False
                yield _field_of_line(line, decoder, file, number, field)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    if empty:
        raise InputError(f"{file} is empty")


def _field_of_line(
    line: bytes, decoder: msgspec.json.Decoder[Any], file: Path, number: int, field: str
) -> str:
    _decode(line, file, f" in line {number}")
    try:
        row = decoder.decode(line)
    except msgspec.DecodeError as error:
        cut = "; is the file cut off?" if not line.endswith(b"\n") else ""
        raise InputError(f"{file}, line {number}: not valid JSON ({error}){cut}") from error
    if not isinstance(row, dict):
        raise InputError(f"{file}, line {number}: expected a JSON object, got {type(row).__name__}")
    if field not in row:
        raise InputError(
            f"{file}, line {number}: no field {field!r}; it has {', '.join(map(repr, row)) or 'none'}"
        )
    return _text(row[field], f"{file}, line {number}: field {field!r}")


def _dataset(
    name: str, subset: str | None, split: str, field: str
) -> tuple[str, Callable[[], Iterator[str]]]:
    datasets = require("datasets", purpose="reading a data set")
    try:
        rows = datasets.load_dataset(name, subset, split=split)
    except Exception as error:  # the library raises many kinds, all of them about what was asked for
        raise InputError(
            f"cannot load the data set {name!r} (split {split!r}): {_first_line(error)}"
        ) from error
    if field not in rows.column_names:
        raise InputError(
            f"the data set {name!r} has no column {field!r}; it has {', '.join(rows.column_names)}"
        )

    def read() -> Iterator[str]:
        for number, row in enumerate(rows):
            yield _text(row[field], f"{name}, row {number}: column {field!r}")

    return name if subset is None else f"{name} ({subset})", read


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{where} must be a string, got {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{where} holds a lone surrogate at character {error.start}") from error
    return value


def _decode(data: bytes, file: Path, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8: byte {error.start}{where} ({error.reason})") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
