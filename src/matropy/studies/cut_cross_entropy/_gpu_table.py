"""The paper's table of time and memory, on a GPU: Gemma 2 2B's shape, with a real head inside it."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import cast

import numpy as np
import torch
from torch.nn import functional

from matropy.nn import linear_cross_entropy
from matropy.reporting import Column, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run

_TOKENS, _CLASSES, _WIDTH = 8192, 256_000, 2304
_MIB = 2**20
_ROUNDS = 5

_NOTHING = Measured(dict.fromkeys(("gpu_time_over_compile", "gpu_loss_mib"), math.nan))

_Way = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def measure_gpu_table(run: Run) -> Measured:
    """Time and memory of each way, as ratios to torch.compile's time and beyond the gradients."""
    if run.scale != "full":
        return _NOTHING
    if torch.device(run.device).type != "cuda":
        run.skip("the table of times", "it needs a CUDA device")
        return _NOTHING
    path = run.data("cut-cross-entropy", "docs_lm_head.npz")
    if path is None:
        return _NOTHING
    operands = gemma_sized(str(path), run.device)
    rows = {}
    for name, way in _ways().items():
        rows[name] = run.step(f"gpu-{name}", partial(_measure, way, operands))
    compiled = rows["torch.compile"]["both_ms"]
    values = {
        "gpu_time_over_compile": rows["ours, filtered"]["both_ms"] / compiled,
        "gpu_exact_time_over_compile": rows["ours, exact"]["both_ms"] / compiled,
        "gpu_loss_mib": rows["ours, filtered"]["loss_mib"],
        "gpu_workspace_mib": rows["ours, exact"]["both_mib"] - _gradients_mib(),
    }
    table = Table(
        "Loss and gradients on a GPU",
        (
            Column("Way"),
            Column("Loss", "MiB"),
            Column("Both", "MiB"),
            Column("Loss, time over torch.compile's both", digits=3),
            Column("Both, time over torch.compile's", digits=3),
        ),
        tuple(
            (name, row["loss_mib"], row["both_mib"], row["loss_ms"] / compiled, row["both_ms"] / compiled)
            for name, row in rows.items()
        ),
        caption=f"{torch.cuda.get_device_name(run.device)}: {_TOKENS} tokens, {_CLASSES:,} classes, width {_WIDTH}, bfloat16."
        f" Gradients alone are {_gradients_mib():.0f} MiB.",
    )
    return Measured(values, (table,))


def gemma_sized(path: str, device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Repeat the shipped head to Gemma's size: the same logits, and copies of its classes far below them."""
    with np.load(path) as shipped:
        arrays = (torch.from_numpy(shipped[name]).to(device) for name in ("E", "C", "targets"))
        states, classifier, targets = arrays
    copies = (_WIDTH - 1) // states.shape[1]
    # The column after the repeated ones lowers the logits of all classes but the first set.
    width = copies * states.shape[1]
    input = torch.zeros(_TOKENS, _WIDTH, dtype=torch.bfloat16, device=device)
    input[:, :width] = states.repeat(_TOKENS // len(states), copies)
    input[:, width] = 1
    weight = torch.zeros(_CLASSES, _WIDTH, dtype=torch.bfloat16, device=device)
    rows = torch.arange(_CLASSES, device=device) % len(classifier)
    weight[:, :width] = classifier[rows].repeat(1, copies) / copies
    weight[len(classifier) :, width] = -16
    target = targets.long().repeat(_TOKENS // len(targets))
    return input.requires_grad_(), weight.requires_grad_(), target


def _ways() -> dict[str, _Way]:
    def materialized(input: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy((input @ weight.T).float(), target)

    def ours(
        input: torch.Tensor, weight: torch.Tensor, target: torch.Tensor, eps: str | None
    ) -> torch.Tensor:
        return cast(
            torch.Tensor,
            linear_cross_entropy(input, weight, target, filter_eps=cast(None, eps), implementation="triton"),
        )

    ways: dict[str, _Way] = {
        "ours, filtered": partial(ours, eps="auto"),
        "ours, exact": partial(ours, eps=None),
        "torch.compile": torch.compile(materialized),
        "materialized": materialized,
    }
    if importlib.util.find_spec("cut_cross_entropy") is not None:
        peer = importlib.import_module("cut_cross_entropy").linear_cross_entropy
        ways["cut-cross-entropy"] = peer
    if importlib.util.find_spec("liger_kernel") is not None:
        liger = importlib.import_module("liger_kernel.transformers").LigerFusedLinearCrossEntropyLoss()
        ways["liger-kernel"] = lambda input, weight, target: liger(weight, input, target)
    return ways


def _gradients_mib() -> float:
    return 2 * _WIDTH * (_TOKENS + _CLASSES) / _MIB


def _measure(way: _Way, operands: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> dict[str, float]:
    input, weight, target = operands

    def loss() -> None:
        with torch.no_grad():
            way(input, weight, target)

    def both() -> None:
        input.grad = weight.grad = None
        way(input, weight, target).backward()

    row = {}
    for name, call in (("loss", loss), ("both", both)):
        call()
        input.grad = weight.grad = None
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        row[f"{name}_mib"] = (torch.cuda.max_memory_allocated() - before) / _MIB
        row[f"{name}_ms"] = median(_milliseconds(call) for _ in range(_ROUNDS))
    input.grad = weight.grad = None
    return row


def _milliseconds(call: Callable[[], None]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    torch.cuda.synchronize()
    elapsed: float = start.elapsed_time(end)
    return elapsed if elapsed > 0 else math.nan
