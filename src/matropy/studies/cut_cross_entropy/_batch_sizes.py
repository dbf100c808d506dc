"""The paper's table of batch sizes, from the sizes of the models."""

from __future__ import annotations

from typing import NamedTuple

from matropy.nn import max_batch_tokens
from matropy.reporting import Column, Table
from matropy.studies._contract import Measured


class _Model(NamedTuple):
    """Vocabulary, layers, width and parameters; tokens as published, with the logits in memory and without."""

    name: str
    vocab: int
    layers: int
    hidden: int
    parameters: int
    before: float
    after: float


_MODELS = (
    _Model("GPT-2", 50_257, 12, 768, 124_439_808, 5.87e6, 69.8e6),
    _Model("Gemma 2 2B", 256_000, 26, 2304, 2_614_341_888, 1.11e6, 10.6e6),
    _Model("Gemma 2 27B", 256_000, 46, 4608, 27_227_128_320, 739e3, 2.53e6),
    _Model("Llama 2 13B", 32_000, 40, 5120, 13_015_864_320, 2.20e6, 2.89e6),
    _Model("Llama 3 70B", 128_256, 80, 8192, 70_553_706_496, 397e3, 552e3),
)


def measure_batch_sizes() -> Measured:
    """Compare the formula with every published figure."""
    plans = [max_batch_tokens(*model[1:5]) for model in _MODELS]
    pairs = list(zip(_MODELS, plans, strict=True))
    values = {
        "batch_before_error": max(abs(plan.tokens_before / model.before - 1) for model, plan in pairs),
        "batch_after_error": max(abs(plan.tokens_after / model.after - 1) for model, plan in pairs),
        "batch_gain_gpt2": plans[0].gain,
        "batch_gain_gemma2_2b": plans[1].gain,
    }
    table = Table(
        "Tokens in a batch",
        (
            Column("Model"),
            Column("With logits", "million", digits=3),
            Column("Published", "million", digits=3),
            Column("Without", "million", digits=3),
            Column("Published", "million", digits=3),
            Column("Gain", digits=3),
        ),
        tuple(
            (
                model.name,
                plan.tokens_before / 1e6,
                model.before / 1e6,
                plan.tokens_after / 1e6,
                model.after / 1e6,
                plan.gain,
            )
            for model, plan in pairs
        ),
        caption="16 GPUs with 75 GiB each; 8 bytes a parameter, one bfloat16 checkpoint a layer and token, log-probabilities in"
        " float32.",
    )
    return Measured(values, (table,))
