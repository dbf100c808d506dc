"""A model's answers to prompts, kept in a file as they come, and read again as texts."""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import jinja2
import msgspec
import numpy as np
from numpy.typing import NDArray

from matropy._core._errors import InputError
from matropy._core._files import output_folder, to_json, write_atomic
from matropy._core._progress import progress as show_progress
from matropy._core._progress import silent
from matropy._core._ranks import current_ranks
from matropy._core._validation import check_integer
from matropy.lm._corpus import Corpus, load_corpus
from matropy.lm._model import LanguageModel
from matropy.lm._prompts import load_prompts

if TYPE_CHECKING:
    import torch

__all__ = ["generate_responses"]


@dataclass(frozen=True)
class _Response:
    """A line of ``responses.jsonl``: ``tokens`` counts the answer's, ``finished`` says that the model ended it."""

    index: int
    prompt: str
    response: str
    tokens: int
    finished: bool


@dataclass(frozen=True, kw_only=True)
class ResponseSettings:
    """All that the answers depend on, ``responses.json``."""

    format: Literal["matropy.responses"] = "matropy.responses"
    version: Literal[1] = 1
    model: str
    sha256: str | None
    dtype: str
    chat_template: str | None
    prompts: int
    prompts_sha256: str
    max_new_tokens: int
    temperature: float
    seed: int


def generate_responses(
    model: LanguageModel,
    prompts: Corpus | str | os.PathLike[str] | Iterable[str],
    output: str | os.PathLike[str],
    *,
    max_new_tokens: int = 64,
    temperature: float = 0.7,
    seed: int = 0,
    chat_template: bool = True,
    batch_size: int = 8,
    resume: bool = False,
    progress: bool = False,
) -> Corpus:
    r"""Let a model answer prompts; the answers, without the prompts, are texts to evaluate.

    Each prompt is one user turn in the model's chat template. The next token is a sample of the model's distribution
    at ``temperature`` :math:`T`, of nothing narrower: whatever top-k, top-p or repetition penalty the model comes
    with is left out. It is drawn as :math:`\mathrm{argmax}_v\,(\mathrm{logit}_v+T g_v)` with Gumbel noise :math:`g` that is
    a function of seed, prompt, step and token alone. So an answer depends on the prompts beside it only through the
    rounding of the logits. An answer ends at any of the model's stop tokens, or after ``max_new_tokens``.

    In an initialized ``torch.distributed`` group every process calls it with the same arguments: batches are formed
    first and then dealt out, the first process writes, and all get the answers.

    Parameters
    ----------
    model : LanguageModel
    prompts : Corpus, path or sequence of str
        What :func:`load_prompts` gives or takes, or the prompts themselves.
    output : path
        Folder for ``responses.jsonl``, to which every batch is appended as it is done, one JSON line a prompt
        (``index``, ``prompt``, ``response``, ``tokens``, and ``finished``: whether the model ended the answer
        itself), and ``responses.json``, all that the answers depend on. Without ``resume``, older ones are replaced.
    max_new_tokens : int
        Longest answer; the paper allows 1000.
    temperature : float
        0 takes the likeliest token every time.
    seed : int
        Of the samples.
    chat_template : bool
        False continues the bare prompts, for a model that has learned no chat.
    batch_size : int
        Prompts answered together.
    resume : bool
        Go on where an earlier run into ``output`` was stopped. An unfinished batch is done again.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    Corpus
        The answers in the order of the prompts. One may be empty.

    Raises
    ------
    InputError
        Before any work: for a model without a chat template, a blank prompt, a prompt that leaves no room for
        ``max_new_tokens`` in the model's context, a ``temperature`` that is negative or not finite, or answers to
        resume that were made from other prompts, by another model or with other settings. Later: for logits that
        are NaN.
    ValueError
        For ``max_new_tokens`` or ``batch_size`` below 1, or a negative ``seed``.

    References
    ----------
    Li, Xia, Chang and Wu (2025), Large Language Model Evaluation via Matrix Nuclear-Norm: the evaluation of
    responses. Maddison, Tarlow and Minka (2014), A* Sampling: the Gumbel-max trick.
    """
    max_new_tokens = check_integer(max_new_tokens, "max_new_tokens", low=1)
    batch_size = check_integer(batch_size, "batch_size", low=1)
    seed = check_integer(seed, "seed", low=0, high=2**64 - 1)
    if not (math.isfinite(temperature) and temperature >= 0):
        raise InputError(f"temperature must be 0 or a positive number, got {temperature!r}")
    if isinstance(prompts, str | os.PathLike):
        prompts = load_prompts(prompts)
    elif not isinstance(prompts, Corpus):
        prompts = load_corpus(prompts)
    asked = list(prompts)
    ids = _prompt_ids(model, asked, max_new_tokens, chat_template)
    settings = ResponseSettings(
        model=model.name,
        sha256=model.sha256,
        dtype=model.dtype,
        chat_template=model.tokenizer.get_chat_template() if chat_template else None,
        prompts=prompts.texts,
        prompts_sha256=prompts.sha256,
        max_new_tokens=max_new_tokens,
        temperature=float(temperature),
        seed=seed,
    )
    ranks = current_ranks()
    file = Path(output) / "responses.jsonl"
    done = 0
    problem: Exception | None = None
    try:
        if ranks.rank == 0:
            done = _begin(output_folder(output), settings, asked, batch_size, resume)
    except (ValueError, OSError) as error:
        problem = error
    ranks.go_on_together(problem)
    done = ranks.broadcast(done)
    show = show_progress if progress and ranks.rank == 0 else silent
    with show("Answering", len(asked) - done, "prompts") as bar:
        for first in range(done, len(asked), batch_size * ranks.size):
            start = first + batch_size * ranks.rank
            batch = slice(start, start + batch_size)
            try:
                own: Any = _answer(model, start, asked[batch], ids[batch], settings) if asked[batch] else []
            except (ValueError, RuntimeError) as error:
                own = error
            gathered = ranks.gather(own)
            if ranks.rank == 0:
                problem = _append(file, gathered)
            ranks.go_on_together(problem)
            bar.advance(min(batch_size * ranks.size, len(asked) - first))
    answers = ranks.broadcast([*load_corpus(file, field="response")] if ranks.rank == 0 else None)
    made = {name: value for name, value in asdict(settings).items() if name not in ("format", "version")}
    return Corpus(f"answers to {prompts.name}", answers.__iter__, made=made)


def _begin(
    folder: Path, settings: ResponseSettings, asked: Sequence[str], batch_size: int, resume: bool
) -> int:
    """Prepare the files; the number of answers that an earlier run has left."""
    file = folder / "responses.jsonl"
    if resume and file.exists():
        _check_settings(folder / "responses.json", settings)
        return _drop_unfinished(file, asked, batch_size)
    file.unlink(missing_ok=True)
    write_atomic(folder / "responses.json", to_json(settings))
    file.touch()
    return 0


def _append(file: Path, batches: Sequence[list[_Response] | Exception]) -> Exception | None:
    """Write the answers of whole batches, up to the first that failed; what went wrong."""
    try:
        with file.open("ab") as stream:
            for batch in batches:
                if isinstance(batch, Exception):
                    return batch
                stream.write(b"".join(msgspec.json.encode(response) + b"\n" for response in batch))
    except OSError as error:
        return error
    return None


def _prompt_ids(
    model: LanguageModel, prompts: Sequence[str], max_new_tokens: int, chat_template: bool
) -> list[NDArray[np.int64]]:
    """Tokens of each prompt, with all that stands before the answer."""
    tokenizer = model.tokenizer
    if chat_template and not tokenizer.chat_template:
        raise InputError(
            f"{model.name} has no chat template, so prompts cannot be put to it as questions; name a model that"
            " follows instructions, or ask for plain continuation with chat_template=False (--no-chat-template)"
        )
    encoded = []
    for index, prompt in enumerate(prompts):
        if not prompt.strip():
            raise InputError(f"prompt {index} is blank")
        if chat_template:
            turns = [{"role": "user", "content": prompt}]
            try:
                ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
            except jinja2.TemplateError as error:
                raise InputError(f"the chat template of {model.name} fails: {error}") from error
        else:
            ids = tokenizer(prompt, verbose=False)["input_ids"]
        if model.context is not None and len(ids) + max_new_tokens > model.context:
            raise InputError(
                f"prompt {index} has {len(ids)} tokens, which with max_new_tokens={max_new_tokens} is more than"
                f" the {model.context} that {model.name} can hold"
            )
        encoded.append(np.asarray(ids, np.int64))
    return encoded


def _check_settings(file: Path, now: ResponseSettings) -> None:
    try:
        then = msgspec.json.decode(file.read_bytes(), type=ResponseSettings)
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(
            f"cannot resume: {file}, which says how the answers were made, is unreadable ({error})"
        ) from error
    changed = [
        f"{name} was {reprlib.repr(value)} and is {reprlib.repr(getattr(now, name))}"
        for name, value in asdict(then).items()
        if value != getattr(now, name)
    ]
    if changed:
        raise InputError(f"cannot resume the answers in {file.parent}: {', '.join(changed)}")


def _drop_unfinished(file: Path, prompts: Sequence[str], batch_size: int) -> int:
    """Cut the file behind its last whole batch; give the number of answers that stay."""
    lines = file.read_bytes().split(b"\n")[:-1]
    for number, line in enumerate(lines):
        try:
            response = msgspec.json.decode(line, type=_Response)
            same = response.index == number and response.prompt == prompts[number]
        except (msgspec.DecodeError, IndexError):
            same = False
        if not same:
            raise InputError(
                f"cannot resume: line {number + 1} of {file} is not the answer to prompt {number}"
            )
    whole = len(lines) if len(lines) == len(prompts) else len(lines) - len(lines) % batch_size
    os.truncate(file, sum(len(line) + 1 for line in lines[:whole]))
    return whole


def _answer(
    model: LanguageModel,
    first: int,
    prompts: Sequence[str],
    ids: Sequence[NDArray[np.int64]],
    settings: ResponseSettings,
) -> list[_Response]:
    """Answers to a batch of prompts, the first of which has the index ``first``."""
    import torch
    from transformers import GenerationConfig

    stops = _stop_tokens(model)
    padding = stops[0] if stops else 0
    width = max(map(len, ids))
    left = [width - len(row) for row in ids]
    rows = np.stack([np.pad(row, (n, 0), constant_values=padding) for row, n in zip(ids, left, strict=True)])
    mask = np.arange(width) >= np.array(left)[:, None]
    generator = model.model
    own = generator.generation_config
    # What a call leaves open is taken from the model's own settings: penalties, forced tokens, beams.
    generator.generation_config = GenerationConfig(
        max_new_tokens=settings.max_new_tokens, eos_token_id=stops or None, pad_token_id=padding
    )
    try:
        sequences = generator.generate(
            torch.from_numpy(rows).to(model.device),
            attention_mask=torch.from_numpy(mask).long().to(model.device),
            logits_processor=[_Sampling(settings.seed, settings.temperature, first, width, model.dtype)],
        )
    finally:
        generator.generation_config = own
    responses = []
    for row, (prompt, tokens) in enumerate(zip(prompts, sequences[:, width:].tolist(), strict=True)):
        end = next((position for position, token in enumerate(tokens) if token in stops), len(tokens))
        text = model.tokenizer.decode(tokens[:end], skip_special_tokens=True)
        responses.append(_Response(first + row, prompt, text, end, end < len(tokens)))
    return responses


def _stop_tokens(model: LanguageModel) -> list[int]:
    named = model.model.generation_config.eos_token_id
    stops = [named] if isinstance(named, int) else list(named or [])
    own = model.tokenizer.eos_token_id
    return stops if own is None or own in stops else [*stops, own]


@dataclass(frozen=True)
class _Sampling:
    """Noise on the logits of a batch that makes the largest of them a sample."""

    seed: int
    temperature: float
    first: int
    width: int
    dtype: str

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        import torch

        if scores.isnan().any():
            raise InputError(f"the logits are NaN (computed in {self.dtype})")
        if self.temperature == 0:
            return scores
        step = ids.shape[1] - self.width
        noise = np.stack(
            [_gumbel(self.seed, self.first + row, step, scores.shape[1]) for row in range(len(scores))]
        )
        return scores + self.temperature * torch.from_numpy(noise).to(scores)


def _gumbel(seed: int, prompt: int, step: int, size: int) -> NDArray[np.float32]:
    """Gumbel noise from raw Philox bits: the same on every machine and for every batch."""
    bits: Any = np.random.Philox(key=seed, counter=[0, step, prompt, 1]).random_raw(size)
    uniform = (bits >> 12) * 2.0**-52 + 2.0**-53  # neither 0 nor 1
    return np.asarray(-np.log(-np.log(uniform)), np.float32)
