"""Provenance as a table and as a page."""

from __future__ import annotations

import math

from matropy.cli._provenance_result import Provenance, TextProvenance
from matropy.reporting import Column, Facts, Figure, Grid, Page, Section, Series, Table, Text

__all__ = ["notes", "report", "terminal_table"]

_POINTS = 400
_FEW_TOKENS = 100


def terminal_table(found: Provenance) -> Table:
    """One row a text, in 80 columns."""
    return Table(
        f"Null: {found.null}",
        (
            Column("Text"),
            Column("Tokens"),
            Column("D", digits=3),
            Column("z", digits=3),
            Column("p", help="Of the e-process, at whatever token one stops", digits=2),
            Column("Rejected at"),
            Column("Wait", help="Tokens to a rejection at the growth seen", digits=2),
        ),
        tuple(
            (text.name, text.scored, text.D, text.z, text.p_values["e"], _when(text), text.expected_tokens)
            for text in found.texts
        ),
        caption="D: log-perplexity minus mean entropy, nats a token. Wait: tokens to a rejection at the growth seen.",
    )


def notes(found: Provenance) -> list[str]:
    """What a reader should know before acting on a verdict."""
    model, settings = found.models[0], found.settings
    lines = ["A text that is not rejected is not shown to be this model's: it may be too short to tell."]
    if not settings["prompts"]:
        lines.append(
            f"The prompt is not known: the first {settings['context']} tokens of each text stand in for it and are not"
            " scored."
        )
    elif len(settings["prompts"]) > 1:
        lines.append(
            "Of several prompts the one that speaks most for the model is shown: all have to be refuted."
        )
    if model.has_chat_template and not settings["chat_template"]:
        lines.append(
            f"{model.name} has a chat template, and none was declared: an answer in a chat comes from another law."
        )
    if model.quantization is not None:
        lines.append(
            f"Its weights are {model.quantization}: text made with other weights of this model comes from another law."
        )
    lines.append(
        "The null also says that the text is cut into tokens as it was made, and that nothing was edited."
    )
    if any(text.scored < _FEW_TOKENS for text in found.texts):
        lines.append(f"Below {_FEW_TOKENS} tokens z is rough; the e-process is exact at every length.")
    if len(found.texts) > 1:
        lines.append(
            f"The level holds for each text: of many, a share of up to {settings['alpha']:g} is wronged."
        )
    if any(text.truncated for text in found.texts):
        lines.append(f"Texts were cut to {settings['max_length']:,} tokens, or to what the model can hold.")
    if not any(text.accusation for text in found.texts):
        lines.append(
            "No reference texts were given, so nothing here bounds the chance of accusing a person (--reference)."
        )
    if found.skipped:
        reasons = "; ".join(sorted({text.reason for text in found.skipped}))
        lines.append(f"Skipped: {', '.join(text.name for text in found.skipped)} ({reasons}).")
    return lines


def report(found: Provenance) -> Page:
    """Verdicts first, then the evidence token by token, then how."""
    sections = [
        Section("Verdicts", _first_screen(found)),
        Section(
            "Evidence over the tokens",
            (Grid(tuple(_path(text, found.settings["alpha"]) for text in found.texts)),),
            lead="The e-process of each text. Text of the null crosses the dashed line at any time with a chance of at most"
            " the level, so one may stop at every token.",
        ),
        Section("All figures", (_figures(found), _bounds(found))),
    ]
    attributions = [text for text in found.texts if text.attribution]
    if attributions:
        sections.append(
            Section(
                "Which of the two models", (_attributions(found),), lead="Total likelihood of the same bytes."
            )
        )
    if any(text.accusation for text in found.texts):
        sections.append(
            Section(
                "Beside texts by people",
                (Text(tuple(text.accusation.verdict for text in found.texts if text.accusation)),),
                lead="Split-conformal: the chance of accusing is at most the level if the texts are exchangeable with the"
                " reference texts.",
            )
        )
    sections.append(Section("Settings", (_settings(found),)))
    return Page(
        "Provenance",
        subtitle=f"Null: {found.null}",
        sections=tuple(sections),
        footer=f"matropy {found.matropy}, {found.created}",
    )


def _first_screen(found: Provenance) -> tuple[Facts | Text, ...]:
    rejected = sum(text.reject for text in found.texts)
    facts = Facts(
        (
            ("Texts", len(found.texts), f"{len(found.skipped)} more could not be scored"),
            ("Rejected", rejected, f"at level {found.settings['alpha']:g}"),
            ("Consistent with the null", len(found.texts) - rejected, "which is no proof of it"),
        )
    )
    sentences = [text.verdict for text in found.texts]
    sentences += [text.attribution.verdict for text in found.texts if text.attribution]
    return facts, Text(tuple(sentences)), Text(tuple(notes(found)), kind="note")


def _path(text: TextProvenance, alpha: float) -> Figure:
    count = len(text.log_e_path)
    step = max(1, count // _POINTS)
    shown = sorted(
        {*range(0, count, step), count - 1, *([] if text.first_rejection is None else [text.first_rejection])}
    )
    evidence = [text.log_e_path[index] for index in shown]
    caption = _outlook(text)
    if text.impossible_token is not None:
        caption = f"Token {text.impossible_token + 1} cannot occur under the declared decoding: the path ends there."
    return Figure(
        text.name,
        "scored tokens",
        "log10 E",
        (
            Series(
                "evidence against the null",
                [index + 1 for index in shown],
                [None if value is None else value / math.log(10) for value in evidence],
            ),
            Series(f"rejection at level {alpha:g}", [1, count], [-math.log10(alpha)] * 2, kind="reference"),
        ),
        caption=caption,
    )


def _outlook(text: TextProvenance) -> str:
    if text.growth is None or text.growth <= 0 or text.expected_tokens is None:
        return "No bet gains on this text: more of the same would not reject it."
    return (
        f"The best bet gains {text.growth:.4f} nats a token; at that rate a rejection takes about"
        f" {text.expected_tokens:,.0f} tokens."
    )


def _figures(found: Provenance) -> Table:
    return Table(
        "Every text",
        (
            Column("Text"),
            Column("Scored tokens"),
            Column("Log-perplexity", "nats"),
            Column("Mean entropy", "nats"),
            Column("D", "nats"),
            Column("z"),
            Column("E", help="After the last token; missing where a token cannot occur"),
            Column("First rejection", help="Scored tokens up to it"),
            Column("Growth", "nats/token"),
            Column("Expected wait", "tokens"),
            Column("Begins"),
        ),
        tuple(
            (
                text.name,
                text.scored,
                text.log_perplexity,
                text.entropy,
                text.D,
                text.z,
                text.e_value,
                None if text.first_rejection is None else text.first_rejection + 1,
                text.growth,
                text.expected_tokens,
                text.excerpt,
            )
            for text in found.texts
        ),
    )


def _bounds(found: Provenance) -> Table:
    return Table(
        "Three p-values of the same deviation",
        (
            Column("Text"),
            Column("e-process", help="Exact, at whatever token one stops"),
            Column("Normal", help="From the variance that the model itself states for these tokens"),
            Column("A priori bound", help="From the size of the vocabulary alone"),
        ),
        tuple(
            (text.name, text.p_values["e"], text.p_values["z"], text.p_values["bound"])
            for text in found.texts
        ),
        caption="The bound holds for every law on the vocabulary, whose worst variance is several times that of"
        " language: it is safe and loose.",
    )


def _attributions(found: Provenance) -> Table:
    names = [model.name for model in found.models]
    rows = []
    for text in found.texts:
        if text.attribution is not None:
            one = text.attribution
            likelihoods = [one.log_likelihood[name] for name in names]
            rows.append((text.name, one.bytes, *likelihoods, one.best, ", ".join(one.rejected) or "neither"))
    return Table(
        "Attribution",
        (
            Column("Text"),
            Column("Bytes"),
            *(Column(name, "nats", "Total log-likelihood") for name in names),
            Column("Likelier"),
            Column("Rejected"),
        ),
        tuple(rows),
    )


def _settings(found: Provenance) -> Table:
    rows: list[tuple[object, ...]] = [
        (f"setting: {name}", _plain(value)) for name, value in found.settings.items()
    ]
    for model in found.models:
        rows += [
            (f"{model.name}: {name}", _plain(value)) for name, value in vars(model).items() if name != "name"
        ]
    rows += [(f"environment: {name}", value) for name, value in found.environment.items()]
    return Table("What it takes to repeat this", (Column("Item"), Column("Value")), tuple(rows))


def _when(text: TextProvenance) -> str:
    return "–" if text.first_rejection is None else f"token {text.first_rejection + 1}"


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return "–" if value is None else str(value)
