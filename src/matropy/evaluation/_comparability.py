"""Which figures of two models may be compared, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from matropy.evaluation._evaluation import Evaluation
from matropy.evaluation._glossary import CODES, OF_ALL_TEXTS
from matropy.evaluation._records import TextRecord

__all__ = ["CALIBRATED", "Agreement", "Comparable", "Verdict", "agreement", "verdict"]

Comparable = Literal["yes", "with care", "no"]
Pairs = Sequence[tuple[TextRecord, TextRecord]]

CALIBRATED = ("matrix_entropy_calibrated", "matrix_nuclear_norm_calibrated")
"""Figures over their value for states without structure of the same shape; they stand first."""


@dataclass(frozen=True)
class Verdict:
    """Whether a figure may be compared.

    Attributes
    ----------
    comparable : {"yes", "with care", "no"}
    because : str
        What differs between the two evaluations; empty for a plain yes.
    consequence : str
        What that does to this figure.
    """

    comparable: Comparable
    because: str = ""
    consequence: str = ""


_OTHER_LENGTHS = {
    "matrix_entropy_calibrated": Verdict(
        "with care",
        consequence="what it is divided by takes out most of the effect of the length, not all of it",
    ),
    "matrix_nuclear_norm_calibrated": Verdict(
        "no", consequence="of structured states it falls as a text gets longer"
    ),
    "anisotropy": Verdict(
        "with care",
        consequence="it is 0 without structure at every length, yet late tokens differ from early ones",
    ),
}
"""What other lengths do to the figures whose value without structure is the same at every width."""

_SHAPE = {
    "matrix_nuclear_norm": "without structure it goes as the square root of N / d, with nothing learned",
    "matrix_nuclear_norm_exact": "its ceiling is the square root of min(N, d) / N",
    "matrix_entropy": "its value without structure depends on N and d; the calibrated entropy is divided by it",
    "matrix_entropy_relative": "it is divided by ln d, which a text shorter than d cannot reach",
    "effective_rank": "its ceiling is min(N - 1, d); the calibrated entropy is its comparable form",
    "renyi_entropy_2": "its ceiling is ln min(N - 1, d)",
    "participation_ratio": "its ceiling is min(N - 1, d)",
    "rankme": "its ceiling is min(N, d)",
    "code_redundancy": "more tokens repeat more codes, and more units tell more tokens apart",
    "alpha_req": "pure noise has another exponent at another shape (N = 128: 0.41 for d = 64, 0.12 for d = 2048)",
}
_SHAPE_UNKNOWN = "it is not calibrated for the shape of the states"

_PER_TOKEN = ("loss", "perplexity", "conditional_entropy", "provenance_statistic")

_CONTEXT = "a longer context makes the text that follows easier to predict"

_MUCH = 0.1
"""Models that read amounts of text that differ by more than a tenth are not asked how well they predict it."""


@dataclass(frozen=True)
class Agreement:
    """What differs between two evaluations; an empty string is no difference.

    Attributes
    ----------
    texts : str
        The texts themselves, where records cannot show which are common.
    width : str
        Features of a hidden state.
    parts : str
        Which bytes of a text are read.
    reading : str
        The same, where the amounts differ by much or are not known.
    lengths : str
        Rows of a text that are measured at once.
    tokens : str
        How a text is cut into tokens, or how much of it.
    vocabulary : str
        Its size, or that its sameness is only likely.
    sets : str
        Which texts were scored, as a whole.
    code : str
        Gated units of all blocks.
    """

    texts: str
    width: str
    parts: str
    reading: str
    lengths: str
    tokens: str
    vocabulary: str
    sets: str
    code: str


def agreement(one: Evaluation, other: Evaluation, texts: Pairs | None) -> Agreement:
    """Find what differs, from the records of common texts where there are any, else from the settings."""
    found = _by_settings(one, other) if texts is None else _by_records(one, other, texts)
    if not found.lengths and _windows(one) != _windows(other):
        return replace(found, lengths="texts beyond a model's context are cut into windows of other lengths")
    return found


def verdict(metric: str, differ: Agreement) -> Verdict:
    """Decide for one metric."""
    if differ.texts:
        return Verdict("no", differ.texts, "the difference may be one of texts")
    if metric in _PER_TOKEN:
        return _of_token_scores(differ)
    if metric == "bits_per_byte":
        return _of_bits_per_byte(differ)
    if metric in OF_ALL_TEXTS:
        return _of_all_texts(differ)
    if metric in CODES and differ.code:
        return Verdict("no", differ.code, _SHAPE[metric])
    return _of_states(metric, differ)


def _of_states(metric: str, differ: Agreement) -> Verdict:
    if metric not in _OTHER_LENGTHS and (differ.width or differ.lengths):
        return Verdict("no", differ.width or differ.lengths, _SHAPE.get(metric, _SHAPE_UNKNOWN))
    if differ.reading and differ.lengths:
        return Verdict("no", differ.reading, "the same model gives other figures when it reads further")
    if differ.lengths:
        return replace(_OTHER_LENGTHS[metric], because=differ.lengths)
    if differ.parts:
        return Verdict("with care", differ.parts, "it is measured over other words")
    if differ.width and metric == "matrix_nuclear_norm_calibrated":
        return Verdict("with care", differ.width, "it depends on the axes, and each model has its own")
    return Verdict("yes")


def _of_all_texts(differ: Agreement) -> Verdict:
    if differ.sets:
        return Verdict(
            "no", differ.sets, "it grows with the number of texts and is one figure for all of them"
        )
    if differ.reading:
        return Verdict("no", differ.reading, "the same model gives other figures when it reads further")
    if differ.parts:
        return Verdict("with care", differ.parts, "it is measured over other words")
    if differ.width:
        return Verdict(
            "with care", differ.width, "no more texts can be wholly unlike than there are features"
        )
    return Verdict("yes")


def _of_token_scores(differ: Agreement) -> Verdict:
    if differ.reading:
        return Verdict("no", differ.reading, f"it is counted in tokens, and {_CONTEXT}")
    if differ.tokens:
        return Verdict("no", differ.tokens, "it is counted in tokens, bits per byte are not")
    if differ.vocabulary:
        return Verdict("with care", differ.vocabulary, "it is counted in tokens, which seem to be the same")
    return Verdict("yes")


def _of_bits_per_byte(differ: Agreement) -> Verdict:
    if differ.reading:
        return Verdict("no", differ.reading, _CONTEXT)
    if differ.parts:
        return Verdict(
            "with care", differ.parts, "the model that reads on has more context, and other text to predict"
        )
    return Verdict("yes")


def _by_records(one: Evaluation, other: Evaluation, texts: Pairs) -> Agreement:
    parts = _two_records(texts, "bytes", "texts are cut off at other places", "bytes read")
    here, there = (sum(pair[side].bytes for pair in texts) for side in (0, 1))
    much = max(here, there) > (1 + _MUCH) * min(here, there)
    return Agreement(
        texts="",
        width=_width(one, other),
        parts=parts,
        reading=_two("the models read other amounts of the texts", here, there, "bytes") if much else "",
        lengths=_two_records(texts, "tokens", "the texts have other lengths", "tokens"),
        tokens=_two_records(texts, "predicted", "the tokens differ", "predictions") or parts,
        vocabulary=_two(
            "the vocabularies differ in size", one.model.vocabulary, other.model.vocabulary, "tokens"
        ),
        sets=_sets(one, other),
        code=_code(one, other),
    )


def _by_settings(one: Evaluation, other: Evaluation) -> Agreement:
    vocabulary = _two("the vocabularies differ", one.model.vocabulary, other.model.vocabulary)
    maxima = _two("the maximal lengths differ", one.corpus.max_length, other.corpus.max_length, "tokens")
    parts = ""
    if (one.corpus.truncated or other.corpus.truncated) and (maxima or vocabulary):
        parts = maxima or "texts may be cut off at other places"
    tokens = vocabulary or parts
    dropped = one.settings.get("drop_bos") != other.settings.get("drop_bos")
    same = one.corpus.sha256 == other.corpus.sha256
    return Agreement(
        texts="" if same else "the corpora differ, and no records show which texts are common",
        width=_width(one, other),
        parts=parts,
        reading=parts,
        lengths=tokens or ("one of them leaves the first token out" if dropped else ""),
        tokens=tokens,
        vocabulary=vocabulary
        or "the vocabularies have one size, and no records show that the tokens are the same",
        sets=_sets(one, other),
        code=_code(one, other),
    )


def _sets(one: Evaluation, other: Evaluation) -> str:
    if one.corpus.sha256 != other.corpus.sha256:
        return "the corpora differ"
    return _two("other numbers of texts were scored", one.texts.scored, other.texts.scored)


def _code(one: Evaluation, other: Evaluation) -> str:
    here, there = (sum(layer.codes.bits for layer in side.layers if layer.codes) for side in (one, other))
    return _two("the models have other numbers of gated units", here, there)


def _width(one: Evaluation, other: Evaluation) -> str:
    return _two("the widths differ", one.model.width, other.model.width)


def _windows(evaluation: Evaluation) -> object:
    """The length at which long texts are cut into windows; None where none was."""
    return evaluation.settings.get("context") if evaluation.settings.get("windowed_texts") else None


def _two_records(texts: Pairs, field: str, what: str, unit: str) -> str:
    """Say that a count differs for some text, with its sums over all; nothing where it never does."""
    counts = [(getattr(a, field), getattr(b, field)) for a, b in texts]
    if all(here == there for here, there in counts):
        return ""
    return f"{what} ({sum(a for a, _ in counts):,} and {sum(b for _, b in counts):,} {unit})"


def _two(what: str, one: int, other: int, unit: str = "") -> str:
    """Say that two numbers differ; nothing where they do not."""
    return "" if one == other else f"{what} ({one:,} and {other:,}{' ' + unit if unit else ''})"
