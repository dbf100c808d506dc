"""What a comparison says in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from matropy.evaluation._comparison import Comparison, Difference
from matropy.evaluation._glossary import METRICS
from matropy.reporting import format_number

__all__ = ["differs", "findings", "in_order", "interval", "letter", "notes", "signed"]

_FEW_TEXTS = 20


def letter(place: int) -> str:
    """A short name of a model: A, B, C, and numbers after Z."""
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def differs(difference: Difference, kind: str) -> int:
    """1 where the whole interval says higher, -1 where it says lower, 0 where it says neither."""
    if difference.ci95 is None:
        return 0
    low, high = difference.ci95
    nothing = 1.0 if kind == "ratio" else 0.0
    return int(low > nothing) - int(high < nothing)


def interval(ends: tuple[float, float] | None) -> str:
    """Both ends of an interval."""
    return "" if ends is None else f"{format_number(ends[0], 3)} to {format_number(ends[1], 3)}"


def signed(value: float | None, kind: str) -> str:
    """A difference with its sign, a ratio with its cross."""
    if value is None:
        return format_number(None)
    sign = "× " if kind == "ratio" else "+" if value > 0 else ""
    return sign + format_number(value, 3)


def findings(comparison: Comparison) -> list[str]:
    """What differs: predictions and compression, model by model, then all in order."""
    paragraphs = []
    for place in range(1, len(comparison.models)):
        said = []
        for name, sentence in (("bits_per_byte", _prediction), ("matrix_entropy_calibrated", _compression)):
            metric = comparison.metrics.get(name)
            if metric and metric.differences[place - 1].value is not None:
                said.append(sentence(metric.differences[place - 1], letter(place)))
        if said:
            paragraphs.append(" ".join(said))
    if len(comparison.models) > 2:
        paragraphs += [
            f"{METRICS[name].title}, lowest first: {in_order(comparison, name)}."
            for name in ("bits_per_byte", "matrix_entropy_calibrated")
            if in_order(comparison, name)
        ]
    return paragraphs


def in_order(comparison: Comparison, name: str) -> str:
    """Letters of the models from the lowest value to the highest; empty where they may not be ranked."""
    metric = comparison.metrics.get(name)
    letters = {model.name: letter(place) for place, model in enumerate(comparison.models)}
    return ", ".join(letters[one] for one in metric.order or ()) if metric else ""


def notes(comparison: Comparison) -> list[str]:
    """How far the differences can be believed, and which are refused for what."""
    models = comparison.models
    paired = [letter(place) for place, model in enumerate(models) if model.paired]
    unpaired = [letter(place) for place, model in enumerate(models) if not model.paired]
    lines = []
    if comparison.common_texts is not None:
        sizes = {model.texts.scored for model in models if model.paired}
        texts = f"{comparison.common_texts:,} common text" + ("" if comparison.common_texts == 1 else "s")
        of = ", ".join(f"{letter(i)} has {one.texts.scored:,}" for i, one in enumerate(models) if one.paired)
        lines.append(
            f"{_list(paired)} are compared text by text over {texts}"
            + ("." if sizes == {comparison.common_texts} else f" ({of}).")
        )
        if comparison.common_texts < _FEW_TEXTS:
            lines.append("These are few texts: the intervals are rough.")
    if unpaired:
        lines.append(
            f"{_list(unpaired)} {_is(unpaired)} compared by means alone, with wider intervals: without the records of"
            " single texts on both sides, what these share does not cancel."
        )
    return lines + [line for place in range(1, len(models)) for line in _refusals(comparison, place)]


def _refusals(comparison: Comparison, place: int) -> list[str]:
    """How many figures are not compared and which only with care, by what differs."""
    by_reason: dict[str, tuple[list[str], list[str]]] = {}
    for name, metric in comparison.metrics.items():
        found = metric.differences[place - 1]
        if found.comparable != "yes":
            refused, careful = by_reason.setdefault(found.because, ([], []))
            (refused if found.comparable == "no" else careful).append(name)
    lines = []
    for because, (refused, careful) in by_reason.items():
        said = [f"{len(refused)} of {len(comparison.metrics)} figures are not compared"] if refused else []
        said += [f"{_list(careful)} {_is(careful)} compared with care"] if careful else []
        lines.append(f"{letter(place)} against A: {because}; {'; '.join(said)}.")
    return lines


def _prediction(difference: Difference, model: str) -> str:
    low, high = difference.ci95 or (None, None)
    amount = f"{format_number(abs(difference.value or 0.0), 3)} bits per byte"
    match differs(difference, "difference"), low, high:
        case -1, float(), float():
            return f"{model} predicts better than A, by {amount} (95 % interval {interval((-high, -low))})."
        case 1, _, _:
            return f"{model} predicts worse than A, by {amount}{_within(difference)}."
        case _:
            amount = f"{signed(difference.value, 'difference')} bits per byte{_within(difference)}"
            return f"Whether {model} or A predicts better is open: {amount}."


def _compression(difference: Difference, model: str) -> str:
    amount = f"{signed(difference.value, 'difference')} in calibrated entropy{_within(difference)}"
    match differs(difference, "difference"):
        case -1:
            return f"The last states of {model} fill fewer directions than those of A: {amount}."
        case 1:
            return f"The last states of {model} fill more directions than those of A: {amount}."
        case _:
            return f"Whether the last states of {model} or A fill more directions is open: {amount}."


def _within(difference: Difference) -> str:
    return f" (95 % interval {interval(difference.ci95)})" if difference.ci95 else " (no interval)"


def _list(items: Sequence[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def _is(items: Sequence[str]) -> str:
    return "is" if len(items) == 1 else "are"
