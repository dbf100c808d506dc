"""How well each token was predicted and how sure the model was, in one pass over the logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from matropy.nn.cut_cross_entropy._chunked_logits import Block, ChunkedLogits
from matropy.nn.cut_cross_entropy._implementation import uses_kernels
from matropy.nn.cut_cross_entropy._options import (
    MEMORY_BUDGET,
    Options,
    check_operands,
    check_options,
    check_shift,
)
from matropy.nn.cut_cross_entropy._softmax_rows import cap_
from matropy.nn.cut_cross_entropy._targets import KeptRows, all_rows, check_targets, shifted

__all__ = ["TokenStatistics", "token_statistics"]

# e to this power is zero in double precision, and times this power still zero; minus infinity times zero is not.
_LOWEST = -1e4
# Classes whose largest logit is looked for at once, before the largest itself.
_RUN = 512


@dataclass(frozen=True)
class TokenStatistics:
    r"""Statistics of the distribution :math:`p` that was predicted for each token.

    Attributes
    ----------
    nll : Tensor or None
        :math:`-\ln p_x` of the target, nats; zero where it is ignored, None without targets.
    entropy : Tensor
        :math:`-\sum_vp_v\ln p_v`, nats.
    lse : Tensor
        :math:`\ln\sum_ve^{z_v}`.
    rank : Tensor of int64 or None
        How many classes have a larger logit than the target; -1 where the target is ignored or the logits are not
        numbers, None without targets.
    argmax : Tensor of int64
        The most probable class, the first of equals.
    """

    nll: torch.Tensor | None
    entropy: torch.Tensor
    lse: torch.Tensor
    rank: torch.Tensor | None
    argmax: torch.Tensor


@torch.no_grad()
def token_statistics(
    input: torch.Tensor,
    linear_weight: torch.Tensor,
    target: torch.Tensor | None = None,
    *,
    linear_bias: torch.Tensor | None = None,
    ignore_index: int = -100,
    softcap: float | None = None,
    shift: int = 0,
    memory_budget: int = MEMORY_BUDGET,
) -> TokenStatistics:
    r"""Negative log-likelihood, entropy, rank and more of ``softmax(input @ linear_weight.T)``, for any vocabulary.

    .. math::

        H = \mathrm{LSE} - \sum_v p_vz_v
          = \ln\sum_ve^{z_v-m} - \frac{\sum_v e^{z_v-m}(z_v-m)}{\sum_ve^{z_v-m}},\qquad m=\max_vz_v

    Logits are made for a few rows at a time, in single precision at least, and no gradient is.

    Parameters
    ----------
    input : Tensor, shape (..., D)
        Hidden states: float64, float32, bfloat16 or float16.
    linear_weight : Tensor, shape (V, D)
        The classifier.
    target : Tensor of integers, shape (...), optional
        Classes.
    linear_bias : Tensor, shape (V,), optional
        Minus infinity masks a class.
    ignore_index : int
        Places with this target have neither likelihood nor rank; the other statistics are there.
    softcap : float, optional
        Caps logits to :math:`s\tanh(z/s)`.
    shift : int
        Pairs the state at place :math:`t` with the target at :math:`t+\text{shift}`, and leaves out the last places.
    memory_budget : int
        Bytes of workspace; at least 128 rows of logits are made at a time.

    Returns
    -------
    TokenStatistics
        Of the shape of ``target`` less the shift, in float32, or float64 where an operand has it. NaN in the states of
        a token or in the classifier is NaN in its statistics.

    Raises
    ------
    ValueError
        As :func:`linear_cross_entropy`.

    Examples
    --------
    >>> import torch
    >>> from matropy.nn import token_statistics
    >>> statistics = token_statistics(torch.tensor([[0.0, 0.0], [9.0, 0.0]]), torch.eye(2), torch.tensor([0, 1]))
    >>> statistics.nll, statistics.rank
    (tensor([0.6931, 9.0001]), tensor([0, 1]))
    """
    options = check_options(
        ignore_index=ignore_index, softcap=softcap, shift=shift, memory_budget=memory_budget
    )
    check_operands(input, linear_weight, linear_bias, target)
    places = torch.zeros(input.shape[:-1], dtype=torch.int64, device=input.device)
    check_shift(shift, places.shape)
    if target is not None:
        places = target.long()
        check_targets(places, ignore_index=ignore_index, num_classes=len(linear_weight))
    known = places.masked_fill(places == ignore_index, 0)
    rows = all_rows(known, shift)
    flat = input.reshape(-1, input.shape[-1])
    if uses_kernels(input, linear_weight, options):
        from matropy.nn.cut_cross_entropy._launch import statistics

        found = statistics(flat, linear_weight, linear_bias, rows, softcap)
    else:
        found = _chunked(flat, linear_weight, linear_bias, rows, options)
    shape = shifted(places, shift).shape
    nll, entropy, lse, rank, argmax = (one.reshape(shape) for one in found)
    if target is None:
        return TokenStatistics(None, entropy, lse, None, argmax)
    ignored = shifted(places, shift) == ignore_index
    return TokenStatistics(
        nll.masked_fill(ignored, 0), entropy, lse, rank.masked_fill(ignored | nll.isnan(), -1), argmax
    )


def _chunked(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    rows: KeptRows,
    options: Options,
) -> tuple[torch.Tensor, ...]:
    """Likelihood, entropy, log-sum-exp, rank and most probable class of each row."""
    with torch.autocast(input.device.type, enabled=False):
        logits = ChunkedLogits(input, weight, bias, rows, memory_budget=options.memory_budget)
        n = len(rows.target)
        nll, entropy, lse = torch.empty(3, n, dtype=logits.dtype, device=input.device)
        rank, argmax = torch.empty(2, n, dtype=torch.int64, device=input.device)
        found = (nll, entropy, lse, rank, argmax)
        for chunk in logits:
            for block in logits.blocks(chunk):
                if options.softcap is not None:
                    cap_(block, options.softcap)
                for whole, part in zip(found, _of_block(block, rows.target[block.places]), strict=True):
                    whole[block.places] = part
    return found


def _of_block(block: Block, target: torch.Tensor) -> tuple[torch.Tensor, ...]:
    z, scratch = block.z, block.scratch
    own = z.gather(1, target[:, None])
    # Floating ones are counted: sums of truth values take longer than all the rest.
    rank = torch.gt(z, own, out=scratch).sum(1).long()
    argmax = _first_largest(z)
    peak = z.gather(1, argmax)
    peak.masked_fill_(peak == -torch.inf, 0)
    weights = torch.exp(z.sub_(peak), out=scratch)
    total = weights.sum(1)
    mean = z.clamp_(min=_LOWEST).mul_(weights).sum(1) / total
    log_total = total.log()
    return log_total + (peak - own)[:, 0], log_total - mean, log_total + peak[:, 0], rank, argmax[:, 0]


def _first_largest(z: torch.Tensor) -> torch.Tensor:
    """Index of the largest logit, by way of the run that holds it: ten times as fast as one search over all."""
    classes = z.shape[1]
    runs = classes // _RUN
    if runs < 2:
        return z.argmax(1, keepdim=True)
    peaks = z[:, : runs * _RUN].unflatten(1, (runs, _RUN)).amax(2)
    if classes % _RUN:
        peaks = torch.cat([peaks, z[:, runs * _RUN :].amax(1, keepdim=True)], 1)
    first = peaks.argmax(1, keepdim=True) * _RUN
    within = (first + torch.arange(_RUN, device=z.device)).clamp_(max=classes - 1)
    largest: torch.Tensor = first + z.gather(1, within).argmax(1, keepdim=True)
    return largest
