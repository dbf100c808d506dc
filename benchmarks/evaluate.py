"""What measuring costs beside running the model.

The peer is a plain Hugging Face loop over the same padded batches that asks for hidden states and logits and does
nothing with them. Ours runs the model without ever holding its logits, takes every measure of every hidden state, and
scores the predictions.

    python -m benchmarks.evaluate
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from rich.console import Console

from benchmarks._harness import extra_memory, record, seconds, summarize
from matropy import evaluate, load_model
from matropy.evaluation import Evaluation
from matropy.lm import LanguageModel, load_corpus, token_windows
from matropy.reporting import Column, Table

LENGTHS = (128, 256, 512, 1024, 2048)
TEXTS = 4
BATCH_TOKENS = 4096
ROUNDS = 2


def long_texts() -> list[str]:
    """Topics of the Python manual that fill the longest window."""
    return [text for text in load_corpus() if len(text) > 10_000][:TEXTS]


def own_forward(model: LanguageModel, texts: list[str], length: int) -> Callable[[], Any]:
    """The model's own forward passes with hidden states, in the batches that evaluate makes."""
    ids = torch.stack(
        [torch.from_numpy(window.ids) for window in token_windows(texts, model.tokenizer, length)]
    )
    batches = ids.to(model.device).split(max(1, BATCH_TOKENS // length))

    def call() -> None:
        with torch.inference_mode():
            for batch in batches:
                model.model(input_ids=batch, use_cache=False, output_hidden_states=True)

    return call


def measure(model: LanguageModel, texts: list[str], length: int) -> dict[str, Any]:
    forward = own_forward(model, texts, length)

    def run() -> Evaluation:
        return evaluate(model, texts, max_length=length, batch_tokens=BATCH_TOKENS)

    forward(), run()
    whole, measures = [], []
    for _ in range(ROUNDS):
        base = seconds(forward)
        start = time.perf_counter()
        evaluation = run()
        whole.append((time.perf_counter() - start) / base)
        measures.append((evaluation.timing.metrics_s or 0.0) / base)
    return {
        "tokens": length,
        "measures_over_forward": median(measures),
        "evaluate_over_forward": median(whole),
        "evaluate_extra_mb": extra_memory(run),
        "forward_extra_mb": extra_memory(forward),
    }


def main() -> None:
    model, texts = load_model(), long_texts()
    rows = [measure(model, texts, length) for length in LENGTHS]
    table = Table(
        f"evaluate beside the model's own forward passes, {model.name}",
        (
            Column("Tokens"),
            Column("Measures of all layers", "of the forward passes", digits=3),
            Column("Whole of evaluate", "of the forward passes", digits=3),
            Column("Extra memory", "MB", digits=3),
            Column("Forward's extra memory", "MB", digits=3),
        ),
        tuple(tuple(row.values()) for row in rows),
        caption=f"{TEXTS} texts, batches of {BATCH_TOKENS} tokens, {torch.get_num_threads()} threads, {model.device}.",
    )
    Console(width=None if Console().is_terminal else 140).print(table.to_rich())
    record("evaluate", rows, ("torch", "transformers", "numpy", "scipy"))
    summarize(
        "evaluate",
        "measures of all layers, and the whole of evaluate with its scores, over the model's own forward passes: "
        + ", ".join(
            f"{row['measures_over_forward']:.2f} and {row['evaluate_over_forward']:.2f} at {row['tokens']} tokens"
            for row in rows
        ),
    )


if __name__ == "__main__":
    main()
