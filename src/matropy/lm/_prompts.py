"""Prompts to be answered, and prompts that are put before the texts of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from os import PathLike
from pathlib import Path
from string import Formatter
from typing import Any

import msgspec

from matropy._core._errors import InputError
from matropy._core._validation import check_integer
from matropy.lm._corpus import Corpus, _text, load_corpus

__all__ = ["load_prompts", "prompt_ablation"]


def load_prompts(path: str | PathLike[str], *, field: str = "prompt", limit: int | None = None) -> Corpus:
    """Open a file of prompts and read it once, to count them and to find faults before any work.

    Parameters
    ----------
    path : path
        A ``.jsonl`` file, one prompt a line.
    field : str
        Field of a line that holds the prompt.
    limit : int, optional
        Take the first ``limit`` prompts only.

    Returns
    -------
    Corpus

    Raises
    ------
    InputError
        Where :func:`load_corpus` does, for a file of another kind, and for a blank prompt; the message names file
        and line.
    """
    file = Path(path)
    if file.suffix != ".jsonl" or file.is_dir():
        raise InputError(f"prompts are a .jsonl file, one a line in the field {field!r}; got {file}")
    prompts = load_corpus(file, field=field, limit=limit)
    for index, prompt in enumerate(prompts):
        if not prompt.strip():
            number, _ = next(islice(_lines(file), index, None))
            raise InputError(f"{file}, line {number}: field {field!r} is blank")
    return prompts


def prompt_ablation(
    path: str | PathLike[str],
    prompts: Sequence[str],
    *,
    template: str = "goal: {goal} solution1: {sol1} solution2: {sol2} label: {label}",
    limit: int | None = None,
) -> dict[str, Corpus]:
    r"""Put each of several prompts before the items of a data set, to see what a model's figures owe to the wording.

    Parameters
    ----------
    path : path
        A ``.jsonl`` file, one item a line.
    prompts : sequence of str
        What is put before, with a line break between; ``""`` leaves the items alone.
    template : str
        Text of an item, with its fields in braces; the default is that of the paper for PIQA.
    limit : int, optional
        Take the first ``limit`` items only.

    Returns
    -------
    dict of Corpus
        One a prompt, with the same items in the same order.

    Raises
    ------
    InputError
        For a file that is missing or empty, a line that is no JSON object or lacks a field of the template; the
        message names file and line.
    ValueError
        For no prompt, a prompt that is there twice, or a template without a field.

    References
    ----------
    Li, Xia, Chang and Wu (2025), Large Language Model Evaluation via Matrix Nuclear-Norm: the comparison of prompts
    on PIQA.

    Examples
    --------
    >>> import tempfile
    >>> from matropy.lm import prompt_ablation
    >>> file = tempfile.NamedTemporaryFile("w", suffix=".jsonl")
    >>> print('{"goal": "Boil an egg.", "sol1": "Use water.", "sol2": "Use sand.", "label": 0}', file=file, flush=True)
    >>> for corpus in prompt_ablation(file.name, ["", "Think step by step."]).values():
    ...     print(list(corpus))
    ['goal: Boil an egg. solution1: Use water. solution2: Use sand. label: 0']
    ['Think step by step.\ngoal: Boil an egg. solution1: Use water. solution2: Use sand. label: 0']
    """
    if isinstance(prompts, str) or not prompts or len(set(prompts)) < len(prompts):
        raise ValueError(f"prompts must be a sequence of different strings, at least one; got {prompts!r}")
    if not any(name for _, name, _, _ in Formatter().parse(template)):
        raise ValueError(
            f"template must name a field in braces, as in 'question: {{goal}}'; got {template!r}"
        )
    if limit is not None:
        limit = check_integer(limit, "limit", low=1)
    file = Path(path)

    def read(prompt: str) -> Iterator[str]:
        for text in islice(_items(file, template), limit):
            yield f"{prompt}\n{text}" if prompt else text

    return {
        prompt: Corpus(f"{file.name} after {prompt!r}" if prompt else file.name, partial(read, prompt))
        for prompt in (_text(prompt, f"prompt {index}") for index, prompt in enumerate(prompts))
    }


def _items(file: Path, template: str) -> Iterator[str]:
    for number, line in _lines(file):
        try:
            item = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{file}, line {number}: not a JSON object ({error})") from error
        try:
            yield template.format_map(item)
        except KeyError as error:
            has = ", ".join(map(repr, item)) or "none"
            raise InputError(f"{file}, line {number}: no field {error.args[0]!r}; it has {has}") from error


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers from 1."""
    empty = True
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    empty = False
                    yield number, line
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    if empty:
        raise InputError(f"{file} is empty")
