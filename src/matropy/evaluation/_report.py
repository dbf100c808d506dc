"""An evaluation as a table and as a page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from matropy.evaluation._evaluation import Evaluation, Layer
from matropy.evaluation._glossary import CODES, METRICS, OF_ALL_TEXTS
from matropy.evaluation._outliers import outliers
from matropy.reporting import (
    Column,
    Facts,
    Figure,
    Grid,
    Link,
    Page,
    Section,
    Series,
    Table,
    Text,
    format_number,
)

__all__ = ["notes", "report", "summary_table", "terminal_table"]

_BARS = "▁▂▃▄▅▆▇█"
_SKETCH_WIDTH = 14
_SHOWN = 100
_REFERENCES = {
    "matrix_nuclear_norm_calibrated": 1.0,
    "matrix_entropy_calibrated": 1.0,
    "anisotropy": 0.0,
}


def report(evaluation: Evaluation) -> Page:
    """The page: what was learned, then layers, summary, texts, settings."""
    model, corpus = evaluation.model, evaluation.corpus
    sections = [Section("What was found", _first_screen(evaluation))]
    if evaluation.layers:
        sections.append(
            Section(
                "Layer by layer",
                (
                    Grid((*_layer_figures(evaluation), *_code_figures(evaluation.layers))),
                    *_spectrum_figure(evaluation),
                    _layer_table(evaluation),
                ),
                lead="Means over texts with their bootstrap 95 % intervals. Index 0 is the embedding, the last index"
                " the state after the final norm.",
            )
        )
    sections += [
        Section("All figures", (summary_table(evaluation),)),
        Section("How to read them", (_glossary_table(evaluation),)),
        Section("Texts", _texts(evaluation)),
        Section("Settings and provenance", (_provenance(evaluation),)),
    ]
    return Page(
        title=model.name,
        subtitle=f"How it compresses {corpus.name}, layer by layer",
        sections=tuple(sections),
        footer=f"matropy {evaluation.matropy}, {evaluation.created}",
    )


def summary_table(evaluation: Evaluation) -> Table:
    """One row a metric, with its uncertainty."""
    rows = []
    for name, metric in evaluation.summary.items():
        low, high = metric.ci95 or (None, None)
        rows.append(
            (_metric_title(evaluation, name), metric.mean, metric.standard_error, low, high, metric.unit)
        )
    return Table(
        title=_title(evaluation),
        columns=(
            Column("Metric"),
            Column(
                "Mean",
                help="Over texts; perplexity, bits per byte and conditional entropy are pooled over tokens.",
            ),
            Column("Standard error", digits=2),
            Column("Low", help="Lower end of the bootstrap 95 % interval"),
            Column("High", help="Upper end of the bootstrap 95 % interval"),
            Column("Unit"),
        ),
        rows=tuple(rows),
        caption=_null_sentence(evaluation),
    )


def terminal_table(evaluation: Evaluation) -> Table:
    """The summary in 80 columns, with a sketch of every metric's course over the layers."""
    rows = []
    for name, metric in evaluation.summary.items():
        interval = "" if metric.ci95 is None else " to ".join(format_number(end) for end in metric.ci95)
        if name in OF_ALL_TEXTS:
            interval = f"of {_count(evaluation.texts.scored, 'text')}"
        rows.append((name, format_number(metric.mean), interval, _sketch(evaluation.layers, name)))
    return Table(
        title=_title(evaluation),
        columns=(Column("metric"), Column("mean"), Column("95 % interval"), Column("over layers")),
        rows=tuple(rows),
        caption=_null_sentence(evaluation),
    )


def notes(evaluation: Evaluation) -> list[str]:
    """What a reader should know about the run before believing it."""
    lines = []
    corpus, texts, settings = evaluation.corpus, evaluation.texts, evaluation.settings
    if texts.skipped:
        reasons = sorted({text.reason for text in texts.skipped})
        lines.append(f"{_count(len(texts.skipped), 'text')} skipped: {'; '.join(reasons)}.")
    if corpus.truncated:
        lines.append(f"{_count(corpus.truncated, 'text')} cut to the first {corpus.max_length:,} tokens.")
    if settings.get("windowed_texts"):
        lines.append(
            f"{_count(settings['windowed_texts'], 'text')} longer than the model's context of"
            f" {settings['context']:,} tokens: cut into windows, measures are means over them."
        )
    if settings.get("last_layer_only"):
        names = ", ".join(METRICS[name].title for name in settings["last_layer_only"])
        lines.append(
            f"{names}: of the last hidden state alone, since they cost a second spectrum; --metrics all takes all."
        )
    if texts.scored < 20:
        lines.append(f"Only {_count(texts.scored, 'text')} scored: the intervals are rough.")
    return lines


def _first_screen(evaluation: Evaluation) -> tuple[Text | Facts, ...]:
    summary, model = evaluation.summary, evaluation.model
    facts = []
    for name, label, hint in (
        ("bits_per_byte", "Bits per byte", "of an ideal compressor with this model"),
        ("effective_rank", "Effective rank", f"directions of {model.width} that a text fills at the end"),
        ("matrix_entropy_calibrated", "Calibrated entropy", "1 would be no structure at all"),
        ("anisotropy", "Anisotropy", "mean cosine between tokens"),
    ):
        metric = summary.get(name)
        if metric and metric.mean is not None:
            error = "" if metric.standard_error is None else f"± {format_number(metric.standard_error, 2)}; "
            facts.append((label, metric.mean, error + hint))
    blocks: list[Text | Facts] = [Facts(tuple(facts))] if facts else []
    findings = _findings(evaluation)
    if findings:
        blocks.append(Text(tuple(findings)))
    remarks = notes(evaluation)
    if remarks:
        blocks.append(Text(tuple(remarks), kind="note"))
    return tuple(blocks)


def _findings(evaluation: Evaluation) -> list[str]:
    layers = evaluation.layers
    sentences = []
    if len(layers) > 2 and "effective_rank" in layers[0].metrics:
        course = [(layer.metrics["effective_rank"].mean or math.nan, layer.index) for layer in layers]
        low, lowest = min(course)
        high, highest = max(course)
        sentences.append(
            f"States are most compressed at hidden state {lowest}, where a text fills {low:.1f} directions, and least"
            f" at {highest}, with {high:.1f} of {evaluation.model.width}."
        )
    calibrated = evaluation.summary.get("matrix_entropy_calibrated")
    if calibrated and calibrated.mean is not None:
        sentences.append(
            f"At the end the spectrum holds {100 * calibrated.mean:.0f} % of the entropy that structureless states of"
            " the same lengths and width would have: what is missing is what the model has compressed."
        )
    loss, entropy = evaluation.summary.get("loss"), evaluation.summary.get("conditional_entropy")
    if loss and entropy and loss.token_weighted_mean is not None and entropy.mean is not None:
        gap = loss.token_weighted_mean - entropy.mean
        verdict = "about as sure as it should be"
        if abs(gap) > 2 * (loss.standard_error or math.inf):
            verdict = "surer than it should be" if gap > 0 else "less sure than it could be"
        sentences.append(
            f"In its predictions the model is {verdict}: it loses {loss.token_weighted_mean:.3f} nats a token, and"
            f" expects to lose {entropy.mean:.3f}."
        )
    return sentences


def _layer_figures(evaluation: Evaluation) -> tuple[Figure, ...]:
    figures = []
    for name in evaluation.layers[0].metrics:
        if name in evaluation.settings.get("last_layer_only", ()):
            continue
        metric = METRICS[name]
        figures.append(
            Figure(
                title=_metric_title(evaluation, name),
                x_label="hidden state",
                y_label=metric.unit or "",
                series=(_course(evaluation.layers, name), *_reference(evaluation, name)),
                caption=f"{metric.what} {metric.null} {metric.caution}",
            )
        )
    return tuple(figures)


_CODES = {
    "redundancy": (
        "Code redundancy",
        "",
        "Share of a text's tokens that are surplus to the different codes of this block's gated units: 0 when every"
        " token switches on a combination of its own. Grows with the length of a text.",
    ),
    "dead": ("Dead units", "", "Share of gated units that no token of any text switches on."),
    "always_on": (
        "Always-on units",
        "",
        "Share of gated units that every token of every text switches on: they gate nothing.",
    ),
    "bit_entropy": (
        "Bit entropy",
        "nats",
        "Entropy of a gated unit being on or off over all tokens, mean over units; at most ln 2, 0.693. Near zero the"
        " units hardly tell tokens apart.",
    ),
}


def _code_figures(layers: Sequence[Layer]) -> tuple[Figure, ...]:
    coded = [(layer.index, layer.codes) for layer in layers if layer.codes]
    if not coded:
        return ()
    return tuple(
        Figure(
            title=title,
            x_label="hidden state",
            y_label=unit,
            series=(
                Series(
                    "gates of the block before",
                    [index for index, _ in coded],
                    [getattr(codes, name) for _, codes in coded],
                ),
            ),
            caption=caption,
        )
        for name, (title, unit, caption) in _CODES.items()
    )


def _course(layers: Sequence[Layer], name: str) -> Series:
    def column(value: Callable[[Layer], float | None]) -> list[float | None]:
        return [value(layer) for layer in layers]

    return Series(
        "of all texts" if name in OF_ALL_TEXTS else "mean over texts",
        [layer.index for layer in layers],
        column(lambda layer: layer.metrics[name].mean),
        low=column(lambda layer: (layer.metrics[name].ci95 or (layer.metrics[name].mean,))[0]),
        high=column(lambda layer: (layer.metrics[name].ci95 or (layer.metrics[name].mean,))[-1]),
    )


def _reference(evaluation: Evaluation, name: str) -> tuple[Series, ...]:
    level = _REFERENCES.get(name, evaluation.settings.get("isotropic_null", {}).get(name))
    if level is None:
        return ()
    x = [layer.index for layer in evaluation.layers]
    return (Series("isotropic null", x, [level] * len(x), kind="reference"),)


def _spectrum_figure(evaluation: Evaluation) -> tuple[Figure, ...]:
    layers = evaluation.layers
    chosen = sorted({0, len(layers) // 4, len(layers) // 2, 3 * len(layers) // 4, len(layers) - 1})
    series = []
    for position in chosen:
        spectrum = [value for value in layers[position].spectrum if value > 0]
        if spectrum:
            name = f"{layers[position].index} ({layers[position].name})"
            series.append(Series(name, list(range(1, len(spectrum) + 1)), spectrum))
    if not series:
        return ()
    return (
        Figure(
            title="Spectrum of the normalized covariance",
            x_label="rank",
            y_label="mean eigenvalue",
            series=tuple(series),
            x_scale="log",
            y_scale="log",
            caption="The largest eigenvalues, averaged over texts; all of them add up to one. A steep line is strong"
            " compression, a flat one none.",
        ),
    )


def _layer_table(evaluation: Evaluation) -> Table:
    names = list(evaluation.layers[0].metrics)
    coded = any(layer.codes for layer in evaluation.layers)
    return Table(
        title="Means over texts at every hidden state",
        columns=(
            Column("Hidden state"),
            *(
                Column(_metric_title(evaluation, name), METRICS[name].unit, METRICS[name].what)
                for name in names
            ),
            *(Column(title, unit) for title, unit, _ in (_CODES.values() if coded else ())),
        ),
        rows=tuple(
            (
                f"{layer.index} ({layer.name})",
                *(layer.metrics[name].mean for name in names),
                *(getattr(layer.codes, name, None) for name in (_CODES if coded else ())),
            )
            for layer in evaluation.layers
        ),
    )


def _glossary_table(evaluation: Evaluation) -> Table:
    return Table(
        title="What each figure measures",
        columns=(
            Column("Metric"),
            Column("What it measures"),
            Column("Without structure"),
            Column("When not to trust it"),
        ),
        rows=tuple(
            (METRICS[name].title, METRICS[name].what, METRICS[name].null, METRICS[name].caution)
            for name in evaluation.summary
        ),
    )


def _texts(evaluation: Evaluation) -> tuple[Text | Table, ...]:
    corpus, texts = evaluation.corpus, evaluation.texts
    blocks: list[Text | Table] = [
        Text(
            f"{_count(corpus.texts, 'text')} of {corpus.bytes:,} bytes; {texts.scored:,} scored, {len(texts.skipped):,}"
            f" skipped, {corpus.truncated:,} cut to {corpus.max_length:,} tokens. The figures of every single text lie"
            " in texts.jsonl beside this page."
        )
    ]
    blocks += _outlying(evaluation)
    if texts.skipped:
        blocks.append(
            Table(
                title="Skipped texts",
                columns=(Column("Index in the corpus"), Column("Reason")),
                rows=tuple((text.index, text.reason) for text in texts.skipped[:_SHOWN]),
                caption=f"The first {_SHOWN} of {len(texts.skipped):,}."
                if len(texts.skipped) > _SHOWN
                else "",
            )
        )
    return tuple(blocks)


def _outlying(evaluation: Evaluation) -> list[Text | Table]:
    found = outliers(evaluation)
    if not found:
        return []
    names = [
        name for name in ("loss", "matrix_entropy_calibrated", "anisotropy") if name in evaluation.summary
    ]
    table = Table(
        title="Texts that stand apart",
        columns=(
            Column("Text", help="Index in the corpus; the link leads to how it begins"),
            Column("Apart in"),
            Column("Standard deviations", help="From the mean over texts", digits=2),
            Column("Tokens"),
            *(Column(METRICS[name].title, METRICS[name].unit) for name in names),
        ),
        rows=tuple(
            (
                Link(f"{one.record.index}", f"#text-{one.record.index}"),
                METRICS[one.metric].title,
                one.deviations,
                one.record.tokens,
                *(one.record.values.get(name) for name in names),
            )
            for one in found
        ),
        caption="More than two standard deviations from the mean; look at them before believing an average.",
    )
    begins = [
        Text(
            f"Text {one.record.index} begins: {' '.join(one.record.excerpt.split())} …",
            anchor=f"text-{one.record.index}",
        )
        for one in found
    ]
    return [table, *begins]


def _provenance(evaluation: Evaluation) -> Table:
    groups = {
        "model": evaluation.model,
        "corpus": evaluation.corpus,
        "environment": evaluation.environment,
        "timing": evaluation.timing,
    }
    rows: list[tuple[object, ...]] = [
        (f"{group}: {name}", _plain(value))
        for group, record in groups.items()
        for name, value in vars(record).items()
    ]
    rows += [(f"setting: {name}", _plain(value)) for name, value in evaluation.settings.items()]
    return Table(
        title="What it takes to repeat this", columns=(Column("Item"), Column("Value")), rows=tuple(rows)
    )


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    return format_number(value) if isinstance(value, float) else "–" if value is None else str(value)


def _null_sentence(evaluation: Evaluation) -> str:
    null = evaluation.settings.get("isotropic_null")
    if not null or "matrix_nuclear_norm" not in evaluation.summary:
        return ""
    return (
        f"States without structure would have a matrix nuclear-norm of {null['matrix_nuclear_norm']:.4f} and an entropy"
        f" of {null['matrix_entropy']:.4f} nats at these lengths and this width."
    )


def _sketch(layers: Sequence[Layer], name: str) -> str:
    if name in CODES:
        course: list[float | None] = [layer.codes.redundancy for layer in layers if layer.codes]
    else:
        course = [layer.metrics[name].mean for layer in layers if name in layer.metrics]
    count = min(len(course), _SKETCH_WIDTH)
    values = [course[round(i * (len(course) - 1) / max(1, count - 1))] for i in range(count)]
    known = [value for value in values if value is not None]
    if len(known) < min(2, count):
        return ""
    low, span = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    return "".join(
        " " if value is None else _BARS[min(7, int(8 * (value - low) / span)) if span > 0 else 0]
        for value in values
    )


def _metric_title(evaluation: Evaluation, name: str) -> str:
    """Beside a figure of all texts stands how many there were."""
    title = METRICS[name].title
    return f"{title} (of {_count(evaluation.texts.scored, 'text')})" if name in OF_ALL_TEXTS else title


def _title(evaluation: Evaluation) -> str:
    return f"{evaluation.model.name} on {evaluation.corpus.name}, last hidden state"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
