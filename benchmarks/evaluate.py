"""What measuring costs beside running the model.

The peer is a plain Hugging Face loop over the same padded batches that asks for hidden states and logits and does
nothing with them. Ours runs the model without ever holding its logits, takes every measure of every hidden state, and
scores the predictions.

    python -m benchmarks.evaluate
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any, Literal

import numpy as np
import torch
from rich.console import Console
from threadpoolctl import threadpool_limits

from benchmarks._harness import extra_memory, record, seconds, summarize
from matropy import evaluate, load_model
from matropy.evaluation import Evaluation
from matropy.linalg._norms import small_gram
from matropy.linalg._tridiagonal import symmetric_eigenvalues
from matropy.lm import LanguageModel, load_corpus, token_windows
from matropy.lm._hidden_states import padded
from matropy.lm._windows import batched_windows
from matropy.reporting import Column, Table

LENGTHS = (128, 256, 512, 1024, 2048)
TEXTS, LONGEST = 40, 512
"""What ``make evaluate`` takes of the Python manual."""

BATCH_TOKENS = 4096
ROUNDS = 2
AIM = 0.15


def windows_of(model: LanguageModel, texts: Sequence[str], length: int) -> list[torch.Tensor]:
    """The batches that evaluate makes of them."""
    windows = token_windows(texts, model.tokenizer, length)
    return [padded(batch, model)[0] for batch in batched_windows(windows, BATCH_TOKENS)]


def own_forward(model: LanguageModel, batches: Sequence[torch.Tensor]) -> Callable[[], Any]:
    """The model's own forward passes with hidden states."""

    def call() -> None:
        with torch.inference_mode():
            for batch in batches:
                model.model(input_ids=batch, use_cache=False, output_hidden_states=True)

    return call


def eigenvalues_alone(model: LanguageModel, lengths: Sequence[int]) -> float:
    """Seconds of LAPACK alone for one spectrum of every hidden state: what no arrangement around it can save."""
    total = 0.0
    with threadpool_limits(1, user_api="blas"):
        for length, texts in Counter(lengths).items():
            z = np.random.default_rng(0).standard_normal((length, model.width), np.float32)
            gram = small_gram(z)
            total += texts * seconds(partial(symmetric_eigenvalues, gram))
    return total * (model.layers + 1) / torch.get_num_threads()


def measure(model: LanguageModel, texts: Sequence[str], length: int, *, rounds: int) -> dict[str, Any]:
    batches = windows_of(model, texts, length)
    lengths = [len(window.ids) for window in token_windows(texts, model.tokenizer, length)]
    forward = own_forward(model, batches)

    def run(metrics: Literal["all"] | None = None) -> Evaluation:
        return evaluate(model, texts, metrics=metrics, max_length=length, batch_tokens=BATCH_TOKENS)

    def share(evaluation: Evaluation, base: float) -> float:
        return (evaluation.timing.metrics_s or 0.0) / base

    alone = eigenvalues_alone(model, lengths)
    whole, measures, everything, floor = [], [], [], []
    for _ in range(rounds):
        base = seconds(forward)
        start = time.perf_counter()
        evaluation = run()
        whole.append((time.perf_counter() - start) / base)
        measures.append(share(evaluation, base))
        everything.append(share(run("all"), base))
        floor.append(alone / base)
    return {
        "texts": len(texts),
        "tokens": sum(lengths) / len(lengths),
        "measures_over_forward": median(measures),
        "eigenvalues_over_forward": median(floor),
        "all_metrics_over_forward": median(everything),
        "evaluate_over_forward": median(whole),
        "evaluate_extra_mb": extra_memory(run),
        "forward_extra_mb": extra_memory(forward),
    }


def main() -> None:
    model = load_model()
    manual = list(load_corpus())
    long_texts = [text for text in manual if len(text) > 10_000]
    # The first pass of a process is slower than all others.
    own_forward(model, windows_of(model, long_texts[:1], 256))()
    evaluate(model, long_texts[:1], max_length=256)
    default = measure(model, manual[:TEXTS], LONGEST, rounds=1)
    rows = [
        default,
        *(
            measure(model, long_texts[: min(8, BATCH_TOKENS // length)], length, rounds=ROUNDS)
            for length in LENGTHS
        ),
    ]
    table = Table(
        f"evaluate beside the model's own forward passes, {model.name}",
        (
            Column("Texts"),
            Column("Mean tokens", digits=3),
            Column("Measures", digits=2, help="Of all layers, over the forward passes"),
            Column("Eigenvalues alone", digits=2, help="LAPACK's part of the measures, on random states"),
            Column(
                "All everywhere",
                digits=2,
                help="With --metrics all, that is with RankMe and α-ReQ of every layer",
            ),
            Column("All of evaluate", digits=3),
            Column("Extra MB", digits=3),
            Column("Forward's", digits=3),
        ),
        tuple(tuple(row.values()) for row in rows),
        caption=f"First row: the texts of make evaluate. Batches of {BATCH_TOKENS} tokens,"
        f" {torch.get_num_threads()} threads, {model.device}. The aim for the measures is {AIM}.",
    )
    Console(width=None if Console().is_terminal else 140).print(table.to_rich())
    record("evaluate", rows, ("torch", "transformers", "numpy", "scipy"))
    extra = max(row["evaluate_extra_mb"] - row["forward_extra_mb"] for row in rows)
    summarize(
        "evaluate",
        f"over the texts of make evaluate the measures of all layers add"
        f" {default['measures_over_forward']:.3f} to the time of the model's own forward passes, all of evaluate"
        f" {default['evaluate_over_forward'] - 1:.2f} (aim {AIM}); at one length, with LAPACK's eigenvalues alone and"
        " --metrics all in brackets: "
        + ", ".join(
            f"{row['measures_over_forward']:.2f} ({row['eigenvalues_over_forward']:.2f},"
            f" {row['all_metrics_over_forward']:.2f}) at {row['tokens']:.0f} tokens"
            for row in rows[1:]
        )
        + f"; memory: at most {extra:.0f} MB above the forward passes with logits and hidden states",
    )


if __name__ == "__main__":
    main()
