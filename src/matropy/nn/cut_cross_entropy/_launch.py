"""Launching the kernels, and the bookkeeping between them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from matropy.nn.cut_cross_entropy import _kernels
from matropy.nn.cut_cross_entropy._chunked_logits import Gradients
from matropy.nn.cut_cross_entropy._class_order import class_order
from matropy.nn.cut_cross_entropy._targets import KeptRows
from matropy.nn.cut_cross_entropy._token_loss import LogitSums

__all__ = ["CLASSES", "TOKENS", "Skipping", "backward", "forward", "statistics"]

# Sides of a tile of logits.
TOKENS, CLASSES = 128, 128
# Parts of the vocabulary that are gone over side by side.
_SLICES = 8
_TILES_AT_ONCE = 64
_COLUMNS = 128


class Skipping(NamedTuple):
    """What may be skipped: tiles below ``eps``, for either gradient, by the largest logits of the forward pass."""

    eps: float
    input: bool
    weight: bool
    tile_peaks: torch.Tensor
    order: torch.Tensor


def forward(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    kept: KeptRows,
    sum_weight: torch.Tensor | None,
    softcap: float | None,
    *,
    skip_below: float | None,
) -> tuple[LogitSums, torch.Tensor, torch.Tensor]:
    """Sums over logits of each kept row; where tiles may be skipped, their largest logits too, and the class order."""
    operands = _Operands.of(input, weight, bias, kept, softcap)
    sorts, order = skip_below is not None, None
    if skip_below is not None:
        order = class_order(input, weight, bias, operands.rows, softcap, eps=skip_below)
    n, tiles, device = len(operands.rows), operands.tiles, input.device
    peaks = torch.empty((n, tiles) if sorts else 0, dtype=torch.bfloat16, device=device)
    lse, target_logit, logit_sum = torch.zeros(3, operands.slices, n, device=device)
    if n:
        _kernels.sums_over_slices[operands.grid](
            *operands.pointers(order),
            operands.or_nothing(sum_weight),
            operands.nothing,
            lse,
            target_logit,
            logit_sum,
            *(operands.nothing for _ in range(4)),
            peaks,
            *operands.sizes,
            ORDERED=sorts,
            SUMS=sum_weight is not None,
            STATISTICS=False,
            KEEPS_PEAKS=sorts,
            **operands.constants,
        )
    sums = LogitSums(lse.logsumexp(0), target_logit.sum(0), logit_sum.sum(0))
    return sums, peaks, torch.zeros(0, dtype=torch.int64, device=device) if order is None else order


def statistics(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    rows: KeptRows,
    softcap: float | None,
) -> tuple[torch.Tensor, ...]:
    """Likelihood, entropy, log-sum-exp, rank and most probable class of each row."""
    operands = _Operands.of(input, weight, bias, rows, softcap)
    n, device = len(operands.rows), input.device
    known = torch.empty(n, device=device)
    lse, target_logit, entropy, peak = torch.zeros(4, operands.slices, n, device=device)
    argmax = torch.zeros(operands.slices, n, dtype=torch.int64, device=device)
    rank = torch.zeros(operands.slices, n, dtype=torch.int32, device=device)
    if n:
        _kernels.target_logits[(-(-n // 32),)](
            operands.input,
            operands.rows,
            operands.target,
            operands.weight,
            operands.or_nothing(bias),
            known,
            operands.softcap,
            n,
            input.shape[1],
            TOKENS=32,
            STEP=64,
            HAS_BIAS=bias is not None,
            CAPPED=softcap is not None,
        )
        _kernels.sums_over_slices[operands.grid](
            *operands.pointers(None),
            operands.nothing,
            known,
            lse,
            target_logit,
            operands.nothing,
            entropy,
            peak,
            argmax,
            rank,
            operands.nothing,
            *operands.sizes,
            ORDERED=False,
            SUMS=False,
            STATISTICS=True,
            KEEPS_PEAKS=False,
            **operands.constants,
        )
    whole = lse.logsumexp(0)
    # The entropy of a mixture: of its parts, and of which part it is.
    log_share = lse - whole
    mixed = (log_share.exp() * (entropy - log_share.clamp(min=-1e4))).sum(0)
    best = argmax.gather(0, peak.argmax(0, keepdim=True))[0]
    return whole - target_logit.sum(0), mixed, whole, rank.sum(0), best


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
    skipping: Skipping | None,
    memory_budget: int,
) -> Gradients:
    """Gradients, given the derivatives of the loss by the sums (one of each for every kept row)."""
    operands = _Operands.of(input, weight, bias, kept, softcap)
    n, (classes, width), device = len(operands.rows), weight.shape, input.device
    wants_input, wants_weight, wants_bias = wanted
    gradients = Gradients(
        torch.zeros(input.shape, device=device) if wants_input else None,
        torch.zeros_like(operands.weight) if wants_weight else None,
        torch.zeros(classes, device=device) if wants_bias else None,
    )
    if not n:
        return gradients
    order = torch.arange(classes, device=device) if skipping is None else skipping.order
    live = _Live.of(operands, order, lse, skipping)
    scale = _power_of_two(slopes)
    slab_tiles = _slab_tiles(operands, memory_budget)
    slab = input.new_empty(operands.blocks * TOKENS, slab_tiles * CLASSES)
    column_sums = torch.empty(operands.blocks, slab_tiles * CLASSES, device=device)
    blocks, block_counts = _listed(live.weight.t())
    for first in range(0, operands.tiles, slab_tiles):
        here = min(slab_tiles, operands.tiles - first)
        column_sums.zero_()
        _kernels.logit_gradient[(operands.blocks, here)](
            *operands.pointers(order),
            operands.or_nothing(sum_weight),
            lse,
            *slopes,
            scale,
            live.either,
            slab,
            column_sums,
            operands.softcap,
            n,
            classes,
            width,
            operands.tiles,
            first,
            slab_tiles,
            SUMS=sum_weight is not None,
            COLUMN_SUMS=wants_bias,
            **operands.constants,
        )
        shared: dict[str, Any] = operands.product_constants
        if gradients.weight is not None:
            _kernels.weight_gradient[(here, -(-width // _COLUMNS))](
                operands.input,
                operands.rows,
                order,
                slab,
                blocks,
                block_counts,
                scale,
                gradients.weight,
                n,
                classes,
                width,
                operands.blocks,
                first,
                slab_tiles,
                **shared,
            )
        if gradients.input is not None:
            tiles, tile_counts = _listed(live.input[:, first : first + slab_tiles], slab_tiles)
            _kernels.input_gradient[(operands.blocks, -(-width // _COLUMNS))](
                operands.weight,
                operands.rows,
                order,
                slab,
                tiles,
                tile_counts,
                scale,
                gradients.input,
                n,
                classes,
                width,
                first,
                slab_tiles,
                **shared,
            )
        if gradients.bias is not None:
            places = order[first * CLASSES : (first + here) * CLASSES]
            gradients.bias[places] = column_sums.sum(0)[: len(places)] / scale
    return gradients


class _Operands(NamedTuple):
    input: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    rows: torch.Tensor
    target: torch.Tensor
    softcap: float
    capped: bool

    @classmethod
    def of(
        cls,
        input: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        kept: KeptRows,
        softcap: float | None,
    ) -> _Operands:
        rows = torch.arange(len(input), device=input.device) if kept.rows is None else kept.rows
        return cls(
            input.contiguous(),
            weight.contiguous(),
            bias,
            rows,
            kept.target.contiguous(),
            1.0 if softcap is None else float(softcap),
            softcap is not None,
        )

    @property
    def blocks(self) -> int:
        return -(-len(self.rows) // TOKENS)

    @property
    def tiles(self) -> int:
        return -(-len(self.weight) // CLASSES)

    @property
    def tiles_per_slice(self) -> int:
        return -(-self.tiles // min(_SLICES, self.tiles))

    @property
    def slices(self) -> int:
        return -(-self.tiles // self.tiles_per_slice)

    @property
    def grid(self) -> tuple[int, int]:
        return self.blocks, self.slices

    @property
    def nothing(self) -> torch.Tensor:
        """Stands for an array that a kernel does not look at."""
        return self.rows

    def or_nothing(self, tensor: torch.Tensor | None) -> torch.Tensor:
        return self.nothing if tensor is None else tensor

    def pointers(self, order: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        bias = self.or_nothing(self.bias)
        return self.input, self.rows, self.target, self.weight, bias, self.or_nothing(order)

    @property
    def sizes(self) -> tuple[float | int, ...]:
        classes, width = self.weight.shape
        return self.softcap, len(self.rows), classes, width, self.tiles, self.tiles_per_slice

    @property
    def product_constants(self) -> dict[str, Any]:
        single = self.input.dtype == torch.float32
        precise = torch.get_float32_matmul_precision() == "highest"
        return {
            "TOKENS": TOKENS,
            "CLASSES": CLASSES,
            "COLUMNS": _COLUMNS,
            "STEP": 32 if single else 64,
            # The interpreter multiplies the bits of bfloat16, not the numbers.
            "WIDEN": _kernels.INTERPRETED and self.input.dtype == torch.bfloat16,
            "PRECISION": "ieee" if precise else "tf32",
            "num_warps": 8,
        }

    @property
    def constants(self) -> dict[str, Any]:
        shared = self.product_constants
        del shared["COLUMNS"]
        return shared | {"HAS_BIAS": self.bias is not None, "CAPPED": self.capped}


class _Live(NamedTuple):
    """Tiles (blocks of tokens by blocks of classes) that each gradient needs."""

    input: torch.Tensor
    weight: torch.Tensor

    @property
    def either(self) -> torch.Tensor:
        return (self.input | self.weight).to(torch.int8)

    @classmethod
    def of(
        cls, operands: _Operands, order: torch.Tensor, lse: torch.Tensor, skipping: Skipping | None
    ) -> _Live:
        blocks, tiles, n = operands.blocks, operands.tiles, len(operands.rows)
        every = torch.ones(blocks, tiles, dtype=torch.bool, device=lse.device)
        if skipping is None:
            return cls(every, every)
        reached = torch.empty(blocks, tiles, dtype=torch.int8, device=lse.device)
        log_eps = torch.tensor(skipping.eps, dtype=torch.float64).log().item()
        _kernels.live_tiles[(blocks, -(-tiles // _TILES_AT_ONCE))](
            skipping.tile_peaks, lse, reached, log_eps, n, tiles, TOKENS=TOKENS, GROUP=_TILES_AT_ONCE
        )
        live = reached.bool()
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        block = torch.arange(n, device=order.device) // TOKENS
        here = operands.target >= 0
        live[block[here], place[operands.target[here]] // CLASSES] = True
        return cls(live if skipping.input else every, live if skipping.weight else every)


def _listed(live: torch.Tensor, width: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices of what is live in each row, in front of the row, and how many there are."""
    indices = (~live).to(torch.int8).argsort(dim=1, stable=True).to(torch.int32)
    if width is not None:
        indices = torch.nn.functional.pad(indices, (0, width - indices.shape[1]))
    return indices.contiguous(), live.sum(1, dtype=torch.int32)


def _slab_tiles(operands: _Operands, memory_budget: int) -> int:
    """Tiles whose gradients are kept for all tokens at a time."""
    tile = operands.blocks * TOKENS * CLASSES * operands.input.element_size()
    return min(operands.tiles, max(1, memory_budget // tile))


def _power_of_two(slopes: LogitSums) -> torch.Tensor:
    """What brings the largest slope near one, so that small gradients survive in float16."""
    largest = torch.stack([slopes.lse.abs().max(), slopes.target_logit.abs().max()]).max()
    exponent = torch.where(largest > 0, largest, torch.ones_like(largest)).log2().floor()
    return torch.exp2(-exponent.clamp(-100, 100))
