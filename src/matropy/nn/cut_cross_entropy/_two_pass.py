"""The loss put together from sums over logits; its gradient makes the logits anew.

Nothing here depends on how the sums are made, so all options and their derivatives are the same for the chunked path,
for the kernels, and for a vocabulary that is spread over processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from matropy.nn.cut_cross_entropy._chunked_logits import working_dtype
from matropy.nn.cut_cross_entropy._logit_sums import logit_sums
from matropy.nn.cut_cross_entropy._options import Options
from matropy.nn.cut_cross_entropy._targets import shifted
from matropy.nn.cut_cross_entropy._token_loss import Criterion, LogitSums, divide, sum_dtype

if TYPE_CHECKING:
    from matropy.nn.cut_cross_entropy._vocab_parallel import VocabShard

__all__ = ["two_pass_loss", "two_pass_losses"]


def two_pass_loss(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    target: torch.Tensor,
    class_weight: torch.Tensor | None,
    options: Options,
    shard: VocabShard | None = None,
) -> torch.Tensor:
    """The loss, reduced as the options say."""
    return two_pass_losses(input, weight, bias, target, class_weight, options, shard)[0]


def two_pass_losses(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    target: torch.Tensor,
    class_weight: torch.Tensor | None,
    options: Options,
    shard: VocabShard | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss, reduced as the options say, and the log-sum-exp."""
    classes = len(weight) if shard is None else shard.num_classes
    if class_weight is None:
        class_weight = weight.new_ones(classes, dtype=working_dtype(input, weight))
    criterion = Criterion(class_weight, options.label_smoothing, options.z_loss)
    if shard is None:
        sums = logit_sums(input, weight, bias, target, criterion.sum_weight, options)
    else:
        sums = shard.logit_sums(input, weight, bias, target, criterion.sum_weight, options)
    return _reduce(sums, shifted(target, options.shift).long(), criterion, options), sums.lse


def _reduce(sums: LogitSums, target: torch.Tensor, criterion: Criterion, options: Options) -> torch.Tensor:
    kept = target != options.ignore_index
    known = target.masked_fill(~kept, 0)
    cross_entropy = criterion.cross_entropy(sums, known).masked_fill(~kept, 0)
    penalty = criterion.z_penalty(sums)
    if options.reduction == "none":
        return cross_entropy + penalty
    exact = sum_dtype(target)
    if options.reduction == "sum":
        return (cross_entropy + penalty).sum(dtype=exact).to(sums.lse.dtype)
    weights = criterion.class_weight[known].masked_fill(~kept, 0).sum(dtype=exact)
    mean = divide(cross_entropy.sum(dtype=exact), weights) + divide(penalty.sum(dtype=exact), kept.sum())
    return mean.to(sums.lse.dtype)
