"""The sums over logits and their gradient, chunk by chunk."""

from __future__ import annotations

import torch

from matropy.nn.cut_cross_entropy._chunked_logits import ChunkedLogits, Gradients
from matropy.nn.cut_cross_entropy._column_filter import live_columns
from matropy.nn.cut_cross_entropy._softmax_rows import (
    add_slopes_,
    cap_,
    exponentials_,
    probabilities_,
    through_cap_,
)
from matropy.nn.cut_cross_entropy._targets import KeptRows
from matropy.nn.cut_cross_entropy._token_loss import LogitSums

__all__ = ["backward", "forward"]


def forward(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    kept: KeptRows,
    sum_weight: torch.Tensor | None,
    softcap: float | None,
    memory_budget: int,
) -> LogitSums:
    """Log-sum-exp, logit of the target and weighted sum of logits of each kept row."""
    with torch.autocast(input.device.type, enabled=False):
        logits = ChunkedLogits(input, weight, bias, kept, memory_budget=memory_budget)
        # An operator's results must not share memory.
        found = LogitSums(*(input.new_empty(len(kept.target), dtype=logits.dtype) for _ in range(3)))
        for chunk in logits:
            for block in logits.blocks(chunk):
                if softcap is not None:
                    cap_(block, softcap)
                sums, _ = exponentials_(block.z, kept.target[block.places], sum_weight)
                for whole, part in zip(found, sums, strict=True):
                    whole[block.places] = part
    return found


def backward(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    kept: KeptRows,
    sum_weight: torch.Tensor | None,
    softcap: float | None,
    slopes: LogitSums,
    lse: torch.Tensor,
    wanted: tuple[bool, bool, bool],
    filter_mass: float | None,
    memory_budget: int,
) -> Gradients:
    """Gradients, given the derivatives of the loss by the sums (one of each for every kept row)."""
    with torch.autocast(input.device.type, enabled=False):
        logits = ChunkedLogits(input, weight, bias, kept, memory_budget=memory_budget)
        gradients = Gradients.zeros(input, weight, wanted=wanted)
        for chunk in logits:
            mass = lse.new_zeros(0 if filter_mass is None else len(weight))
            for block in logits.blocks(chunk):
                here, rows = kept.target[block.places], block.places
                if softcap is not None:
                    cap_(block, softcap)
                probabilities_(block.z, lse[rows])
                if filter_mass is not None:
                    mass.addmv_(block.z.t(), lse.new_full((len(block.z),), 1 / len(chunk.z)))
                block.z.mul_(slopes.lse[rows, None])
                add_slopes_(block.z, here, slopes.target_logit[rows], slopes.logit_sum[rows], sum_weight)
                if softcap is not None:
                    through_cap_(block)
            live = None
            if filter_mass is not None:
                live = live_columns(mass, kept.target[chunk.places], filter_mass)
            logits.add_gradients(chunk, gradients, live)
    return gradients
