"""Memory and time of the loss and its gradients over a large vocabulary, on the processor."""

from __future__ import annotations

import ctypes
import gc
import math
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch.nn import functional

from matropy.nn import linear_cross_entropy
from matropy.reporting import Column, Figure, Series, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run

_SHAPES = {"smoke": (64, 4096, (8, 16)), "quick": (1024, 256_000, (64, 128, 256))}
_PAPER_TOKENS = 8192
_MIB = 2**20
_STATUS = Path("/proc/self/status")


def measure_resources(run: Run) -> Measured:
    """Measure the growth of resident memory and the seconds of each way, one after the other, in one thread."""
    n, v, widths = _SHAPES.get(run.scale, _SHAPES["quick"])
    rows: dict[int, dict[str, float]] = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with run.progress("Large vocabulary", len(widths), "widths") as bar:
            for d in widths:
                step = partial(_measure_width, n, v, d, run.seed, native=d == widths[0])
                measured = run.step(f"resources-{d}", step)
                rows[d] = {name: math.nan if value is None else value for name, value in measured.items()}
                bar.advance()
    finally:
        torch.set_num_threads(threads)
    if math.isnan(rows[widths[0]]["native_s"]):
        run.skip("torch's linear_cross_entropy", "torch 2.13 or later has it")
    narrow, wide = rows[widths[0]], rows[widths[-1]]
    logits = 4 * n * v / _MIB
    values = {
        f"workspace_mib_{v}": max(row["ours_mib"] - row["gradients_mib"] for row in rows.values()),
        f"materialized_buffers_{v}": (narrow["materialized_mib"] - narrow["gradients_mib"]) / logits,
        f"memory_ratio_{v}": narrow["materialized_mib"] / narrow["ours_mib"],
        f"time_over_materialized_{v}": wide["ours_s"] / wide["materialized_s"],
        f"time_over_native_{v}": narrow["ours_s"] / narrow["native_s"],
        "loss_difference": max(row["difference"] for row in rows.values()),
    }
    return Measured(values, (_table(n, v, rows),), (_figure(n, v, narrow),))


def _measure_width(n: int, v: int, d: int, seed: int, *, native: bool) -> dict[str, float | None]:
    generator = torch.Generator().manual_seed(seed)
    input = torch.randn(n, d, generator=generator).requires_grad_()
    weight = (torch.randn(v, d, generator=generator) / math.sqrt(d)).requires_grad_()
    target = torch.randint(0, v, (n,), generator=generator)
    ways: dict[str, Callable[[], torch.Tensor]] = {
        "ours": lambda: cast(torch.Tensor, linear_cross_entropy(input, weight, target)),
        "materialized": lambda: functional.cross_entropy(input @ weight.T, target),
    }
    chunked = getattr(functional, "linear_cross_entropy", None)
    if native and chunked is not None:
        options = torch.nn.LinearCrossEntropyOptions()
        ways["native"] = lambda: chunked(input, weight, target, options=options)
    # The first call of an operator imports what it needs.
    cast(torch.Tensor, linear_cross_entropy(input[:1], weight[:2], target[:1] % 2)).backward()
    row: dict[str, float | None] = {
        "gradients_mib": 4 * d * (n + v) / _MIB,
        "native_s": None,
        "native_mib": None,
    }
    losses = {}
    for name, loss in ways.items():
        input.grad = weight.grad = None
        before = _begin()
        start = time.perf_counter()
        value = loss()
        value.backward()
        row[f"{name}_s"] = time.perf_counter() - start
        row[f"{name}_mib"] = _peak() - before
        losses[name] = float(value.detach())
        del value
    row["difference"] = abs(losses["ours"] / losses["materialized"] - 1)
    return row


def _begin() -> float:
    """Resident memory, MiB, from which the peak is counted anew; NaN where the system does not tell."""
    gc.collect()
    if not _STATUS.exists():
        return math.nan
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> float:
    return _status("VmHWM") if _STATUS.exists() else math.nan


def _status(field: str) -> float:
    found = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else math.nan


def _table(n: int, v: int, rows: dict[int, dict[str, float]]) -> Table:
    return Table(
        "Loss and gradients over a large vocabulary",
        (
            Column("Width"),
            Column("Gradients", "MiB"),
            Column("Ours", "MiB"),
            Column("Materialized", "MiB"),
            Column("torch's chunked", "MiB"),
            Column("Time over materialized", digits=3),
            Column("Time over torch's", digits=3),
        ),
        tuple(
            (
                d,
                row["gradients_mib"],
                row["ours_mib"],
                row["materialized_mib"],
                row["native_mib"],
                row["ours_s"] / row["materialized_s"],
                row["ours_s"] / row["native_s"],
            )
            for d, row in rows.items()
        ),
        caption=f"{n:,} tokens, {v:,} classes, float32, one thread; growth of resident memory, gradients included. torch's own"
        " chunked loss with its default options runs at the smallest width only, where it already takes longest.",
    )


def _figure(n: int, v: int, row: dict[str, float]) -> Figure:
    tokens = [n, 2 * n, 4 * n, _PAPER_TOKENS]
    buffers = row["materialized_mib"] - row["gradients_mib"]
    workspace = max(row["ours_mib"] - row["gradients_mib"], 1e-3)
    return Figure(
        "Memory beyond the gradients",
        "tokens",
        "MiB",
        (
            Series("materialized", tokens, [buffers * count / n for count in tokens]),
            Series("ours", tokens, [workspace] * len(tokens)),
        ),
        caption=f"Measured at {n:,} tokens; the rest follows from the byte count, which is linear in tokens for one and constant"
        " for the other.",
        x_scale="log",
        y_scale="log",
    )
