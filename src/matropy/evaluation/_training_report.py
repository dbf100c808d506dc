"""A training as a page: every layer's measures over the steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from matropy.evaluation._collapse import Collapse
from matropy.evaluation._evaluation import Evaluation, Layer
from matropy.evaluation._glossary import METRICS
from matropy.reporting import (
    Column,
    Facts,
    Figure,
    Grid,
    HeatMap,
    Link,
    Page,
    Section,
    Series,
    Table,
    Text,
    format_number,
)

__all__ = ["training_report"]

Course = Mapping[int, Evaluation]
"""Evaluations of the same texts and layers, by step, in rising order."""

_COLUMNS = 80
_NOISE = 1e-6


def training_report(course: Course, collapses: Sequence[Collapse], faults: Sequence[str]) -> Page:
    """The page: what happened, the course of chosen layers, of all layers, spectra, every evaluation."""
    first, last = course[min(course)], course[max(course)]
    return Page(
        title=last.model.name.rpartition(", step ")[0],
        subtitle=f"How training changes its hidden states on {last.corpus.name}",
        sections=(
            Section("What happened", _first_screen(course, collapses, faults)),
            Section(
                "Over training",
                (Grid(_courses(course)),),
                lead="Means over the texts, which are the same at every step.",
            ),
            Section("Layer by layer", (_heat_map(course),)),
            Section(
                "Spectra",
                (Grid(_spectra(course)),),
                lead="The largest eigenvalues of the normalized covariance, averaged over texts; all of them add up to"
                " one. The steeper, the fewer directions are in use.",
            ),
            Section("Every evaluation", (_table(course),)),
        ),
        footer=f"matropy {last.matropy}, {first.created} to {last.created}",
    )


def _first_screen(
    course: Course, collapses: Sequence[Collapse], faults: Sequence[str]
) -> tuple[Text | Facts | Table, ...]:
    start, end = min(course), max(course)
    first, last = course[start], course[end]
    final, isotropic = last.layers[-1], math.exp(last.settings["isotropic_null"]["matrix_entropy"])
    facts: list[tuple[str, object, str]] = [
        ("Step", end, f"{len(course)} evaluations of {last.texts.scored} texts"),
        (
            "Effective rank",
            _rank(final),
            f"{final.name}; {format_number(_rank(first.layers[-1]))} at step {start},"
            f" {format_number(isotropic)} without structure",
        ),
    ]
    if "loss" in last.summary:
        loss = format_number(first.summary["loss"].mean)
        facts.insert(1, ("Loss", last.summary["loss"].mean, f"{loss} at step {start}"))
    down = [collapse for collapse in collapses if collapse.recovered_step is None]
    facts.append(("Collapsed", len(down), f"of {len(last.layers)} hidden states"))
    blocks: list[Text | Facts | Table] = [Facts(tuple(facts)), *_alarms(collapses, faults)]
    blocks.append(Text(_finding(course)))
    if last.texts.skipped:
        blocks.append(
            Text(
                f"{len(last.texts.skipped)} of {last.corpus.texts} texts could not be scored at step {end:,}:"
                f" {last.texts.skipped[0].reason}.",
                kind="note",
            )
        )
    return tuple(blocks)


def _alarms(collapses: Sequence[Collapse], faults: Sequence[str]) -> Iterator[Text | Table]:
    sentences = [
        f"{sentence[0].upper()}{sentence[1:]}." for sentence in (*map(str, collapses[:1]), *faults[:1])
    ]
    if len(collapses) > 1:
        sentences.insert(1, f"{len(collapses) - 1} more collapses are listed below.")
    if len(faults) > 1:
        sentences.append(f"{len(faults) - 1} more evaluations failed after that.")
    if sentences:
        yield Text(tuple(sentences), kind="warning")
    if len(collapses) > 1:
        yield Table(
            title="Collapses",
            columns=(
                Column("Hidden state"),
                Column("Collapsed by step"),
                Column("Effective rank", digits=3),
                Column("Best before", digits=3),
                Column("Best at step"),
                Column("Recovered at step"),
            ),
            rows=tuple(
                (one.name, one.step, one.rank, one.best_rank, one.best_step, one.recovered_step)
                for one in collapses
            ),
        )


def _finding(course: Course) -> str:
    steps, last = list(course), course[max(course)]
    lowest, highest = min(last.layers, key=_rank), max(last.layers, key=_rank)
    dip = min(steps, key=lambda step: _rank(course[step].layers[-1]))
    return (
        f"At step {steps[-1]:,} a text fills between {_rank(lowest):.1f} directions ({lowest.name}) and"
        f" {_rank(highest):.1f} ({highest.name}). At the end of the network it filled the fewest at step {dip:,}:"
        f" {_rank(course[dip].layers[-1]):.1f}."
    )


def _courses(course: Course) -> tuple[Figure, ...]:
    steps, last = list(course), course[max(course)]
    figures = []
    for name in ("effective_rank", "matrix_entropy_calibrated", "anisotropy"):
        if name in last.summary:
            series = [
                Series(
                    last.layers[position].name,
                    steps,
                    [evaluation.layers[position].metrics[name].mean for evaluation in course.values()],
                )
                for position in _chosen(len(last.layers), 4)
            ]
            figures.append(_figure(name, tuple(series)))
    if "loss" in last.summary:
        losses = [evaluation.summary["loss"].mean for evaluation in course.values()]
        figures.append(_figure("loss", (Series("mean over texts", steps, losses),)))
    return tuple(figures)


def _figure(name: str, series: tuple[Series, ...]) -> Figure:
    metric = METRICS[name]
    return Figure(metric.title, "step", metric.unit, series, caption=f"{metric.what} {metric.null}")


def _heat_map(course: Course) -> HeatMap:
    steps = list(course)
    steps = [steps[position] for position in _chosen(len(steps), _COLUMNS - 1)]
    layers = list(enumerate(course[steps[-1]].layers))[::-1]
    return HeatMap(
        "Effective rank of every layer",
        x_label="step",
        y_label="hidden state",
        x_ticks=steps,
        y_ticks=[layer.name for _, layer in layers],
        values=[[_rank(course[step].layers[position]) for step in steps] for position, _ in layers],
        caption="The end of the network is on top. A row that turns dark and stays dark has collapsed.",
    )


def _spectra(course: Course) -> tuple[Figure, ...]:
    """First, middle and last layer at the first, middle and last step."""
    steps, layers = list(course), course[max(course)].layers
    figures = []
    for position in _chosen(len(layers), 2):
        series = []
        for step in (steps[index] for index in _chosen(len(steps), 2)):
            spectrum = [value for value in course[step].layers[position].spectrum if value > _NOISE]
            series.append(Series(f"step {step:,}", range(1, len(spectrum) + 1), spectrum))
        figures.append(
            Figure(
                layers[position].name.capitalize(),
                "rank",
                "mean eigenvalue",
                tuple(series),
                x_scale="log",
                y_scale="log",
            )
        )
    return tuple(figures)


def _table(course: Course) -> Table:
    last = course[max(course)]
    scores = [name for name in ("loss", "bits_per_byte") if name in last.summary]
    chosen = _chosen(len(last.layers), 4)
    return Table(
        title="Scores, and the effective rank of some layers",
        columns=(
            Column("Step", help="Leads to the report of this step"),
            *(Column(METRICS[name].title) for name in scores),
            *(Column(last.layers[position].name.capitalize(), digits=3) for position in chosen),
        ),
        rows=tuple(
            (
                Link(f"{step:,}", f"step-{step:06d}/report.html"),
                *(evaluation.summary[name].mean for name in scores),
                *(_rank(evaluation.layers[position]) for position in chosen),
            )
            for step, evaluation in course.items()
        ),
    )


def _rank(layer: Layer) -> float:
    rank = layer.metrics["effective_rank"].mean
    return math.nan if rank is None else rank


def _chosen(length: int, parts: int) -> list[int]:
    """At most ``parts + 1`` positions, evenly from the first to the last."""
    return sorted({part * (length - 1) // parts for part in range(parts + 1)})
