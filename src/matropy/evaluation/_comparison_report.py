"""A comparison as a table and as a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matropy.evaluation._comparability import CALIBRATED
from matropy.evaluation._comparison import Compared, Comparison, Profile
from matropy.evaluation._comparison_words import (
    differs,
    findings,
    in_order,
    interval,
    letter,
    notes,
    signed,
)
from matropy.evaluation._glossary import METRICS
from matropy.reporting import Column, Facts, Figure, Grid, Page, Section, Series, Table, Text, format_number

__all__ = ["report", "terminal_table"]

_VERDICTS = {"yes": 0, "with care": 1, "no": 2}

_SET_UP: tuple[tuple[str, Callable[[Compared], object], str], ...] = (
    (
        "Width",
        lambda one: one.model.width,
        "Figures that depend on the width are shown and not compared; calibrated ones and scores are.",
    ),
    (
        "Layers",
        lambda one: one.model.layers,
        "Profiles are drawn over relative depth; the last hidden states are compared.",
    ),
    (
        "Vocabulary",
        lambda one: one.model.vocabulary,
        "Loss, perplexity and conditional entropy count in tokens: they are compared only where every common text is"
        " cut into the same ones. Bits per byte need no common tokens.",
    ),
    (
        "Maximal length",
        lambda one: one.corpus.max_length,
        "Where it cuts texts off, the models read other amounts of them: little can be compared then.",
    ),
    (
        "First token left out",
        lambda one: bool(one.settings.get("drop_bos")),
        "Texts are one row shorter there.",
    ),
    (
        "Windows",
        lambda one: one.settings.get("context") if one.settings.get("windowed_texts") else None,
        "Long texts are cut at this many tokens, so that states are measured over other lengths.",
    ),
    (
        "Corpus",
        lambda one: f"{one.corpus.name} ({one.corpus.sha256[:8]})",
        "Only the texts in common count where these are known; layers are drawn over all texts of each model.",
    ),
    (
        "Records of texts",
        lambda one: one.paired,
        "Without them means are compared, and what all texts share does not cancel.",
    ),
    (
        "Precision",
        lambda one: one.environment.dtype,
        "Small differences may be rounding: evaluate one model in both before believing them.",
    ),
    (
        "Quantization",
        lambda one: one.model.quantization or "none",
        "What is measured are the weights after quantization.",
    ),
    (
        "Device",
        lambda one: one.environment.device,
        "Sums are formed in another order: digits after the fifth mean nothing.",
    ),
    ("matropy", lambda one: one.matropy, "Definitions may have changed: see the change log."),
)


def report(comparison: Comparison) -> Page:
    """The page: what differs and how sure it is, every figure, layers, set-up, provenance."""
    names = [model.name for model in comparison.models]
    sections = [
        Section("What differs, and can I believe it?", _first_screen(comparison)),
        Section(
            "All figures",
            (
                *(_compared(comparison, place) for place in range(1, len(names))),
                *_order(comparison),
                *_not_compared(comparison),
            ),
            lead="At the last hidden state, or of the predictions. Each interval stands for itself: among twenty"
            " differences that are nil, one interval is expected to leave out zero.",
        ),
    ]
    if comparison.profiles:
        sections.append(
            Section(
                "Layer by layer",
                (Grid(tuple(_profile_figure(comparison, name) for name in comparison.profiles)),),
                lead="Figures that may be compared, over relative depth: 0 is the embedding, 1 the state after the"
                " final norm. Bands are bootstrap 95 % intervals of each model alone, over all of its texts: paired"
                " differences are surer than bands that overlap suggest.",
            )
        )
    sections += [
        Section("What differs in the set-up", _set_up(comparison)),
        Section("Provenance", _provenance(comparison)),
    ]
    return Page(
        title=" and ".join(names) if len(names) == 2 else f"{len(names)} models side by side",
        subtitle="; ".join(f"{letter(place)}: {name}" for place, name in enumerate(names)),
        sections=tuple(sections),
        footer=f"matropy {comparison.matropy}, {comparison.created}",
    )


def terminal_table(comparison: Comparison) -> Table:
    """All figures in 80 columns, one row a model; figures that are not compared stand last."""
    rows = []
    for name in _by_comparability(comparison, range(len(comparison.models) - 1)):
        metric = comparison.metrics[name]
        for place, value in enumerate(metric.values):
            change, ends = "", ""
            if place:
                found = metric.differences[place - 1]
                change = signed(found.value, metric.kind)
                ends = "not compared" if found.comparable == "no" else interval(found.ci95)
            rows.append((name if not place else "", letter(place), format_number(value.value), change, ends))
    return Table(
        title="Last hidden state and predictions, against A",
        columns=(
            Column("metric"),
            Column(""),
            Column("mean"),
            Column("difference"),
            Column("95 % interval"),
        ),
        rows=tuple(rows),
        caption="; ".join(f"{letter(place)}: {one.name}" for place, one in enumerate(comparison.models)),
    )


def _first_screen(comparison: Comparison) -> tuple[Text | Facts | Table, ...]:
    facts: list[tuple[str, object, str]] = []
    if len(comparison.models) == 2:
        for name, label, hint in (
            ("bits_per_byte", "Bits per byte", "less is better"),
            ("matrix_entropy_calibrated", "Calibrated entropy", "less is compression"),
        ):
            found = comparison.metrics[name].differences[0] if name in comparison.metrics else None
            if found and found.value is not None:
                ends = f"{interval(found.ci95)}; " if found.ci95 else ""
                facts.append((f"{label}, B - A", signed(found.value, "difference"), ends + hint))
    if comparison.common_texts is not None:
        facts.append(("Common texts", comparison.common_texts, "the same ones for every model"))
    compared = sum(metric.order is not None for metric in comparison.metrics.values())
    facts.append(("Figures compared", f"{compared} of {len(comparison.metrics)}", "between all models"))
    sentences = findings(comparison) or ["No figure that says who predicts or compresses better is compared."]
    return (
        Facts(tuple(facts)),
        Text(tuple(sentences)),
        Text(tuple(notes(comparison)), kind="note"),
        _models(comparison),
    )


def _models(comparison: Comparison) -> Table:
    return Table(
        title="Models",
        columns=(
            Column(""),
            Column("Name"),
            Column("Parameters"),
            Column("Layers"),
            Column("Width"),
            Column("Vocabulary"),
            Column("Texts"),
        ),
        rows=tuple(
            (
                letter(place),
                one.name,
                one.model.parameters,
                one.model.layers,
                one.model.width,
                one.model.vocabulary,
                one.texts.scored,
            )
            for place, one in enumerate(comparison.models)
        ),
    )


def _compared(comparison: Comparison, place: int) -> Table | Text:
    """Figures that may be compared between a model and the baseline."""
    one = letter(place)
    title = f"{one} against A"
    rows = []
    careful: dict[tuple[str, str], list[str]] = {}
    for name in _by_comparability(comparison, [place - 1]):
        metric = comparison.metrics[name]
        found = metric.differences[place - 1]
        if found.comparable == "no":
            continue
        if found.comparable == "with care":
            careful.setdefault((found.because, found.consequence), []).append(METRICS[name].title)
        said = differs(found, metric.kind)
        rows.append(
            (
                METRICS[name].title + (" (ratio)" if metric.kind == "ratio" else ""),
                metric.values[0].value,
                metric.values[place].value,
                found.value,
                *(found.ci95 or (None, None)),
                f"{one} is {'higher' if said > 0 else 'lower'}" if said else "open",
                found.comparable,
            )
        )
    if not rows:
        return Text(f"{title}: no figure may be compared.")
    return Table(
        title=title,
        columns=(
            Column("Figure"),
            Column("A"),
            Column(one),
            Column(f"{one} - A", help="Of perplexity, the ratio", digits=3),
            Column("Low", help="Lower end of the 95 % interval", digits=3),
            Column("High", help="Upper end of the 95 % interval", digits=3),
            Column("So", help="Open where the interval holds zero (of the ratio, one)"),
            Column("Comparable"),
        ),
        rows=tuple(rows),
        caption=" ".join(
            f"With care, since {because}: {'; '.join(titles)} ({consequence})."
            for (because, consequence), titles in careful.items()
        ),
    )


def _not_compared(comparison: Comparison) -> tuple[Table, ...]:
    rows = []
    for name, metric in comparison.metrics.items():
        refused = [place for place, found in enumerate(metric.differences, 1) if found.comparable == "no"]
        if refused:
            why = dict.fromkeys(metric.differences[place - 1].consequence for place in refused)
            letters = ", ".join(map(letter, refused))
            rows.append((METRICS[name].title, *(one.value for one in metric.values), letters, "; ".join(why)))
    if not rows:
        return ()
    return (
        Table(
            title="Shown, not compared",
            columns=(
                Column("Figure"),
                *(Column(letter(place)) for place in range(len(comparison.models))),
                Column("Not with A", help="Models whose figure is not compared with the baseline's"),
                Column("Why"),
            ),
            rows=tuple(rows),
            caption="N is the number of tokens of a text, d the width of a model.",
        ),
    )


def _order(comparison: Comparison) -> tuple[Table, ...]:
    rows = tuple(
        (METRICS[name].title, in_order(comparison, name))
        for name in comparison.metrics
        if in_order(comparison, name)
    )
    if len(comparison.models) < 3 or not rows:
        return ()
    return (
        Table(
            title="In order",
            columns=(Column("Figure"), Column("Lowest first")),
            rows=rows,
            caption="Of figures that may be compared between all models, as they stand over these texts.",
        ),
    )


def _by_comparability(comparison: Comparison, places: Sequence[int]) -> list[str]:
    """Names of metrics: calibrated, comparable, with care, not compared with one of the models at ``places``."""

    def rank(name: str) -> tuple[int, bool]:
        worst = max(_VERDICTS[comparison.metrics[name].differences[place].comparable] for place in places)
        return (2 if worst == 2 else 0 if name in CALIBRATED else 1), worst == 1

    return sorted(comparison.metrics, key=rank)


def _profile_figure(comparison: Comparison, name: str) -> Figure:
    series = [
        _course(f"{letter(place)}: {model.name}", profile)
        for place, (model, profile) in enumerate(
            zip(comparison.models, comparison.profiles[name], strict=True)
        )
        if profile.depth
    ]
    if name in CALIBRATED:
        series.append(Series("isotropic null", [0.0, 1.0], [1.0, 1.0], kind="reference"))
    return Figure(
        title=METRICS[name].title,
        x_label="relative depth",
        y_label=METRICS[name].unit,
        series=tuple(series),
        caption=METRICS[name].what,
    )


def _course(name: str, profile: Profile) -> Series:
    ends = [ci95 or (mean, mean) for ci95, mean in zip(profile.ci95, profile.mean, strict=True)]
    return Series(
        name, profile.depth, profile.mean, low=[low for low, _ in ends], high=[high for _, high in ends]
    )


def _set_up(comparison: Comparison) -> tuple[Text | Table, ...]:
    rows = []
    for what, value, follows in _SET_UP:
        values = [value(one) for one in comparison.models]
        if any(one != values[0] for one in values):
            each = "; ".join(f"{letter(place)}: {_plain(one)}" for place, one in enumerate(values))
            rows.append((what, each, follows))
    if not rows:
        return (Text("Nothing that matters to a figure."),)
    return (
        Table(
            title="Differences and what follows from them",
            columns=(Column("What"), Column("Values"), Column("What follows")),
            rows=tuple(rows),
        ),
    )


def _provenance(comparison: Comparison) -> tuple[Table, ...]:
    """What is each evaluation's own, and what they share."""
    items: dict[str, dict[str, str]] = {}
    letters = [letter(place) for place in range(len(comparison.models))]
    for called, one in zip(letters, comparison.models, strict=True):
        groups = {
            "evaluation": {"created": one.created, "matropy": one.matropy, "texts scored": one.texts.scored},
            "model": vars(one.model),
            "corpus": vars(one.corpus),
            "environment": vars(one.environment),
            "setting": one.settings,
        }
        for group, values in groups.items():
            for name, value in values.items():
                items.setdefault(f"{group}: {name}", dict.fromkeys(letters, "–"))[called] = _plain(value)
    own = {item: values for item, values in items.items() if len(set(values.values())) > 1}
    shared = [(item, values[letters[0]]) for item, values in items.items() if item not in own]
    return (
        Table(
            title="Each one's own",
            columns=(Column("Item"), Column("Of"), Column("Value")),
            rows=tuple((item, *pair) for item, values in own.items() for pair in values.items()),
        ),
        Table(
            title="The same for all",
            columns=(Column("Item"), Column("Value")),
            rows=(
                *shared,
                ("comparison: seed", str(comparison.seed)),
                ("comparison: bootstrap replicates", str(comparison.bootstrap_replicates)),
            ),
        ),
    )


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    if value is None or isinstance(value, int | float):
        return format_number(value)
    return str(value)
