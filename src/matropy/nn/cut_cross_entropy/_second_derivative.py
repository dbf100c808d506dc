r"""The derivative of the gradient.

With cotangents :math:`u_E,u_C,u_b` of the gradients and :math:`R=u_EC^\top+Eu_C^\top+u_b`, their inner product is
:math:`\Phi=\sum_{iv}G_{iv}f'_{iv}R_{iv}`, where :math:`G_{iv}=\alpha_ip_{iv}+\tau_i[v=x_i]+\sigma_i\omega_v` is the
gradient by the capped logits and :math:`f` the cap. By the logits before the cap it has the derivative

.. math::

    H_{iv} = f'_{iv}\,\alpha_i p_{iv}\Bigl(f'_{iv}R_{iv} - \sum_w p_{iw}f'_{iw}R_{iw}\Bigr) + G_{iv}f''_{iv}R_{iv} .
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from matropy.nn.cut_cross_entropy._chunked_logits import working_dtype
from matropy.nn.cut_cross_entropy._targets import local_rows
from matropy.nn.cut_cross_entropy._token_loss import LogitSums

__all__ = ["second_derivative"]

_LOGITS_AT_ONCE = 2**21


def second_derivative(*arguments: Any) -> tuple[torch.Tensor, ...]:
    """Derivatives of the inner product by the three slopes and the three operands."""
    found: tuple[torch.Tensor, ...] = torch.ops.matropy.logit_sums_second_derivative(*arguments)
    return found


@torch.library.custom_op(
    "matropy::logit_sums_second_derivative",
    mutates_args=(),
    schema=(
        "(Tensor lse_slope, Tensor target_slope, Tensor sum_slope, Tensor input, Tensor weight, Tensor? bias,"
        " Tensor target, Tensor? sum_weight, int first_class, SymInt num_classes, int ignore_index, int shift,"
        " float? softcap, Tensor? of_input, Tensor? of_weight, Tensor? of_bias)"
        " -> (Tensor by_lse_slope, Tensor by_target_slope, Tensor by_sum_slope, Tensor by_input, Tensor by_weight,"
        " Tensor by_bias)"
    ),
)
def _operator(
    lse_slope: torch.Tensor,
    target_slope: torch.Tensor,
    sum_slope: torch.Tensor,
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
    of_input: torch.Tensor | None,
    of_weight: torch.Tensor | None,
    of_bias: torch.Tensor | None,
) -> tuple[torch.Tensor, ...]:
    dtype = working_dtype(input, weight)
    local = local_rows(
        target,
        shift=shift,
        ignore_index=ignore_index,
        num_classes=num_classes,
        first_class=first_class,
        here=len(weight),
    )
    flat = input.reshape(-1, input.shape[-1])
    rows = torch.arange(len(flat), device=input.device) if local.rows is None else local.rows
    slopes = LogitSums(*(local.gather(one, shift) for one in (lse_slope, target_slope, sum_slope)))
    by_slopes = LogitSums(*(torch.zeros_like(one) for one in slopes))
    c, u_c = weight.to(dtype), None if of_weight is None else of_weight.to(dtype)
    by_input, by_weight = torch.zeros_like(flat, dtype=dtype), torch.zeros_like(c)
    by_bias = c.new_zeros(len(c))
    with torch.autocast(input.device.type, enabled=False):
        step = max(1, _LOGITS_AT_ONCE // len(c))
        for start in range(0, len(rows), step):
            places, some = slice(start, start + step), rows[start : start + step]
            e = flat[some].to(dtype)
            u_e = None if of_input is None else of_input.reshape(flat.shape)[some].to(dtype)
            cap = _cap(torch.nn.functional.linear(e, c, None if bias is None else bias.to(dtype)), softcap)
            r = e.new_zeros(()) if of_bias is None else of_bias.to(dtype)
            r = r if u_e is None else r + u_e @ c.t()
            r = r if u_c is None else r + e @ u_c.t()
            r = r.expand(cap.z.shape)
            g, q = cap.z.softmax(1), cap.first * r
            mean = (g * q).sum(1)
            here = local.target[places]
            own = here.clamp(min=0)[:, None]
            by_slopes.lse[places] = mean
            by_slopes.target_logit[places] = q.gather(1, own)[:, 0].masked_fill(here < 0, 0)
            g = g * slopes.lse[places, None]
            h = cap.first * g * (q - mean[:, None])
            g.scatter_add_(1, own, slopes.target_logit[places, None].masked_fill(here[:, None] < 0, 0))
            if sum_weight is not None:
                by_slopes.logit_sum[places] = q @ sum_weight
                g.addcmul_(slopes.logit_sum[places, None], sum_weight[None])
            h += g * cap.second * r
            g = g * cap.first
            by_input[some] = h @ c if u_c is None else h @ c + g @ u_c
            by_weight += h.t() @ e if u_e is None else h.t() @ e + g.t() @ u_e
            by_bias += h.sum(0)
    return (
        *(local.scatter(one, target.shape, shift) for one in by_slopes),
        by_input.to(input.dtype).view(input.shape),
        by_weight.to(weight.dtype),
        by_bias.to(weight.dtype),
    )


class _Capped(NamedTuple):
    """Logits after the cap, and two derivatives of it."""

    z: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor


def _cap(z: torch.Tensor, softcap: float | None) -> _Capped:
    if softcap is None:
        return _Capped(z, z.new_ones(()), z.new_zeros(()))
    t = torch.tanh(z / softcap)
    first = 1 - t * t
    return _Capped(softcap * t, first, -2 / softcap * t * first)


@_operator.register_fake
def _(*arguments: Any) -> tuple[torch.Tensor, ...]:
    slopes, (input, weight) = arguments[:3], arguments[3:5]
    contiguous = torch.contiguous_format
    return (
        *(torch.empty_like(one, memory_format=contiguous) for one in slopes),
        torch.empty_like(input, memory_format=contiguous),
        torch.empty_like(weight, memory_format=contiguous),
        weight.new_empty(weight.shape[:1]),
    )
