"""Run texts through the models and put every test to their records."""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal

import jinja2
import numpy as np

from matropy._core._errors import InputError
from matropy._core._files import output_folder
from matropy._core._progress import Progress
from matropy._core._validation import check_integer
from matropy._version import __version__
from matropy.cli._provenance_result import (
    AccusationOfText,
    AttributionOfText,
    ModelOfText,
    Provenance,
    SkippedText,
    TextProvenance,
)
from matropy.information import (
    ConformalAccuser,
    Decoding,
    ProvenanceResult,
    TokenRecord,
    attribute,
    provenance_test,
    token_record,
)
from matropy.lm import LanguageModel, load_corpus

__all__ = ["Declaration", "named_texts", "prompts_of", "run"]

_EXCERPT = 80
_FEWEST_SCORED = 8
_METHODS: tuple[Literal["e", "z", "bound"], ...] = ("e", "z", "bound")


@dataclass(frozen=True)
class Declaration:
    """What is said about how the texts were made, and the level at which it is tested."""

    alpha: float
    decoding: Decoding
    prompts: tuple[str, ...]
    chat_template: bool
    context: int
    max_length: int

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise InputError(f"--alpha must be strictly between 0 and 1, got {self.alpha!r}")
        check_integer(self.context, "--context", low=1)
        check_integer(self.max_length, "--max-length", low=1 + _FEWEST_SCORED)
        if self.chat_template and not self.prompts:
            raise InputError("--chat-template needs the prompt that was put to the model: --prompt FILE")


@dataclass(frozen=True)
class Text:
    """A text with the name that reports call it."""

    name: str
    content: str


@dataclass(frozen=True)
class Encoded:
    """A text as a model reads it: ``ends`` maps an end in characters to the number of tokens up to there."""

    ids: list[int]
    context: int
    ends: dict[int, int]
    truncated: bool


def named_texts(paths: Sequence[Path], field: str, limit: int | None) -> list[Text]:
    """The texts of files and folders."""
    texts = []
    for path in paths:
        corpus = load_corpus(path, field=field, limit=limit)
        many = corpus.texts > 1
        texts += [
            Text(f"{path.name}, text {index}" if many else path.name, content)
            for index, content in enumerate(corpus)
        ]
    return texts


def prompts_of(files: Sequence[Path]) -> tuple[str, ...]:
    """Whole files; a last line break is not part of a prompt."""
    return tuple(next(iter(load_corpus(file))).removesuffix("\n") for file in files)


def run(
    models: Sequence[LanguageModel],
    texts: Sequence[Text],
    references: Sequence[Text],
    declaration: Declaration,
    folder: Path,
    bar: Progress,
) -> Provenance:
    """Test every text against the first model; attribute it where there is a second."""
    names = _names(models)
    records = output_folder(folder / "records")
    scored_references = [_scored(models[0], text, declaration, bar)[0] for text in references]
    found, skipped = [], []
    lambdas: tuple[float, ...] = ()
    for number, text in enumerate(texts):
        candidates, problem = _scored(models[0], text, declaration, bar)
        if not candidates:
            skipped.append(SkippedText(text.name, problem))
            bar.advance((len(models) - 1) * max(1, len(declaration.prompts)))
            continue
        # All prompts have to be refuted, so the one that speaks most for the model decides.
        least = max(range(len(candidates)), key=lambda index: candidates[index].result.p_value)
        chosen = candidates[least]
        lambdas = chosen.record.lambdas
        file = chosen.record.save(records / f"{number:05d}.npz")
        attribution = None
        if len(models) > 1:
            other, problem = _scored(models[1], text, declaration, bar)
            attribution = _attributed(
                text, names, chosen, other[least] if other else None, problem, declaration
            )
        found.append(
            _told(
                text,
                chosen,
                least if declaration.prompts else None,
                f"records/{file.name}",
                attribution,
                _accused(chosen, [one[least] for one in scored_references if one], declaration.alpha)
                if references
                else None,
            )
        )
    if not found:
        reasons = "; ".join(sorted({one.reason for one in skipped}))
        raise InputError(f"none of the {len(texts)} texts can be scored: {reasons}")
    return Provenance(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        matropy=__version__,
        environment=_environment(),
        models=[_described(model, name) for model, name in zip(models, names, strict=True)],
        settings={**asdict(declaration), "lambdas": list(lambdas)},
        null=f"a sample of {names[0]} at {declaration.decoding}",
        texts=found,
        skipped=skipped,
    )


@dataclass(frozen=True)
class Scored:
    """A text after one prompt, under one model."""

    encoded: Encoded
    record: TokenRecord
    result: ProvenanceResult


def _scored(
    model: LanguageModel, text: Text, declaration: Declaration, bar: Progress
) -> tuple[list[Scored], str]:
    """The text after every prompt, or nothing and why."""
    scored: list[Scored] = []
    for prompt in declaration.prompts or (None,):
        encoded = _encode(model, text.content, prompt, declaration)
        tokens = len(encoded.ids) - encoded.context
        if tokens < _FEWEST_SCORED:
            bar.advance(max(1, len(declaration.prompts)) - len(scored))
            return [], (
                f"{max(0, tokens)} tokens are left to score, of at least {_FEWEST_SCORED}"
                f" ({len(encoded.ids)} tokens, of which {encoded.context} are context)"
            )
        record = token_record(
            model, np.array(encoded.ids), context=encoded.context, decoding=declaration.decoding
        )
        scored.append(Scored(encoded, record, provenance_test(record, alpha=declaration.alpha)))
        bar.advance()
    return scored, ""


def _encode(model: LanguageModel, text: str, prompt: str | None, declaration: Declaration) -> Encoded:
    tokenizer = model.tokenizer
    if not tokenizer.is_fast:
        raise InputError(f"the tokenizer of {model.name} does not say where its tokens stand in a text")
    before: list[int] = []
    if prompt is not None:
        before = _prompt_ids(model, prompt, declaration.chat_template)
    encoding = tokenizer(text, add_special_tokens=prompt is None, return_offsets_mapping=True, verbose=False)
    ids, offsets = encoding["input_ids"], encoding["offset_mapping"]
    room = min(declaration.max_length, model.context or declaration.max_length) - len(before)
    truncated = len(ids) > room
    ids, offsets = ids[: max(0, room)], offsets[: max(0, room)]
    ends = {
        stop: len(before) + index + 1
        for index, ((start, stop), following) in enumerate(pairwise([*offsets, None]))
        # A character may be cut into several tokens, which all say where it ends.
        if stop > start and (following is None or following[0] >= stop or following == (0, 0))
    }
    return Encoded(before + ids, len(before) if prompt is not None else declaration.context, ends, truncated)


def _prompt_ids(model: LanguageModel, prompt: str, chat_template: bool) -> list[int]:
    tokenizer = model.tokenizer
    if not chat_template:
        ids = list(tokenizer(prompt, verbose=False)["input_ids"])
        if not ids:
            raise InputError("a prompt is empty")
        return ids
    if not tokenizer.chat_template:
        raise InputError(
            f"{model.name} has no chat template, so no prompt can have been put to it by --chat-template"
        )
    turns = [{"role": "user", "content": prompt}]
    try:
        return list(tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False))
    except jinja2.TemplateError as error:
        raise InputError(f"the chat template of {model.name} fails: {error}") from error


def _told(
    text: Text,
    chosen: Scored,
    prompt: int | None,
    record_file: str,
    attribution: AttributionOfText | None,
    accusation: AccusationOfText | None,
) -> TextProvenance:
    record, result = chosen.record, chosen.result
    impossible = np.flatnonzero(np.isinf(record.surprise))
    tests: dict[str, float] = {
        method: provenance_test(record, alpha=result.alpha, method=method).p_value for method in _METHODS
    }
    return TextProvenance(
        name=text.name,
        excerpt=" ".join(text.content.split())[:_EXCERPT],
        sha256=hashlib.sha256(text.content.encode()).hexdigest(),
        bytes=len(text.content.encode()),
        tokens=len(chosen.encoded.ids),
        scored=len(record),
        truncated=chosen.encoded.truncated,
        prompt=prompt,
        reject=result.reject,
        p_values=tests,
        e_value=_finite(result.e_value),
        D=_finite(result.D),
        z=_finite(result.z),
        log_perplexity=_finite(float(record.surprise.mean())),
        entropy=float(record.entropy.mean()),
        growth=_finite(result.growth),
        expected_tokens=_finite(result.expected_tokens),
        first_rejection=result.first_rejection,
        impossible_token=int(impossible[0]) if len(impossible) else None,
        verdict=f"{text.name}: {result.verdict}",
        log_e_path=[_finite(value) for value in result.log_e_path.tolist()],
        record=record_file,
        attribution=attribution,
        accusation=accusation,
    )


def _attributed(
    text: Text,
    names: Sequence[str],
    own: Scored,
    other: Scored | None,
    problem: str,
    declaration: Declaration,
) -> AttributionOfText | None:
    """Likelihoods of the same bytes: from the first place on, to the last, at which tokens of both models end."""
    if other is None:
        raise InputError(f"{text.name} cannot be scored by {names[1]}: {problem}")
    sides = (own.encoded, other.encoded)
    common = sorted(set(sides[0].ends) & set(sides[1].ends))
    if declaration.prompts:
        counts, start = [side.context for side in sides], 0
    else:
        after = [end for end in common if all(side.ends[end] >= side.context for side in sides)]
        if not after:
            return None
        counts, start = [side.ends[after[0]] for side in sides], after[0]
    stop = common[-1] if common else 0
    if stop <= start:
        return None
    parts = {
        name: scored.record[
            count - scored.encoded.context : scored.encoded.ends[stop] - scored.encoded.context
        ]
        for name, scored, count in zip(names, (own, other), counts, strict=True)
    }
    if min(map(len, parts.values())) < _FEWEST_SCORED:
        return None
    result = attribute(parts, alpha=declaration.alpha)
    return AttributionOfText(
        bytes=len(text.content[start:stop].encode()),
        log_likelihood={name: _finite(value) for name, value in result.log_likelihood.items()},
        log_e={name: _finite(value) for name, value in result.log_e.items()},
        best=result.best,
        rejected=list(result.rejected),
        verdict=f"{text.name}: {result.verdict}",
    )


def _accused(chosen: Scored, references: Sequence[Scored], alpha: float) -> AccusationOfText:
    length = len(chosen.record)
    long_enough = [one.record[:length] for one in references if len(one.record) >= length]
    if not long_enough:
        return AccusationOfText(None, 0, f"No reference text has {length} tokens to score: nothing is said.")
    count = len(long_enough)
    p_value = ConformalAccuser(long_enough).p_value(chosen.record)
    ahead = round(p_value * (count + 1)) - 1
    sentence = (
        f"{ahead} of {count} reference texts of the same length are at least as predictable to the model (p ="
        f" {p_value:.2g}); at level {alpha:g} the text is"
        f" {'an exception among them' if p_value <= alpha else 'consistent with them'}."
    )
    if 1 / (count + 1) > alpha:
        sentence += f" So few references can reach no level below {1 / (count + 1):.2g}."
    return AccusationOfText(p_value, count, sentence)


def _names(models: Sequence[LanguageModel]) -> list[str]:
    for names in ([model.name for model in models], [model.path_or_id for model in models]):
        if len(set(names)) == len(names):
            return names
    raise InputError(f"--against names the same model as --model: {models[0].path_or_id}")


def _described(model: LanguageModel, name: str) -> ModelOfText:
    return ModelOfText(
        name=name,
        path_or_id=model.path_or_id,
        architecture=model.architecture,
        parameters=model.parameters,
        vocabulary=model.vocabulary,
        quantization=model.quantization,
        sha256=model.sha256,
        dtype=model.dtype,
        device=str(model.device),
        has_chat_template=bool(model.tokenizer.chat_template),
    )


def _environment() -> dict[str, str]:
    import torch
    import transformers

    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "transformers": transformers.__version__,
        "platform": platform.platform(),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
