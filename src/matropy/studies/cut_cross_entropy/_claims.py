"""What is claimed, and when it holds; written before anything is measured."""

from __future__ import annotations

from matropy.studies._contract import Claim
from matropy.studies._criteria import AtLeast, AtMost, Close, Ordered, Within

_SMALL_HEAD = (
    "The head of a small language model (8,192 classes, loss 4.09 nats) instead of those of frontier models."
)
_PROCESSOR = "One thread of a processor, float32, random states; the paper has an A100 and bfloat16."
_EARLIER = "an earlier measurement of ours, float64"

_BATCHES = (
    Claim(
        "The batches that fit with the logits in memory are the published ones to 1 %",
        AtMost("batch_before_error", 0.01),
        where="table of batch sizes, five models",
    ),
    Claim(
        "The batches that fit without the logits are the published ones to 1 %",
        AtMost("batch_after_error", 0.01),
        where="table of batch sizes, five models",
    ),
    Claim(
        "The batch of GPT-2 grows 11.9 times",
        Close("batch_gain_gpt2", 11.9, atol=0.05),
        published=11.9,
        where="table of batch sizes",
    ),
    Claim(
        "The batch of Gemma 2 2B grows 9.5 times",
        Close("batch_gain_gemma2_2b", 9.5, atol=0.05),
        published=9.5,
        where="table of batch sizes",
    ),
)

_RESOURCES = (
    Claim(
        "Loss and gradients need ten times less memory than with all logits, gradients included",
        AtLeast("memory_ratio_256000", 10),
        published="28,000 MB and 1164 MB: 24 times",
        where="table 1, both",
        departs=_PROCESSOR + " 1024 tokens instead of 8192.",
    ),
    Claim(
        "Beyond the gradients there are 128 rows of logits and little else, whatever the width",
        AtMost("workspace_mib_256000", 125 + 24),
        where="128 rows of 256,000 float32 are 125 MiB",
        origin="theory",
    ),
    Claim(
        "The materialized loss holds three arrays of tokens by classes at its peak",
        Within("materialized_buffers_256000", 2.9, 3.2),
        where="log-probabilities, their gradient, and that of the logits",
        origin="theory",
    ),
    Claim(
        "The loss without logits is that with all logits",
        AtMost("loss_difference", 1e-6),
        where="relative to the materialized one, float32",
        origin="theory",
    ),
    Claim(
        "Loss and gradients without logits are at most 15 % slower than with all logits",
        AtMost("time_over_materialized_256000", 1.15),
        published="145 ms and 208 ms: 0.70",
        where="table 1, both; width 256 here",
        origin="own",
        departs=_PROCESSOR,
    ),
    Claim(
        "Loss and gradients take at most 60 % of the time of torch's own chunked loss",
        AtMost("time_over_native_256000", 0.6),
        where="torch.nn.functional.linear_cross_entropy, default options, width 64",
        origin="peer",
        departs=_PROCESSOR,
    ),
)

_SPARSITY = (
    Claim(
        "Less than 0.02 % of the probabilities reach 2⁻¹²",
        AtMost("docs_density_1", 2e-4),
        published="< 0.02 %",
        where="section on gradient filtering",
        departs=_SMALL_HEAD,
        expected=False,
    ),
    Claim(
        "The share of live tiles falls as the model gets more confident",
        Ordered("docs_live_sorted_0.2", "docs_live_sorted_0.4", "docs_live_sorted_0.6", "docs_live_sorted_1"),
        where="section on gradient filtering",
        departs=_SMALL_HEAD + " Confidence is set by the temperature.",
    ),
    Claim(
        "Sorting classes by their mean logit leaves fewer tiles alive than their natural order",
        Ordered("docs_live_sorted_1", "docs_live_natural_1"),
        where="section on vocabulary sorting",
        departs=_SMALL_HEAD + " Its natural order is that of frequency.",
    ),
    Claim(
        "Sorting leaves fewer tiles alive for a confident model too (temperature 0.4)",
        Ordered("docs_live_sorted_0.4", "docs_live_natural_0.4"),
        where="section on vocabulary sorting",
        departs=_SMALL_HEAD + " Its natural order is that of frequency.",
        expected=False,
    ),
    Claim(
        "A random order is worse than the order of frequency",
        Ordered("docs_live_natural_0.4", "docs_live_random_0.4"),
        where="likely classes share tiles when they are neighbours",
        origin="own",
    ),
    *(
        Claim(
            f"Share of live tiles at temperature 1, {order} order",
            Close(f"docs_live_{order}_1", share, atol=0.003),
            published=share,
            where=_EARLIER,
            origin="own",
        )
        for order, share in (("natural", 0.993), ("sorted", 0.913), ("random", 1.000))
    ),
    Claim(
        "Share of probabilities that reach 2⁻¹²",
        Close("docs_density_1", 0.03158, atol=3e-5),
        published=0.03158,
        where=_EARLIER,
        origin="own",
    ),
    Claim(
        "Error of the input's gradient when dead tiles are skipped",
        Close("docs_error_input_1", 2.0e-3, rtol=0.2),
        published=2.0e-3,
        where=_EARLIER,
        origin="own",
    ),
    Claim(
        "Error of the classifier's gradient when dead tiles are skipped",
        Close("docs_error_weight_1", 2.4e-4, rtol=0.2),
        published=2.4e-4,
        where=_EARLIER,
        origin="own",
    ),
    Claim(
        "Dropping a thousandth of the probability costs less than half a percent of the input's gradient",
        AtMost("docs_mass_error_input_0.001", 5e-3),
        published=3.6e-3,
        where="an earlier measurement of ours, 256 tokens a chunk",
        origin="own",
    ),
)

_CURVES = (
    Claim(
        "Training curves with both losses are the same",
        AtMost("curve_difference", 1e-4),
        published="indistinguishable",
        where="figures of fine-tuning and pretraining",
        departs="A window model of 0.5 million parameters on the Python manual, 300 steps, nothing skipped.",
    ),
    Claim(
        "The model that both losses train learns",
        Ordered("curve_end", "curve_start"),
        where="so that equal curves say something",
        origin="own",
    ),
)

_GPU = (
    Claim(
        "On a GPU loss and gradients are as fast as with torch.compile, within 10 %",
        AtMost("gpu_time_over_compile", 1.1),
        published="145 ms and 143 ms: 1.01",
        where="table 1, both",
        departs="Kernels without locks; the head of a small model, repeated to Gemma's size.",
    ),
    Claim(
        "On a GPU the loss needs at most 40 MiB",
        AtMost("gpu_loss_mib", 40),
        published="1 MB",
        where="table 1, loss",
        departs="The largest logit of each token and tile is kept for the gradient: 32 MiB.",
    ),
)

CLAIMS = _BATCHES + _RESOURCES + _SPARSITY + _CURVES + _GPU
