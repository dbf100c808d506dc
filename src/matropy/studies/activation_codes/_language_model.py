"""The gate codes of a language model: which gated units a token turns on, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import mean
from typing import Any

import torch

from matropy._core._errors import InputError, MissingExtraError
from matropy.lm import LanguageModel, load_corpus, load_model
from matropy.metrics import ActivationRecorder, CodeBook
from matropy.reporting import Column, Figure, Series, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run

__all__ = ["measure_gates", "measure_packaged_gates"]

_WIKIPEDIA = ("matrix-nuclear-norm", "wikipedia_48.jsonl")
_TOKENS = 256


def measure_packaged_gates(run: Run) -> Measured:
    """Measure SmolLM2 on four articles, or on the Python manual where they are not there."""
    try:
        model = load_model(device=run.device)
    except (InputError, MissingExtraError) as error:
        run.skip("SmolLM2-135M-Instruct", str(error))
        return Measured({})
    texts = list(load_corpus(run.data(*_WIKIPEDIA), limit=4))
    return measure_gates(run, model, texts, tokens=_TOKENS)


def measure_gates(run: Run, model: LanguageModel, texts: Sequence[str], *, tokens: int) -> Measured:
    """Measure any model whose gates are modules named ``...mlp.gate_proj``."""
    found = run.step("gates", partial(_measure, model, texts, tokens))
    layers, columns = found["layers"], ("redundancy", "dead", "always_on", "bit_entropy", "effective_share")
    values = {f"gates_{name}": mean(layer[name] for layer in layers) for name in columns}
    values |= {
        "gates_bits": found["bits"],
        "gates_all_redundancy": found["redundancy"],
        "gates_first_redundancy": layers[0]["redundancy"],
        "gates_deepest_redundancy": max(layer["redundancy"] for layer in layers[1:]),
    }
    index = list(range(1, len(layers) + 1))
    title = f"{model.name}, {len(texts)} texts of up to {tokens} tokens"
    return Measured(
        values,
        (
            Table(
                f"Gate codes of {title}",
                (
                    Column("Layer"),
                    Column("Redundancy", help="Mean over texts: tokens of a text whose code came before."),
                    Column("Dead units"),
                    Column("Always on"),
                    Column("Bit entropy", "bits"),
                    Column("Effective codes", "of tokens"),
                ),
                tuple(
                    (at, *(layer[name] for name in columns)) for at, layer in zip(index, layers, strict=True)
                ),
                caption=f"{found['bits']:.0f} bits in all layers together; shares of units over all tokens.",
            ),
        ),
        (
            Figure(
                "Units of the gates over the layers",
                "layer",
                "share of units, or bits",
                (
                    Series("dead over all tokens", index, [layer["dead"] for layer in layers]),
                    Series("always on", index, [layer["always_on"] for layer in layers]),
                    Series("bit entropy (bits)", index, [layer["bit_entropy"] for layer in layers]),
                ),
                caption=title,
            ),
        ),
    )


def _measure(model: LanguageModel, texts: Sequence[str], tokens: int) -> dict[str, Any]:
    gates = [name for name, _ in model.model.named_modules() if name.endswith("mlp.gate_proj")]
    of_texts: list[dict[str, CodeBook]] = []
    together: list[CodeBook] = []
    for text in texts:
        ids = model.tokenizer(text, return_tensors="pt", truncation=True, max_length=tokens).input_ids
        recorder = ActivationRecorder(model.model, gates, site="post", rows="position")
        with recorder, torch.inference_mode():
            model.model(ids.to(model.device))
        of_texts.append(recorder.layer_codes)
        together.append(recorder.codes)
    layers = []
    for gate in gates:
        first, *rest = (codes[gate] for codes in of_texts)
        redundancy = mean(codes[gate].redundancy() for codes in of_texts)
        pooled = CodeBook(first.packed, first.n_bits)
        for book in rest:
            pooled.append(book)
        layers.append(
            {
                "redundancy": redundancy,
                "dead": float(pooled.dead().mean()),
                "always_on": float(pooled.always_on().mean()),
                "bit_entropy": pooled.bit_entropy(base=2),
                "effective_share": pooled.effective_codes() / len(pooled),
            }
        )
    return {
        "bits": float(together[0].n_bits),
        "redundancy": mean(book.redundancy() for book in together),
        "layers": layers,
    }
