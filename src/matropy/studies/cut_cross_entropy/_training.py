"""The same small language model, trained on the same text with both losses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pydoc_data.topics import topics
from typing import cast

import torch
from torch import nn

from matropy.nn import linear_cross_entropy
from matropy.reporting import Figure, Series
from matropy.studies._contract import Measured
from matropy.studies._run import Run

_CONTEXT, _VOCABULARY, _WIDTH, _BATCH = 4, 4096, 64, 256
_STEPS = {"smoke": 5, "quick": 300, "full": 300}

_Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def measure_training(run: Run) -> Measured:
    """Train twice from the same start over the same batches."""
    steps = _STEPS[run.scale]
    ways: dict[str, _Loss] = {
        "materialized": lambda states, classifier, target: nn.functional.cross_entropy(
            states @ classifier.T, target
        ),
        "ours": _ours,
    }
    curves = {
        name: run.step(f"training-{name}", partial(_train, loss, steps, run.seed))
        for name, loss in ways.items()
    }
    apart = [abs(a / b - 1) for a, b in zip(curves["ours"], curves["materialized"], strict=True)]
    values = {
        "curve_difference": max(apart),
        "curve_start": curves["ours"][0],
        "curve_end": sum(curves["ours"][-steps // 10 :]) / len(curves["ours"][-steps // 10 :]),
    }
    figure = Figure(
        "Both losses train the same model",
        "step",
        "loss, nats a token",
        (
            Series("materialized", range(steps), curves["materialized"]),
            Series("ours", range(steps), curves["ours"]),
        ),
        caption=f"A window of {_CONTEXT} words, {_VOCABULARY:,} words of the Python manual; the curves lie on each other.",
    )
    return Measured(values, (), (figure,))


def _ours(states: torch.Tensor, classifier: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return cast(torch.Tensor, linear_cross_entropy(states, classifier, target))


def _train(loss_of: _Loss, steps: int, seed: int) -> list[float]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> nn.Parameter:
        return nn.Parameter(torch.randn(*shape, generator=generator) / shape[-1] ** 0.5)

    embedding, hidden = draw(_VOCABULARY, _WIDTH), draw(_WIDTH, _CONTEXT * _WIDTH)
    classifier = draw(_VOCABULARY, _WIDTH)
    optimizer = torch.optim.Adam([embedding, hidden, classifier], lr=2e-3)
    curve = []
    for context, target in _batches(steps, generator):
        optimizer.zero_grad()
        states = torch.tanh(embedding[context].flatten(1) @ hidden.T)
        loss = loss_of(states, classifier, target)
        loss.backward()
        optimizer.step()
        curve.append(float(loss.detach()))
    return curve


def _batches(steps: int, generator: torch.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    words = re.findall(r"\w+|[^\w\s]", " ".join(topics[name] for name in sorted(topics)))
    common = [word for word, _ in Counter(words).most_common(_VOCABULARY - 1)]
    index = {word: place + 1 for place, word in enumerate(common)}
    tokens = torch.tensor([index.get(word, 0) for word in words])
    for _ in range(steps):
        starts = torch.randint(0, len(tokens) - _CONTEXT, (_BATCH,), generator=generator)
        windows = tokens[starts[:, None] + torch.arange(_CONTEXT + 1)]
        yield windows[:, :-1], windows[:, -1]
