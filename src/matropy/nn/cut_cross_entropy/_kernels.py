"""Triton kernels: logits live in registers, tile by tile, and every sum has one owner.

A tile is ``TOKENS`` kept rows by ``CLASSES`` consecutive places of the class order. No kernel locks or adds atomically,
so results do not depend on the order in which programs run.
"""

# mypy: disable-error-code="import-not-found, import-untyped, no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

__all__ = [
    "INTERPRETED",
    "input_gradient",
    "live_tiles",
    "logit_gradient",
    "sums_over_slices",
    "target_logits",
    "weight_gradient",
]


@triton.jit
def _tanh(x):
    # Written out, since the interpreter knows no library functions.
    return 2 * tl.sigmoid(2 * x) - 1


@triton.jit
def _logit_tile(
    input_ptr,
    rows,
    row_ok,
    weight_ptr,
    classes,
    class_ok,
    bias_ptr,
    softcap,
    WIDTH,
    TOKENS: tl.constexpr,
    CLASSES: tl.constexpr,
    STEP: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    CAPPED: tl.constexpr,
    WIDEN: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Logits of a tile in float32, minus infinity beyond the last class; and the cap's tanh."""
    z = tl.zeros((TOKENS, CLASSES), tl.float32)
    for start in range(0, WIDTH, STEP):
        d = start + tl.arange(0, STEP)
        inside = d < WIDTH
        e = tl.load(
            input_ptr + rows[:, None] * WIDTH + d[None, :], mask=row_ok[:, None] & inside[None, :], other=0.0
        )
        c = tl.load(
            weight_ptr + classes[:, None] * WIDTH + d[None, :],
            mask=class_ok[:, None] & inside[None, :],
            other=0.0,
        )
        if WIDEN:
            e = e.to(tl.float32)
            c = c.to(tl.float32)
        z = tl.dot(e, tl.trans(c), z, input_precision=PRECISION)
    if HAS_BIAS:
        z += tl.load(bias_ptr + classes, mask=class_ok, other=0.0).to(tl.float32)[None, :]
    t = z
    if CAPPED:
        t = _tanh(z / softcap)
        z = softcap * t
    return tl.where(class_ok[None, :], z, float("-inf")), t


@triton.jit
def target_logits(
    input_ptr,
    rows_ptr,
    target_ptr,
    weight_ptr,
    bias_ptr,
    out_ptr,
    softcap,
    N,
    WIDTH,
    TOKENS: tl.constexpr,
    STEP: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    CAPPED: tl.constexpr,
):
    """Logit of each row's target; a program owns ``TOKENS`` rows."""
    i = tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)
    ok = i < N
    rows = tl.load(rows_ptr + i, mask=ok, other=0)
    target = tl.load(target_ptr + i, mask=ok, other=0)
    z = tl.zeros((TOKENS,), tl.float32)
    for start in range(0, WIDTH, STEP):
        d = start + tl.arange(0, STEP)
        both = ok[:, None] & (d < WIDTH)[None, :]
        e = tl.load(input_ptr + rows[:, None] * WIDTH + d[None, :], mask=both, other=0.0)
        c = tl.load(weight_ptr + target[:, None] * WIDTH + d[None, :], mask=both, other=0.0)
        z += tl.sum(e.to(tl.float32) * c.to(tl.float32), 1)
    if HAS_BIAS:
        z += tl.load(bias_ptr + target, mask=ok, other=0.0).to(tl.float32)
    if CAPPED:
        z = softcap * _tanh(z / softcap)
    tl.store(out_ptr + i, z, mask=ok)


@triton.jit
def sums_over_slices(
    input_ptr,
    rows_ptr,
    target_ptr,
    weight_ptr,
    bias_ptr,
    order_ptr,
    sum_weight_ptr,
    known_ptr,
    lse_ptr,
    target_logit_ptr,
    logit_sum_ptr,
    entropy_ptr,
    peak_ptr,
    argmax_ptr,
    rank_ptr,
    tile_peak_ptr,
    softcap,
    N,
    V,
    WIDTH,
    TILES,
    TILES_PER_SLICE,
    TOKENS: tl.constexpr,
    CLASSES: tl.constexpr,
    STEP: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    CAPPED: tl.constexpr,
    ORDERED: tl.constexpr,
    SUMS: tl.constexpr,
    STATISTICS: tl.constexpr,
    KEEPS_PEAKS: tl.constexpr,
    WIDEN: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Sums over one slice of the vocabulary for ``TOKENS`` rows; the slices are put together outside.

    With ``STATISTICS`` also entropy, largest logit, its class, and how many logits exceed ``known``, the target's.
    With ``KEEPS_PEAKS`` the largest logit of each row in each tile, rounded up to bfloat16.
    """
    i = tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)
    ok = i < N
    rows = tl.load(rows_ptr + i, mask=ok, other=0)
    target = tl.load(target_ptr + i, mask=ok, other=-1)
    peak = tl.full((TOKENS,), float("-inf"), tl.float32)
    total = tl.zeros((TOKENS,), tl.float32)
    moment = tl.zeros((TOKENS,), tl.float32)
    own = tl.zeros((TOKENS,), tl.float32)
    weighted = tl.zeros((TOKENS,), tl.float32)
    best = tl.zeros((TOKENS,), tl.int64)
    above = tl.zeros((TOKENS,), tl.int32)
    known = own
    if STATISTICS:
        known = tl.load(known_ptr + i, mask=ok, other=0.0)
    first = tl.program_id(1) * TILES_PER_SLICE
    for tile in range(first, tl.minimum(first + TILES_PER_SLICE, TILES)):
        place = tile * CLASSES + tl.arange(0, CLASSES)
        class_ok = place < V
        classes = place.to(tl.int64)
        if ORDERED:
            classes = tl.load(order_ptr + place, mask=class_ok, other=0)
        z, _ = _logit_tile(
            input_ptr,
            rows,
            ok,
            weight_ptr,
            classes,
            class_ok,
            bias_ptr,
            softcap,
            WIDTH,
            TOKENS,
            CLASSES,
            STEP,
            HAS_BIAS,
            CAPPED,
            WIDEN,
            PRECISION,
        )
        hit = (classes[None, :] == target[:, None]) & class_ok[None, :]
        own += tl.sum(tl.where(hit, z, 0.0), 1)
        if SUMS:
            w = tl.load(sum_weight_ptr + classes, mask=class_ok, other=0.0)
            weighted += tl.sum(tl.where(class_ok[None, :], z, 0.0) * w[None, :], 1)
        tile_peak = tl.max(z, 1)
        new_peak = tl.maximum(peak, tile_peak)
        base = tl.where(new_peak == float("-inf"), 0.0, new_peak)
        shrink = tl.exp(peak - base)
        below = z - base[:, None]
        e = tl.exp(below)
        if STATISTICS:
            # The moment is about the largest logit so far; while there is none, there is nothing to move.
            moved = tl.where(total > 0, total * (peak - base), 0.0)
            moment = (moment + moved) * shrink + tl.sum(e * tl.maximum(below, -1e4), 1)
            at = tl.min(tl.where(z == tile_peak[:, None], place[None, :], V), 1)
            best = tl.where(tile_peak > peak, at.to(tl.int64), best)
            above += tl.sum(((z > known[:, None]) & (hit == 0)).to(tl.int32), 1)
        total = total * shrink + tl.sum(e, 1)
        peak = new_peak
        if KEEPS_PEAKS:
            # Rounding to bfloat16 loses less than 2^-8 of the value.
            up = tl.where(tile_peak == float("-inf"), tile_peak, tile_peak + tl.abs(tile_peak) * 0.00390625)
            tl.store(tile_peak_ptr + i.to(tl.int64) * TILES + tile, up.to(tl.bfloat16), mask=ok)
    base = tl.where(peak == float("-inf"), 0.0, peak)
    out = tl.program_id(1) * N + i
    tl.store(lse_ptr + out, tl.log(total) + base, mask=ok)
    tl.store(target_logit_ptr + out, own, mask=ok)
    if SUMS:
        tl.store(logit_sum_ptr + out, weighted, mask=ok)
    if STATISTICS:
        entropy = tl.where(total == 0, 0.0, tl.log(total) - moment / total)
        tl.store(entropy_ptr + out, entropy, mask=ok)
        tl.store(peak_ptr + out, peak, mask=ok)
        tl.store(argmax_ptr + out, best, mask=ok)
        tl.store(rank_ptr + out, above, mask=ok)


@triton.jit
def live_tiles(
    tile_peak_ptr,
    lse_ptr,
    live_ptr,
    log_eps,
    N,
    TILES,
    TOKENS: tl.constexpr,
    GROUP: tl.constexpr,
):
    """Whether a tile holds a probability that reaches epsilon; a program looks at ``GROUP`` tiles of some rows."""
    block = tl.program_id(0)
    i = block * TOKENS + tl.arange(0, TOKENS)
    tile = tl.program_id(1) * GROUP + tl.arange(0, GROUP)
    both = (i < N)[:, None] & (tile < TILES)[None, :]
    peaks = tl.load(
        tile_peak_ptr + i[:, None].to(tl.int64) * TILES + tile[None, :], mask=both, other=float("-inf")
    )
    lse = tl.load(lse_ptr + i, mask=i < N, other=0.0)
    most = tl.max(tl.where(both, peaks.to(tl.float32) - lse[:, None], float("-inf")), 0)
    tl.store(live_ptr + block * TILES + tile, (most >= log_eps).to(tl.int8), mask=tile < TILES)


@triton.jit
def logit_gradient(
    input_ptr,
    rows_ptr,
    target_ptr,
    weight_ptr,
    bias_ptr,
    order_ptr,
    sum_weight_ptr,
    lse_ptr,
    lse_slope_ptr,
    target_slope_ptr,
    sum_slope_ptr,
    scale_ptr,
    live_ptr,
    gradient_ptr,
    column_sum_ptr,
    softcap,
    N,
    V,
    WIDTH,
    TILES,
    first_tile,
    slab_tiles,
    TOKENS: tl.constexpr,
    CLASSES: tl.constexpr,
    STEP: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    CAPPED: tl.constexpr,
    SUMS: tl.constexpr,
    COLUMN_SUMS: tl.constexpr,
    WIDEN: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Gradient by the logits of one live tile, scaled, into the slab; a program owns a tile."""
    block = tl.program_id(0)
    tile = first_tile + tl.program_id(1)
    if tl.load(live_ptr + block * TILES + tile) == 0:
        return
    i = block * TOKENS + tl.arange(0, TOKENS)
    ok = i < N
    rows = tl.load(rows_ptr + i, mask=ok, other=0)
    target = tl.load(target_ptr + i, mask=ok, other=-1)
    place = tile * CLASSES + tl.arange(0, CLASSES)
    class_ok = place < V
    classes = tl.load(order_ptr + place, mask=class_ok, other=0)
    z, t = _logit_tile(
        input_ptr,
        rows,
        ok,
        weight_ptr,
        classes,
        class_ok,
        bias_ptr,
        softcap,
        WIDTH,
        TOKENS,
        CLASSES,
        STEP,
        HAS_BIAS,
        CAPPED,
        WIDEN,
        PRECISION,
    )
    lse = tl.load(lse_ptr + i, mask=ok, other=0.0)
    lse = tl.where(lse == float("-inf"), 0.0, lse)
    scale = tl.load(scale_ptr)
    g = tl.exp(z - lse[:, None]) * (tl.load(lse_slope_ptr + i, mask=ok, other=0.0) * scale)[:, None]
    hit = (classes[None, :] == target[:, None]) & class_ok[None, :]
    g += tl.where(hit, (tl.load(target_slope_ptr + i, mask=ok, other=0.0) * scale)[:, None], 0.0)
    if SUMS:
        w = tl.load(sum_weight_ptr + classes, mask=class_ok, other=0.0)
        g += (tl.load(sum_slope_ptr + i, mask=ok, other=0.0) * scale)[:, None] * w[None, :]
    if CAPPED:
        g *= 1 - t * t
    g = tl.where(ok[:, None] & class_ok[None, :], g, 0.0)
    column = tl.program_id(1) * CLASSES + tl.arange(0, CLASSES)
    slab_width = slab_tiles * CLASSES
    tl.store(
        gradient_ptr + i[:, None].to(tl.int64) * slab_width + column[None, :],
        g.to(gradient_ptr.dtype.element_ty),
    )
    if COLUMN_SUMS:
        tl.store(column_sum_ptr + block * slab_width + column, tl.sum(g, 0))


@triton.jit
def weight_gradient(
    input_ptr,
    rows_ptr,
    order_ptr,
    gradient_ptr,
    blocks_ptr,
    count_ptr,
    scale_ptr,
    out_ptr,
    N,
    V,
    WIDTH,
    BLOCKS,
    first_tile,
    slab_tiles,
    TOKENS: tl.constexpr,
    CLASSES: tl.constexpr,
    COLUMNS: tl.constexpr,
    STEP: tl.constexpr,
    WIDEN: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Rows of the classifier's gradient: a program owns the classes of one tile by ``COLUMNS`` of the width."""
    tile = first_tile + tl.program_id(0)
    d = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    column = tl.program_id(0) * CLASSES + tl.arange(0, CLASSES)
    total = tl.zeros((CLASSES, COLUMNS), tl.float32)
    steps = TOKENS // STEP
    for step in range(0, tl.load(count_ptr + tile) * steps):
        block = tl.load(blocks_ptr + tile * BLOCKS + step // steps)
        i = block * TOKENS + (step % steps) * STEP + tl.arange(0, STEP)
        ok = i < N
        g = tl.load(gradient_ptr + i[:, None].to(tl.int64) * (slab_tiles * CLASSES) + column[None, :])
        rows = tl.load(rows_ptr + i, mask=ok, other=0)
        e = tl.load(
            input_ptr + rows[:, None] * WIDTH + d[None, :],
            mask=ok[:, None] & (d < WIDTH)[None, :],
            other=0.0,
        )
        if WIDEN:
            g = g.to(tl.float32)
            e = e.to(tl.float32)
        total = tl.dot(tl.trans(g), e, total, input_precision=PRECISION)
    place = tile * CLASSES + tl.arange(0, CLASSES)
    classes = tl.load(order_ptr + place, mask=place < V, other=0)
    tl.store(
        out_ptr + classes[:, None] * WIDTH + d[None, :],
        (total / tl.load(scale_ptr)).to(out_ptr.dtype.element_ty),
        mask=(place < V)[:, None] & (d < WIDTH)[None, :],
    )


@triton.jit
def input_gradient(
    weight_ptr,
    rows_ptr,
    order_ptr,
    gradient_ptr,
    tiles_ptr,
    count_ptr,
    scale_ptr,
    out_ptr,
    N,
    V,
    WIDTH,
    first_tile,
    slab_tiles,
    TOKENS: tl.constexpr,
    CLASSES: tl.constexpr,
    COLUMNS: tl.constexpr,
    STEP: tl.constexpr,
    WIDEN: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """What a slab adds to the input's gradient: a program owns the rows of one block by ``COLUMNS`` of the width."""
    block = tl.program_id(0)
    d = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    i = block * TOKENS + tl.arange(0, TOKENS)
    total = tl.zeros((TOKENS, COLUMNS), tl.float32)
    steps = CLASSES // STEP
    for step in range(0, tl.load(count_ptr + block) * steps):
        tile = tl.load(tiles_ptr + block * slab_tiles + step // steps)
        column = tile * CLASSES + (step % steps) * STEP + tl.arange(0, STEP)
        place = first_tile * CLASSES + column
        g = tl.load(gradient_ptr + i[:, None].to(tl.int64) * (slab_tiles * CLASSES) + column[None, :])
        classes = tl.load(order_ptr + place, mask=place < V, other=0)
        c = tl.load(
            weight_ptr + classes[:, None] * WIDTH + d[None, :],
            mask=(place < V)[:, None] & (d < WIDTH)[None, :],
            other=0.0,
        )
        if WIDEN:
            g = g.to(tl.float32)
            c = c.to(tl.float32)
        total = tl.dot(g, c, total, input_precision=PRECISION)
    ok = i < N
    rows = tl.load(rows_ptr + i, mask=ok, other=0)
    at = out_ptr + rows[:, None] * WIDTH + d[None, :]
    both = ok[:, None] & (d < WIDTH)[None, :]
    before = tl.load(at, mask=both, other=0.0)
    tl.store(at, before + total / tl.load(scale_ptr), mask=both)


INTERPRETED = not isinstance(live_tiles, triton.JITFunction)
