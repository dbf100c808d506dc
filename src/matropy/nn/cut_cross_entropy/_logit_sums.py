"""Three sums over the logits of each token, as an operator whose gradient makes the logits anew.

The operator is what the chunked path and the kernels have in common. Its backward pass is an operator too and has a
derivative of its own where nothing is skipped.
"""

from __future__ import annotations

from typing import Any

import torch

from matropy._core._errors import InputError
from matropy.nn.cut_cross_entropy import _chunked_sums
from matropy.nn.cut_cross_entropy._chunked_logits import working_dtype
from matropy.nn.cut_cross_entropy._implementation import uses_kernels
from matropy.nn.cut_cross_entropy._options import Options
from matropy.nn.cut_cross_entropy._second_derivative import second_derivative
from matropy.nn.cut_cross_entropy._targets import local_rows
from matropy.nn.cut_cross_entropy._token_loss import LogitSums

__all__ = ["logit_sums"]


def logit_sums(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    target: torch.Tensor,
    sum_weight: torch.Tensor | None,
    options: Options,
    *,
    first_class: int = 0,
    num_classes: int | None = None,
) -> LogitSums:
    """Sums over the classes of ``weight``, which are those from ``first_class`` on, in the shape of the shifted target."""
    kernels = uses_kernels(input, weight, options)
    if kernels and input.dtype != weight.dtype:
        dtype = torch.get_autocast_dtype(input.device.type)
        input, weight = input.to(dtype), weight.to(dtype)
    lse, target_logit, logit_sum, *_ = torch.ops.matropy.logit_sums(
        input,
        weight,
        bias,
        target,
        sum_weight,
        first_class,
        len(weight) if num_classes is None else num_classes,
        options.ignore_index,
        options.shift,
        options.softcap,
        options.skip_below(input.dtype) if kernels else None,
        "input" in options.filter_grads,
        "weight" in options.filter_grads,
        None if kernels or options.label_smoothing else options.filter_mass,
        options.memory_budget,
        kernels,
    )
    return LogitSums(lse, target_logit, logit_sum)


_COMMON = (
    "Tensor input, Tensor weight, Tensor? bias, Tensor target, Tensor? sum_weight, int first_class,"
    " SymInt num_classes, int ignore_index, int shift, float? softcap, float? skip_below, bool skips_input,"
    " bool skips_weight, float? filter_mass, int memory_budget, bool kernels"
)


@torch.library.custom_op(
    "matropy::logit_sums",
    mutates_args=(),
    schema=(
        f"({_COMMON}) -> (Tensor lse, Tensor target_logit, Tensor logit_sum, Tensor tile_peaks, Tensor order)"
    ),
)
def _forward(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    target: torch.Tensor,
    sum_weight: torch.Tensor | None,
    first_class: int,
    num_classes: int,
    ignore_index: int,
    shift: int,
    softcap: float | None,
    skip_below: float | None,
    skips_input: bool,
    skips_weight: bool,
    filter_mass: float | None,
    memory_budget: int,
    kernels: bool,
) -> tuple[torch.Tensor, ...]:
    local = local_rows(
        target,
        shift=shift,
        ignore_index=ignore_index,
        num_classes=num_classes,
        first_class=first_class,
        here=len(weight),
    )
    flat = input.reshape(-1, input.shape[-1])
    if kernels:
        from matropy.nn.cut_cross_entropy._launch import forward

        sums, tile_peaks, order = forward(
            flat, weight, bias, local, sum_weight, softcap, skip_below=skip_below
        )
    else:
        sums = _chunked_sums.forward(flat, weight, bias, local, sum_weight, softcap, memory_budget)
        tile_peaks, order = (torch.zeros(0, device=input.device) for _ in range(2))
    return *(local.scatter(one, target.shape, shift) for one in sums), tile_peaks, order


@_forward.register_fake
def _(
    input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, target: torch.Tensor, *options: Any
) -> tuple[torch.Tensor, ...]:
    shift = options[4]
    shape = (*target.shape[:-1], target.shape[-1] - shift) if shift else target.shape
    sums = (input.new_empty(shape, dtype=working_dtype(input, weight)) for _ in range(3))
    return *sums, *(input.new_empty(0, dtype=torch.float32) for _ in range(2))


@torch.library.custom_op(
    "matropy::logit_sums_backward",
    mutates_args=(),
    schema=(
        "(Tensor lse_slope, Tensor target_slope, Tensor sum_slope, Tensor lse, Tensor tile_peaks, Tensor order,"
        f" {_COMMON}, bool wants_input, bool wants_weight, bool wants_bias)"
        " -> (Tensor grad_input, Tensor grad_weight, Tensor grad_bias)"
    ),
)
def _backward(
    lse_slope: torch.Tensor,
    target_slope: torch.Tensor,
    sum_slope: torch.Tensor,
    lse: torch.Tensor,
    tile_peaks: torch.Tensor,
    order: torch.Tensor,
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    target: torch.Tensor,
    sum_weight: torch.Tensor | None,
    first_class: int,
    num_classes: int,
    ignore_index: int,
    shift: int,
    softcap: float | None,
    skip_below: float | None,
    skips_input: bool,
    skips_weight: bool,
    filter_mass: float | None,
    memory_budget: int,
    kernels: bool,
    wants_input: bool,
    wants_weight: bool,
    wants_bias: bool,
) -> tuple[torch.Tensor, ...]:
    local = local_rows(
        target,
        shift=shift,
        ignore_index=ignore_index,
        num_classes=num_classes,
        first_class=first_class,
        here=len(weight),
    )
    flat = input.reshape(-1, input.shape[-1])
    slopes = LogitSums(*(local.gather(one, shift) for one in (lse_slope, target_slope, sum_slope)))
    of_lse = local.gather(lse, shift)
    wanted = (wants_input, wants_weight, wants_bias)
    if kernels:
        from matropy.nn.cut_cross_entropy._launch import Skipping, backward

        skipping = None
        if skip_below is not None:
            skipping = Skipping(skip_below, skips_input, skips_weight, tile_peaks, order)
        gradients = backward(
            flat, weight, bias, local, sum_weight, softcap, slopes, of_lse, wanted, skipping, memory_budget
        )
    else:
        gradients = _chunked_sums.backward(
            flat, weight, bias, local, sum_weight, softcap, slopes, of_lse, wanted, filter_mass, memory_budget
        )
    found = (gradients.input, gradients.weight, gradients.bias)
    operands = (input, weight, bias)
    return tuple(
        input.new_empty(0)
        if gradient is None or operand is None
        else gradient.to(operand.dtype).view(operand.shape)
        for gradient, operand in zip(found, operands, strict=True)
    )


@_backward.register_fake
def _(*arguments: Any) -> tuple[torch.Tensor, ...]:
    operands, wanted = arguments[6:9], arguments[-3:]
    return tuple(
        torch.empty_like(operand, memory_format=torch.contiguous_format) if want else operands[0].new_empty(0)
        for operand, want in zip(operands, wanted, strict=True)
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
    lse, _, _, tile_peaks, order = output
    ctx.mark_non_differentiable(tile_peaks, order)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(lse, tile_peaks, order, *inputs[:5])
    ctx.numbers = inputs[5:]


def _through(ctx: Any, *slopes: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    needed = ctx.needs_input_grad[:3]
    lse = ctx.saved_tensors[0]
    known = (torch.zeros_like(lse) if slope is None else slope for slope in slopes[:3])
    found = torch.ops.matropy.logit_sums_backward(*known, *ctx.saved_tensors, *ctx.numbers, *needed)
    wanted = (gradient if need else None for gradient, need in zip(found, needed, strict=True))
    return *wanted, *(None for _ in range(13))


_forward.register_autograd(_through, setup_context=_save)


def _save_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:3], *inputs[6:11])
    ctx.numbers = inputs[11:]


def _through_backward(ctx: Any, *cotangents: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    skip_below, filter_mass = ctx.numbers[5], ctx.numbers[8]
    if skip_below is not None or filter_mass is not None:
        raise InputError(
            "the gradient was made with filter_eps or filter_mass, which skip small entries; it has no second"
            " derivative"
        )
    wanted = ctx.numbers[-3:]
    given = (cotangent if want else None for cotangent, want in zip(cotangents, wanted, strict=True))
    found = second_derivative(*ctx.saved_tensors, *ctx.numbers[:5], *given)
    bias = ctx.saved_tensors[5]
    by_bias = None if bias is None else found[5].to(bias.dtype)
    return *found[:3], None, None, None, *found[3:5], by_bias, *(None for _ in range(16))


_backward.register_autograd(_through_backward, setup_context=_save_backward)
