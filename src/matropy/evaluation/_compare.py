"""Put models side by side over the same texts."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from matropy._core._errors import InputError
from matropy._core._validation import check_integer
from matropy._version import __version__
from matropy.evaluation._accumulators import REPLICATES
from matropy.evaluation._comparability import CALIBRATED, agreement, verdict
from matropy.evaluation._comparison import Compared, Comparison, Difference, MetricComparison, Profile
from matropy.evaluation._evaluation import Evaluation, load_evaluation
from matropy.evaluation._glossary import CODES, METRICS, OF_ALL_TEXTS
from matropy.evaluation._pairing import LOGARITHMIC, CommonTexts, Measured, common_texts, own_records

__all__ = ["compare"]

Source = Evaluation | str | os.PathLike[str]


def compare(*evaluations: Source, names: Sequence[str] | None = None, seed: int = 0) -> Comparison:
    """Put evaluations side by side: over the same texts, with the uncertainty of every difference.

    Each model is compared with the first one, text by text: what makes a text hard for all of them cancels, so
    differences are known better than the means they are of. Texts are recognized by their content, so corpora may overlap in
    part. An evaluation without records of its texts (only its JSON was kept) is compared by its means. Where widths,
    tokens, lengths or corpora differ, figures that depend on them are shown and not compared, and the result says why.

    Parameters
    ----------
    *evaluations : Evaluation or path
        Two or more; a path is what :func:`load_evaluation` takes. The first is the baseline.
    names : sequence of str, optional
        What to call them, each name once; by default the models' names, with a number where these repeat.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        For fewer than two evaluations, a file that is none, no common text, or no metric that two of them share.

    Examples
    --------
    >>> import matropy
    >>> comparison = matropy.compare("small/evaluation.json", "large/evaluation.json")  # doctest: +SKIP
    >>> comparison.metrics["matrix_entropy_calibrated"].differences[0].ci95  # doctest: +SKIP
    """
    seed = check_integer(seed, "seed", low=0)
    if len(evaluations) < 2:
        raise InputError(f"compare needs two evaluations or more, got {len(evaluations)}")
    loaded = [_load(source) for source in evaluations]
    called = _names(loaded, evaluations, names)
    metrics = _metrics(loaded)
    sides = _Sides(loaded, called, metrics, seed)
    compared = {name: sides.metric(name) for name in metrics}
    return Comparison(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        matropy=__version__,
        seed=seed,
        bootstrap_replicates=REPLICATES,
        common_texts=sides.common_texts,
        models=[
            Compared(
                name=name,
                paired=place in sides.paired,
                created=one.created,
                matropy=one.matropy,
                environment=one.environment,
                model=one.model,
                corpus=one.corpus,
                settings=one.settings,
                texts=one.texts,
            )
            for place, (name, one) in enumerate(zip(called, loaded, strict=True))
        ],
        metrics=compared,
        profiles={
            name: profiles
            for name, metric in compared.items()
            if (profiles := _profiles(loaded, name, metric))
        },
    )


class _Sides:
    """The evaluations as they stand to each other."""

    def __init__(
        self, evaluations: Sequence[Evaluation], names: Sequence[str], metrics: Sequence[str], seed: int
    ) -> None:
        self._evaluations, self._names = evaluations, names
        records = {place: own_records(one) for place, one in enumerate(evaluations)}
        known = {place: found for place, found in records.items() if found is not None}
        self.common_texts: int | None = None
        self.paired: dict[int, int] = {}
        """Where a model that is compared text by text stands among those that are."""
        if 0 in known and len(known) > 1:
            texts = common_texts(list(known.values()))
            if not texts:
                listed = ", ".join(repr(names[place]) for place in known)
                raise InputError(f"no text is common to {listed}")
            self.paired = {place: position for position, place in enumerate(known)}
            self.common_texts = len(texts)
            self._common = CommonTexts(texts, metrics, seed)
        self._agreements = [
            agreement(
                evaluations[0],
                evaluations[place],
                [(text[0], text[self.paired[place]]) for text in texts] if place in self.paired else None,
            )
            for place in range(1, len(evaluations))
        ]

    def metric(self, name: str) -> MetricComparison:
        """One figure of all models."""
        places = range(len(self._evaluations))
        values = [self._value(name, place) for place in places]
        differences = [self._difference(name, place) for place in places[1:]]
        measured = [place for place in places if values[place].value is not None]
        ranked = sorted(measured, key=lambda place: values[place].value or 0.0)
        comparable = all(one.comparable != "no" for one in differences)
        return MetricComparison(
            unit=METRICS[name].unit,
            kind="ratio" if name in LOGARITHMIC else "difference",
            values=values,
            differences=differences,
            order=[self._names[place] for place in ranked] if comparable else None,
        )

    def _value(self, name: str, place: int) -> Measured:
        if place in self.paired and name not in OF_ALL_TEXTS:
            return self._common.value(name, self.paired[place])
        return _of_all_texts(self._evaluations[place], name)

    def _difference(self, name: str, place: int) -> Difference:
        found = verdict(name, self._agreements[place - 1])
        if found.comparable == "no":
            one = Measured(None, None, None)
        elif place in self.paired and name not in OF_ALL_TEXTS:
            one = self._common.difference(name, self.paired[place])
        else:
            one = _unpaired(name, *(_of_all_texts(self._evaluations[i], name) for i in (0, place)))
        return Difference(
            one.value, one.standard_error, one.ci95, found.comparable, found.because, found.consequence
        )


def _unpaired(name: str, baseline: Measured, other: Measured) -> Measured:
    """The difference of two means, each over texts of its own: their errors add in quadrature."""
    ratio = name in LOGARITHMIC
    if baseline.value is None or other.value is None or (ratio and min(baseline.value, other.value) <= 0):
        return Measured(None, None, None)
    value = other.value / baseline.value if ratio else other.value - baseline.value
    if baseline.standard_error is None or other.standard_error is None:
        return Measured(value, None, None)
    if ratio:
        error = math.hypot(baseline.standard_error / baseline.value, other.standard_error / other.value)
        return Measured(
            value, error * value, (value * math.exp(-1.96 * error), value * math.exp(1.96 * error))
        )
    error = math.hypot(baseline.standard_error, other.standard_error)
    return Measured(value, error, (value - 1.96 * error, value + 1.96 * error))


def _of_all_texts(evaluation: Evaluation, name: str) -> Measured:
    metric = evaluation.summary.get(name)
    if metric is None:
        return Measured(None, None, None)
    return Measured(metric.mean, metric.standard_error, metric.ci95)


def _metrics(evaluations: Sequence[Evaluation]) -> list[str]:
    """What the baseline and another model were measured by, calibrated figures first."""
    first, *others = (set(one.summary) for one in evaluations)
    shared = [name for name in METRICS if name in first and any(name in other for other in others)]
    if not shared:
        raise InputError("the evaluations have no metric in common")
    return [name for name in CALIBRATED if name in shared] + [
        name for name in shared if name not in CALIBRATED
    ]


def _profiles(evaluations: Sequence[Evaluation], name: str, metric: MetricComparison) -> list[Profile]:
    """Courses over the layers of the baseline and of what may be compared with it; none if nothing may."""
    allowed = [True, *(one.comparable != "no" for one in metric.differences)]
    profiles = [
        _profile(evaluation, name) if may else Profile([], [], [])
        for evaluation, may in zip(evaluations, allowed, strict=True)
    ]
    return profiles if profiles[0].depth and any(one.depth for one in profiles[1:]) else []


def _profile(evaluation: Evaluation, name: str) -> Profile:
    last = max(1, evaluation.model.layers)
    if name in CODES:
        coded = [(layer.index / last, layer.codes.redundancy) for layer in evaluation.layers if layer.codes]
        return Profile(
            depth=[depth for depth, _ in coded], mean=[value for _, value in coded], ci95=[None] * len(coded)
        )
    single = name in evaluation.settings.get("last_layer_only", ())
    layers = [layer for layer in evaluation.layers if name in layer.metrics and not single]
    return Profile(
        depth=[layer.index / last for layer in layers],
        mean=[layer.metrics[name].mean for layer in layers],
        ci95=[layer.metrics[name].ci95 for layer in layers],
    )


def _load(source: Source) -> Evaluation:
    if isinstance(source, Evaluation):
        return source
    evaluation = load_evaluation(source)
    for layer in evaluation.layers:
        for name, metric in layer.metrics.items():
            if metric.ci95 and metric.ci95[0] > metric.ci95[1]:
                raise InputError(
                    f"{source} is damaged: the interval of {name} at layer {layer.index} is reversed"
                )
    return evaluation


def _names(
    evaluations: Sequence[Evaluation], sources: Sequence[Source], names: Sequence[str] | None
) -> list[str]:
    if names is not None:
        if len(names) != len(evaluations) or len(set(names)) != len(names):
            raise InputError(f"names must be {len(evaluations)} different names, got {list(names)!r}")
        return list(names)
    called = [one.model.name for one in evaluations]
    for origin in (_folder, _number):
        if len(set(called)) < len(called):
            called = [
                f"{name} ({origin(sources[place], place)})" if called.count(name) > 1 else name
                for place, name in enumerate(called)
            ]
    return called


def _folder(source: Source, place: int) -> str:
    """Name of the folder that an evaluation was saved in, or of its file if that has another than the usual one."""
    if isinstance(source, Evaluation):
        return _number(source, place)
    path = Path(source).resolve()
    return path.parent.name if path.name == "evaluation.json" else path.stem


def _number(source: Source, place: int) -> str:
    return str(place + 1)
