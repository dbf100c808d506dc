"""What measuring costs beside running the model: ``matropy.evaluate`` over the bare forward passes.

The peer is a plain Hugging Face loop over the same padded batches that asks for all hidden states and does nothing
with them. Ours runs the model, takes every measure of every hidden state, and scores the predictions.

    python -m benchmarks.evaluate
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from rich.console import Console

from benchmarks._harness import extra_memory, record, seconds, summarize
from matropy import evaluate, load_model
from matropy.lm import LanguageModel, load_corpus, token_windows
from matropy.reporting import Column, Table

LENGTHS = (128, 256, 512, 1024)
TEXTS = 2
BATCH_TOKENS = 4096
ROUNDS = 3


def long_texts() -> list[str]:
    """Topics of the Python manual that fill the longest window."""
    return [text for text in load_corpus() if len(text) > 10_000][:TEXTS]


def bare_forward(model: LanguageModel, texts: list[str], length: int) -> Callable[[], Any]:
    """All hidden states by the model itself, in the batches that evaluate makes: texts of one length, together."""
    ids = torch.stack(
        [torch.from_numpy(window.ids) for window in token_windows(texts, model.tokenizer, length)]
    )
    batches = ids.to(model.device).split(max(1, BATCH_TOKENS // length))

    def call() -> None:
        with torch.inference_mode():
            for batch in batches:
                model.model.base_model(input_ids=batch, use_cache=False, output_hidden_states=True)

    return call


def measure(model: LanguageModel, texts: list[str], length: int) -> dict[str, Any]:
    forward = bare_forward(model, texts, length)
    contenders: dict[str, Callable[[], Any]] = {
        "all": lambda: evaluate(model, texts, max_length=length, batch_tokens=BATCH_TOKENS),
        "norm_last": lambda: evaluate(
            model,
            texts,
            layers="last",
            metrics=["matrix_nuclear_norm", "matrix_entropy"],
            max_length=length,
            batch_tokens=BATCH_TOKENS,
        ),
    }
    forward()
    ratios: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        base = seconds(forward)
        for name, call in contenders.items():
            ratios[name].append(seconds(call) / base)
    return {
        "tokens": length,
        "time_over_forward_all": median(ratios["all"]),
        "time_over_forward_norm_last": median(ratios["norm_last"]),
        "extra_mb": extra_memory(contenders["all"]),
        "forward_extra_mb": extra_memory(forward),
    }


def main() -> None:
    model, texts = load_model(), long_texts()
    rows = [measure(model, texts, length) for length in LENGTHS]
    table = Table(
        f"evaluate over bare forward passes, {model.name}",
        (
            Column("Tokens"),
            Column("All measures, all layers", "times", digits=3),
            Column("Norm and entropy, last layer", "times", digits=3),
            Column("Extra memory", "MB", digits=3),
            Column("Forward's extra memory", "MB", digits=3),
        ),
        tuple(tuple(row.values()) for row in rows),
        caption=f"{TEXTS} texts, batches of {BATCH_TOKENS} tokens, {torch.get_num_threads()} threads, {model.device}.",
    )
    Console(width=None if Console().is_terminal else 140).print(table.to_rich())
    record("evaluate", rows, ("torch", "transformers", "numpy"))
    summarize(
        "evaluate",
        "time over bare forward passes, all measures of all layers: "
        + ", ".join(f"{row['time_over_forward_all']:.3g} at {row['tokens']} tokens" for row in rows),
    )


if __name__ == "__main__":
    main()
