"""What is done to a block of logits, in place: from logits to sums, and on to the gradient by the logits."""

from __future__ import annotations

import torch

from matropy.nn.cut_cross_entropy._chunked_logits import Block
from matropy.nn.cut_cross_entropy._token_loss import LogitSums

__all__ = ["add_slopes_", "cap_", "exponentials_", "probabilities_", "through_cap_"]


def cap_(block: Block, softcap: float) -> None:
    r"""Turn :math:`z` into :math:`s\tanh(z/s)` and keep the hyperbolic tangent in the second buffer."""
    torch.div(block.z, softcap, out=block.scratch).tanh_()
    torch.mul(block.scratch, softcap, out=block.z)


def exponentials_(
    z: torch.Tensor, target: torch.Tensor, sum_weight: torch.Tensor | None
) -> tuple[LogitSums, torch.Tensor]:
    """Turn logits into their exponentials less the largest; return sums of the logits, and of the exponentials.

    A target below zero is a class of another process: its logit is left to that one.
    """
    target_logit = z.gather(1, target.clamp(min=0)[:, None])[:, 0].masked_fill(target < 0, 0)
    logit_sum = torch.zeros_like(target_logit) if sum_weight is None else z @ sum_weight
    peak = z.amax(1, keepdim=True)
    # Where all classes are masked there is no largest logit to subtract.
    peak.masked_fill_(peak == -torch.inf, 0)
    total = z.sub_(peak).exp_().sum(1)
    return LogitSums(total.log() + peak[:, 0], target_logit, logit_sum), total


def probabilities_(z: torch.Tensor, lse: torch.Tensor) -> None:
    """Turn logits into probabilities."""
    z.sub_(lse.masked_fill(lse == -torch.inf, 0)[:, None]).exp_()


def add_slopes_(
    weighted: torch.Tensor,
    target: torch.Tensor,
    target_slope: torch.Tensor,
    sum_slope: torch.Tensor | None,
    sum_weight: torch.Tensor | None,
) -> None:
    r"""Turn :math:`g_ip_{iv}` into the gradient by the logits, :math:`g_ip_{iv} + t_i[v=x_i] + s_i\omega_v`."""
    here = target_slope.masked_fill(target < 0, 0)
    weighted.scatter_add_(1, target.clamp(min=0)[:, None], here[:, None])
    if sum_slope is not None and sum_weight is not None:
        weighted.addcmul_(sum_slope[:, None], sum_weight[None])


def through_cap_(block: Block) -> None:
    r"""Multiply the gradient by :math:`1-\tanh^2`, the derivative of the cap."""
    block.z.mul_(block.scratch.square_().neg_().add_(1))
