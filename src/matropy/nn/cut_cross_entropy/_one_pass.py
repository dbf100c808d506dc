"""Loss and gradients in one pass over the tokens, for reductions whose upstream gradient is a single number.

The gradients of the mean or the sum are made in the forward pass, chunk by chunk, where the logits are at hand: three
products of ``2NVD`` operations, the least there is. The backward pass only multiplies by the upstream gradient. The
first one takes these gradients over, any later one makes them anew, and one that has to have a gradient itself goes
through the two-pass form.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from matropy.nn.cut_cross_entropy._chunked_logits import ChunkedLogits, Gradients, working_dtype
from matropy.nn.cut_cross_entropy._column_filter import live_columns
from matropy.nn.cut_cross_entropy._options import Options
from matropy.nn.cut_cross_entropy._softmax_rows import add_slopes_, cap_, exponentials_, through_cap_
from matropy.nn.cut_cross_entropy._targets import kept_rows
from matropy.nn.cut_cross_entropy._token_loss import Criterion, divide, sum_dtype
from matropy.nn.cut_cross_entropy._two_pass import two_pass_loss

__all__ = ["one_pass_loss"]


def one_pass_loss(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    target: torch.Tensor,
    class_weight: torch.Tensor | None,
    options: Options,
) -> torch.Tensor:
    """Mean or sum of the loss."""
    wanted = (tensor is not None and tensor.requires_grad for tensor in (input, weight, bias))
    loss: torch.Tensor = torch.ops.matropy.one_pass_cross_entropy(
        input,
        weight,
        bias,
        target,
        class_weight,
        options.reduction,
        options.ignore_index,
        options.label_smoothing,
        options.softcap,
        options.shift,
        options.z_loss,
        options.filter_mass,
        options.memory_budget,
        *(torch.is_grad_enabled() and want for want in wanted),
    )[0]
    return loss


@torch.library.custom_op(
    "matropy::one_pass_cross_entropy",
    mutates_args=(),
    schema=(
        "(Tensor input, Tensor weight, Tensor? bias, Tensor target, Tensor? class_weight, str reduction,"
        " int ignore_index, float label_smoothing, float? softcap, int shift, float z_loss, float? filter_mass,"
        " int memory_budget, bool wants_input, bool wants_weight, bool wants_bias)"
        " -> (Tensor loss, Tensor grad_input, Tensor grad_weight, Tensor grad_bias)"
    ),
)
def _operator(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    target: torch.Tensor,
    class_weight: torch.Tensor | None,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    softcap: float | None,
    shift: int,
    z_loss: float,
    filter_mass: float | None,
    memory_budget: int,
    wants_input: bool,
    wants_weight: bool,
    wants_bias: bool,
) -> tuple[torch.Tensor, ...]:
    flat = input.reshape(-1, input.shape[-1])
    kept = kept_rows(target, shift=shift, ignore_index=ignore_index, num_classes=len(weight))
    dtype = working_dtype(input, weight)
    wanted = (wants_input, wants_weight, wants_bias)
    criterion = Criterion(
        weight.new_ones(len(weight), dtype=dtype) if class_weight is None else class_weight,
        label_smoothing,
        z_loss,
    )
    skips = filter_mass is not None and not label_smoothing and any(wanted)
    share, z_share = _shares(kept.target, criterion, reduction)
    loss = torch.zeros_like(share)
    with torch.autocast(input.device.type, enabled=False):
        logits = ChunkedLogits(flat, weight, bias, kept, memory_budget=memory_budget)
        gradients = Gradients.zeros(flat, weight, wanted=wanted)
        for chunk in logits:
            mass = torch.zeros(len(weight) if skips else 0, dtype=dtype, device=input.device)
            for block in logits.blocks(chunk):
                here = kept.target[block.places]
                if softcap is not None:
                    cap_(block, softcap)
                sums, total = exponentials_(block.z, here, criterion.sum_weight)
                loss += share * criterion.cross_entropy(sums, here).sum(dtype=loss.dtype)
                loss += z_share * criterion.z_penalty(sums).sum(dtype=loss.dtype)
                if not any(wanted):
                    continue
                if skips:
                    mass.addmv_(block.z.t(), 1 / (len(chunk.z) * total))
                slope = share * criterion.lse_slope(here) + z_share * (2 * z_loss) * sums.lse
                block.z.mul_((slope / total)[:, None])
                sum_slope = (share * criterion.sum_slope).to(dtype).expand(len(here))
                add_slopes_(
                    block.z, here, share * criterion.target_slope(here), sum_slope, criterion.sum_weight
                )
                if softcap is not None:
                    through_cap_(block)
            if any(wanted):
                live = (
                    None
                    if filter_mass is None or not skips
                    else live_columns(mass, kept.target[chunk.places], filter_mass)
                )
                logits.add_gradients(chunk, gradients, live)
    made = (gradients.input, gradients.weight, gradients.bias)
    return loss.to(dtype), *(_or_nothing(gradient, loss) for gradient in made)


def _shares(target: torch.Tensor, criterion: Criterion, reduction: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What one token's cross-entropy, and its z-loss, are multiplied by before they are summed."""
    one = torch.ones((), dtype=sum_dtype(target), device=target.device)
    if reduction == "sum":
        return one, one
    return divide(one, criterion.class_weight[target].sum(dtype=one.dtype)), divide(one, one * len(target))


def _or_nothing(gradient: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
    return like.new_zeros(0) if gradient is None else gradient


@_operator.register_fake
def _(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    target: torch.Tensor,
    class_weight: torch.Tensor | None,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    softcap: float | None,
    shift: int,
    z_loss: float,
    filter_mass: float | None,
    memory_budget: int,
    *wanted: bool,
) -> tuple[torch.Tensor, ...]:
    dtype = working_dtype(input, weight)
    shapes = ((input.numel() // input.shape[-1], input.shape[-1]), weight.shape, weight.shape[:1])
    nothing = sum_dtype(target)
    return input.new_empty((), dtype=dtype), *(
        input.new_empty(shape, dtype=dtype) if want else input.new_empty(0, dtype=nothing)
        for shape, want in zip(shapes, wanted, strict=True)
    )


_NUMBERS = (
    "reduction",
    "ignore_index",
    "label_smoothing",
    "softcap",
    "shift",
    "z_loss",
    "filter_mass",
    "memory_budget",
)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
    _, *gradients = output
    ctx.mark_non_differentiable(*gradients)
    # Else zeros of the classifier's size stand for the gradients of these gradients.
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:5])
    ctx.numbers = inputs[5:13]
    # Taken over, and not only read, by the first backward pass, so that they are nowhere twice.
    ctx.gradients = gradients


def _backward(
    ctx: Any, upstream: torch.Tensor | None, *_: torch.Tensor | None
) -> tuple[torch.Tensor | None, ...]:
    if upstream is None:
        return (None,) * 16
    needed = ctx.needs_input_grad[:3]
    if torch.is_grad_enabled():
        return *_differentiable(ctx, upstream, needed), *(None for _ in range(13))
    gradients, ctx.gradients = ctx.gradients, None
    if gradients is None:
        gradients = _operator(*ctx.saved_tensors, *ctx.numbers, *needed)[1:]
    found = (
        _scaled(gradient, upstream).to(operand.dtype).view(operand.shape) if need else None
        for gradient, operand, need in zip(gradients, ctx.saved_tensors, needed, strict=False)
    )
    return *found, *(None for _ in range(13))


def _scaled(gradient: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    """In place, so that nothing of the classifier's size is made; a compiler's stand-ins must not be written to."""
    return gradient.mul_(by) if type(gradient) is torch.Tensor else gradient * by


def _differentiable(
    ctx: Any, upstream: torch.Tensor, needed: tuple[bool, bool, bool]
) -> Iterator[torch.Tensor | None]:
    """Gradients that have a gradient."""
    input, weight, bias, target, class_weight = ctx.saved_tensors
    options = Options(implementation="torch", **dict(zip(_NUMBERS, ctx.numbers, strict=True)))
    loss = two_pass_loss(input, weight, bias, target, class_weight, options)
    wanted = [operand for operand, need in zip((input, weight, bias), needed, strict=True) if need]
    found = iter(torch.autograd.grad(loss, wanted, upstream, create_graph=True))
    return (next(found) if need else None for need in needed)


_operator.register_autograd(_backward, setup_context=_save)
