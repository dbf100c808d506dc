"""Evaluations made from chosen figures of single texts, saved as real ones are."""

import math

import msgspec
import numpy as np

from matropy.evaluation._evaluation import (
    CorpusInfo,
    Environment,
    Evaluation,
    Layer,
    LayerMetric,
    ModelInfo,
    SummaryMetric,
    Texts,
    Timing,
)
from matropy.evaluation._records import RECORDS_FILE, TextRecord, TextRecords, text_digest

MEASURES = ("matrix_entropy_calibrated", "matrix_nuclear_norm_calibrated", "matrix_entropy", "anisotropy")
SCORES = ("loss", "perplexity", "bits_per_byte", "conditional_entropy")


def stand_in(
    folder,
    *,
    name="model",
    texts=range(30),
    seed=0,
    shift=0.0,
    tokens=None,
    size=None,
    records=True,
    metrics=MEASURES + SCORES,
    width=64,
    vocabulary=256,
    max_length=128,
    truncated=0,
    settings=None,
    corpus="texts.jsonl",
):
    """Save an evaluation of ``texts`` (anything that ``str`` tells apart) into ``folder`` and load nothing.

    ``tokens`` and ``size`` give the tokens and bytes of a text from its position, and ``shift`` moves all figures.
    """
    rng = np.random.default_rng(seed)
    tokens = tokens or (lambda place: 20 + place % 7)
    size = size or (lambda place: 80 + 3 * (place % 5))
    found = []
    for place, text in enumerate(texts):
        values = {metric: float(rng.uniform(0.3, 0.9)) + shift for metric in metrics}
        predicted = tokens(place) - 1
        loss = 2.5 + shift + float(rng.normal())
        values |= {
            "loss": loss,
            "perplexity": math.exp(loss),
            "bits_per_byte": loss * predicted / math.log(2) / size(place),
            "conditional_entropy": 2 + float(rng.normal()) / 4,
        }
        found.append(
            TextRecord(
                index=place,
                sha256=text_digest(str(text)),
                excerpt=str(text)[:20],
                tokens=tokens(place),
                predicted=predicted,
                bytes=size(place),
                values={metric: values[metric] for metric in metrics},
            )
        )
    folder.mkdir(parents=True, exist_ok=True)
    evaluation = Evaluation(
        created="2026-01-01T00:00:00+00:00",
        matropy="0.1.0",
        environment=Environment("3.11", "2.6", "5.0", "here", "cpu", "float32", 1),
        model=ModelInfo(name, name, "Llama", 1000, 2, width, vocabulary, None, None),
        corpus=CorpusInfo(corpus, len(found), 1000, text_digest(corpus), max_length, truncated),
        settings={"drop_bos": False, "context": 2048, "windowed_texts": 0, **(settings or {})},
        texts=Texts(len(found)),
        summary={metric: _summary(metric, found) for metric in metrics},
        layers=[_layer(index, found, metrics) for index in range(3)],
        timing=Timing(1.0, 1.0, 1.0, 1.0, None),
    )
    (folder / "evaluation.json").write_bytes(msgspec.json.encode(evaluation))
    if not records:
        return evaluation
    path = folder / RECORDS_FILE
    path.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in found))
    return evaluation.with_records(TextRecords(path))


def mean_of(metric, records):
    """The figure over texts, straight from its definition."""
    values = np.array([record.values[metric] for record in records])
    predicted = np.array([record.predicted for record in records])
    sizes = np.array([record.bytes for record in records])
    if metric == "perplexity":
        return math.exp(np.average(np.log(values), weights=predicted))
    if metric == "conditional_entropy":
        return float(np.average(values, weights=predicted))
    if metric == "bits_per_byte":
        return float(np.sum(values * sizes) / np.sum(sizes))
    return float(values.mean())


def _summary(metric, records):
    mean = mean_of(metric, records)
    values = [record.values[metric] for record in records]
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return SummaryMetric(mean, mean, error, None, "")


def _layer(index, records, metrics):
    measured = [metric for metric in metrics if metric in MEASURES]
    means = {metric: mean_of(metric, records) * (1 - index / 10) for metric in measured}
    return Layer(
        index,
        f"layer {index}",
        {name: LayerMetric(mean, 0.01, (mean - 0.02, mean + 0.02)) for name, mean in means.items()},
        [0.5, 0.2],
    )
