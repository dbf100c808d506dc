"""A vocabulary that is spread over processes: each holds consecutive rows of the classifier."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from matropy.nn.cut_cross_entropy._logit_sums import logit_sums
from matropy.nn.cut_cross_entropy._options import Options
from matropy.nn.cut_cross_entropy._targets import shifted
from matropy.nn.cut_cross_entropy._token_loss import LogitSums

__all__ = ["VocabShard", "rows_of_rank"]


class VocabShard(NamedTuple):
    """The part of the vocabulary that this process holds: rows from ``first_class`` on, of ``num_classes``."""

    first_class: int
    num_classes: int
    group: Any

    @classmethod
    def of(cls, weight: torch.Tensor, group: Any) -> VocabShard:
        """Ask all processes of the group how many rows they hold."""
        rows = torch.tensor([len(weight)], device=weight.device)
        gathered = [torch.empty_like(rows) for _ in range(dist.get_world_size(group))]
        dist.all_gather(gathered, rows, group=group)
        counts = [int(count) for count in gathered]
        return cls(sum(counts[: dist.get_rank(group)]), sum(counts), group)

    def logit_sums(
        self,
        input: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        target: torch.Tensor,
        sum_weight: torch.Tensor | None,
        options: Options,
    ) -> LogitSums:
        """Sums over the whole vocabulary; the gradient of the input is summed over the processes."""
        here = slice(self.first_class, self.first_class + len(weight))
        local = logit_sums(
            _SharedInput.apply(input, self.group),  # type: ignore[no-untyped-call]
            weight,
            bias,
            target,
            None if sum_weight is None else sum_weight[here],
            options,
            first_class=self.first_class,
            num_classes=self.num_classes,
        )
        kept = shifted(target, options.shift) != options.ignore_index
        return LogitSums(*_OverProcesses.apply(*local, kept, self.group))  # type: ignore[no-untyped-call]


def rows_of_rank(num_classes: int, group: Any) -> int:
    """Rows that this process holds when a vocabulary is dealt out evenly; the first ones hold one more."""
    each, left = divmod(num_classes, dist.get_world_size(group))
    return each + (dist.get_rank(group) < left)


class _SharedInput(torch.autograd.Function):
    """The same input everywhere; every process knows a part of its gradient."""

    @staticmethod
    def forward(ctx: Any, input: torch.Tensor, group: Any) -> torch.Tensor:
        ctx.group = group
        return input.view_as(input)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        exact = gradient.to(torch.promote_types(gradient.dtype, torch.float32), copy=True)
        dist.all_reduce(exact, group=ctx.group)
        return exact.to(gradient.dtype), None


class _OverProcesses(torch.autograd.Function):
    """Sums over the classes of one process into sums over all; every process goes on with the same loss."""

    @staticmethod
    def forward(
        ctx: Any,
        lse: torch.Tensor,
        target_logit: torch.Tensor,
        logit_sum: torch.Tensor,
        kept: torch.Tensor,
        group: Any,
    ) -> tuple[torch.Tensor, ...]:
        peak = lse.clone()
        dist.all_reduce(peak, dist.ReduceOp.MAX, group=group)
        peak.masked_fill_(peak == -torch.inf, 0)
        sums = torch.stack([(lse - peak).exp(), target_logit, logit_sum])
        dist.all_reduce(sums, group=group)
        whole = (sums[0].log() + peak).masked_fill(~kept, 0)
        ctx.save_for_backward(lse, whole)
        return whole, sums[1], sums[2]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *slopes: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        lse, whole = ctx.saved_tensors
        return slopes[0] * (lse - whole).exp(), slopes[1], slopes[2], None, None
