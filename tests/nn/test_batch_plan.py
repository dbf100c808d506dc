"""The paper's table of batch sizes follows from one formula."""

from __future__ import annotations

import pytest

from matropy.nn import max_batch_tokens

# Tokens with the logits in memory and without, of 16 GPUs with 75 GiB each: models by vocabulary, layers, width, size.
PUBLISHED = {
    "GPT-2": ((50257, 12, 768, 124_439_808), 5.87e6, 69.8e6, 11.9),
    "Gemma 2 2B": ((256_000, 26, 2304, 2_614_341_888), 1.11e6, 10.6e6, 9.5),
    "Gemma 2 27B": ((256_000, 46, 4608, 27_227_128_320), 739e3, 2.53e6, 3.4),
    "Llama 2 13B": ((32_000, 40, 5120, 13_015_864_320), 2.20e6, 2.89e6, 1.3),
    "Llama 3 70B": ((128_256, 80, 8192, 70_553_706_496), 397e3, 552e3, 1.4),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_table(name):
    sizes, before, after, gain = PUBLISHED[name]
    plan = max_batch_tokens(*sizes)
    assert plan.tokens_before == pytest.approx(before, rel=0.01)
    assert plan.tokens_after == pytest.approx(after, rel=0.01)
    assert plan.gain == pytest.approx(gain, abs=0.051)
    assert plan.gain == plan.tokens_after / plan.tokens_before


def test_the_batch_fills_the_memory_and_no_more():
    plan = max_batch_tokens(1000, 3, 64, 10**6, gpus=1, gib=1.0)
    free, token = 2**30 - 8 * 10**6, 4 * 1000 + 2 * 3 * 64
    assert plan.tokens_before * token <= free < (plan.tokens_before + 1) * token


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"parameters": 161_061_273_600}, "leave no room for a token"),
        ({"vocab": 0}, "vocab must be at least 1, got 0"),
        ({"gib": 0.0}, "gib must be a positive number"),
        ({"gib": float("nan")}, "gib must be a positive number"),
    ],
)
def test_bad_input_is_named(sizes, message):
    usual = {"vocab": 32_000, "layers": 2, "hidden": 64, "parameters": 1000}
    with pytest.raises(ValueError, match=message):
        max_batch_tokens(**(usual | sizes))


def test_counts_are_whole():
    with pytest.raises(TypeError, match="layers must be an integer"):
        max_batch_tokens(100, 2.5, 64, 1000)
