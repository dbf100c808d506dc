"""A language model on real text: length, order of words, layers."""

from __future__ import annotations

import random
from collections.abc import Sequence

from matropy._core._errors import InputError, MissingExtraError
from matropy.evaluation import evaluate
from matropy.lm import LanguageModel, load_corpus, load_model
from matropy.metrics import isotropic_null
from matropy.reporting import Column, Figure, Series, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run
from matropy.studies.matrix_nuclear_norm._published import CEREBRAS_LENGTHS

WIKIPEDIA = ("matrix-nuclear-norm", "wikipedia_48.jsonl")
_METRICS = (
    "matrix_nuclear_norm",
    "matrix_nuclear_norm_exact",
    "matrix_nuclear_norm_calibrated",
    "matrix_entropy",
    "matrix_entropy_relative",
    "anisotropy",
    "rankme",
    "loss",
    "bits_per_byte",
)
_OF_A_LENGTH = ("matrix_nuclear_norm", "matrix_nuclear_norm_calibrated", "matrix_entropy")
_WORDS = 160


def measure_packaged_model(run: Run) -> Measured:
    """Measure SmolLM2 on Wikipedia, or on the Python manual where that is not there."""
    try:
        model = load_model(device=run.device)
    except (InputError, MissingExtraError) as error:
        run.skip("SmolLM2-135M-Instruct", str(error))
        return Measured({})
    path = run.data(*WIKIPEDIA)
    texts = list(load_corpus(path, limit=8))
    return measure_model(
        run, model, texts, tokens=256, lengths=(32, 64, 128, 256, 512), known=path is not None
    )


def measure_model(
    run: Run, model: LanguageModel, texts: Sequence[str], *, tokens: int, lengths: Sequence[int], known: bool
) -> Measured:
    """Measure any model; ``known`` says whether these are the texts that the recorded figures are of."""
    with run.progress("Evaluating", 3 + len(lengths) + 3, "evaluations") as bar:

        def step(
            name: str, texts: Sequence[str], layers: str, metrics: Sequence[str], tokens: int
        ) -> dict[str, list[float]]:
            values = run.step(name, lambda: _evaluate(model, texts, layers, metrics, tokens))
            bar.advance()
            return values

        whole = step("texts", texts, "all", _METRICS, tokens)
        few = step("texts-4", texts[:4], "last", ("matrix_entropy_relative", "loss"), tokens)
        first = step("texts-1", texts[:1], "all", _METRICS, tokens)
        by_length = {n: step(f"length-{n}", texts[:3], "last", _OF_A_LENGTH, n) for n in lengths}
        by_order = {
            order: step(f"order-{order}", changed, "last", _METRICS, 2 * _WORDS)
            for order, changed in _orders(texts, run.seed).items()
        }
    values = {f"norm_length_{n}": of["matrix_nuclear_norm"][-1] for n, of in by_length.items()}
    for order, of in by_order.items():
        values |= {
            f"norm_{order}": of["matrix_nuclear_norm"][-1],
            f"entropy_{order}": of["matrix_entropy"][-1],
        }
    if known:
        values |= {f"wikipedia_{name}": of[-1] for name, of in whole.items()}
        values |= {f"wikipedia_4_{name}": of[-1] for name, of in few.items()}
        values |= {f"article_{name}": of[-1] for name, of in first.items()}
        values |= {f"article_rankme_{layer}": value for layer, value in enumerate(first["rankme"])}
    title = f"{model.name}, width {model.width}"
    return Measured(
        values,
        (_summary_table(title, whole, len(texts), tokens), _order_table(title, by_order)),
        (_length_figure(title, by_length, model.width), _layer_figure(title, whole)),
    )


def _evaluate(
    model: LanguageModel, texts: Sequence[str], layers: str, metrics: Sequence[str], tokens: int
) -> dict[str, list[float]]:
    """The mean of each metric at every layer; of the model as a whole, in a list of one."""
    evaluation = evaluate(model, list(texts), layers=layers, metrics=metrics, max_length=tokens)  # type: ignore[arg-type]
    plain = evaluation.to_dict()
    return {
        name: [layer["metrics"][name]["mean"] for layer in plain["layers"]]
        if name in plain["layers"][-1]["metrics"]
        else [plain["summary"][name]["mean"]]
        for name in metrics
    }


def _orders(texts: Sequence[str], seed: int) -> dict[str, list[str]]:
    """The first words of each text as they are, reversed and shuffled: the same words each time."""
    generator = random.Random(seed)  # noqa: S311
    words = [text.split()[:_WORDS] for text in texts]
    return {
        "original": [" ".join(of) for of in words],
        "reversed": [" ".join(reversed(of)) for of in words],
        "shuffled": [" ".join(generator.sample(of, len(of))) for of in words],
    }


def _summary_table(title: str, whole: dict[str, list[float]], texts: int, tokens: int) -> Table:
    return Table(
        f"Last layer of {title}",
        (Column("Measure"), Column("Mean over texts")),
        tuple((name, of[-1]) for name, of in whole.items()),
        caption=f"{texts} texts, cut at {tokens} tokens.",
    )


def _order_table(title: str, by_order: dict[str, dict[str, list[float]]]) -> Table:
    return Table(
        "Order of words",
        (
            Column("Words"),
            Column("Matrix nuclear-norm"),
            Column("Matrix entropy", "nats"),
            Column("Loss", "nats"),
        ),
        tuple(
            (order, of["matrix_nuclear_norm"][-1], of["matrix_entropy"][-1], of["loss"][-1])
            for order, of in by_order.items()
        ),
        caption=f"The first {_WORDS} words of each text; {title}.",
    )


def _length_figure(title: str, by_length: dict[int, dict[str, list[float]]], width: int) -> Figure:
    lengths = list(by_length)
    null = [float(isotropic_null(n, width).matrix_nuclear_norm) for n in lengths]
    return Figure(
        "Longer texts score higher",
        "tokens of a text",
        "matrix nuclear-norm",
        (
            Series(title, lengths, [of["matrix_nuclear_norm"][-1] for of in by_length.values()]),
            Series("no structure at all, same shape", lengths, null, kind="reference"),
            Series(
                "Cerebras-GPT 111M, published (width 768)",
                list(CEREBRAS_LENGTHS),
                list(CEREBRAS_LENGTHS.values()),
                kind="points",
            ),
        ),
        caption="Published lengths are maxima: the value at 1024 exceeds what a text of exactly 1024 tokens can have"
        " at width 768, √(768/1024) = 0.866.",
        x_scale="log",
    )


def _layer_figure(title: str, whole: dict[str, list[float]]) -> Figure:
    layers = range(len(whole["rankme"]))
    return Figure(
        "RankMe over the layers",
        "hidden state (0 is the embedding)",
        "RankMe",
        (Series(title, list(layers), whole["rankme"]),),
        caption="A few directions of huge norm take over in the middle of the network.",
    )
