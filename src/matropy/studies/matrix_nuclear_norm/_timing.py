"""How fast the measures are, on states that need no model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median

import torch

from matropy.metrics import matrix_entropy, matrix_nuclear_norm
from matropy.reporting import Column, Figure, Series, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run
from matropy.studies.matrix_nuclear_norm._published import CEREBRAS_SPEEDUP, CEREBRAS_WIDTHS

_WIDTHS = {"smoke": (48, 96), "quick": (768, 1088, 1536, 2048), "full": CEREBRAS_WIDTHS}
_LENGTHS = {"smoke": (32,), "quick": (256, 1024), "full": (256, 1024)}
_ROUNDS = 3


def entropy_by_svd(hidden: torch.Tensor) -> torch.Tensor:
    """Relative matrix entropy as the paper computes it: the singular values of the ``d x d`` covariance."""
    z = _normalized(hidden)
    _, eigenvalues, _ = torch.linalg.svd(z.T @ z / len(z))
    kept = eigenvalues[eigenvalues > 0]
    entropy: torch.Tensor = -(kept * kept.log()).sum()
    return entropy / math.log(hidden.shape[1])


def norm_by_columns(hidden: torch.Tensor) -> torch.Tensor:
    """Matrix nuclear-norm as the paper computes it: the largest ``min(N, d)`` column norms."""
    z = _normalized(hidden)
    columns = z.square().sum(0).sqrt().sort(descending=True).values
    return columns[: min(z.shape)].sum() / len(z)


def measure_timing(run: Run) -> Measured:
    """Time the four functions in turn, in one thread, and compare medians of ratios."""
    shapes = [(n, d) for n in _LENGTHS[run.scale] for d in _WIDTHS[run.scale]]
    timings = {}
    with one_thread(), run.progress("Timing", len(shapes), "shapes") as bar:
        for n, d in shapes:
            timings[n, d] = run.step(f"timing-{n}-{d}", partial(_time_shape, n, d, run))
            bar.advance()
    values = {"entropy_difference": max(timing["entropy_difference"] for timing in timings.values())}
    for (n, d), timing in timings.items():
        values |= {f"{name}_n{n}_d{d}": timing[name] for name in ("norm_speedup", "entropy_speedup")}
    values["norm_speedup_smallest"] = min(timing["norm_speedup"] for timing in timings.values())
    return Measured(values, (_table(timings),), (_figure(timings, run),))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread, so that ratios do not depend on the number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _normalized(hidden: torch.Tensor) -> torch.Tensor:
    centered = hidden - hidden.mean(0)
    return centered / centered.square().sum(1, keepdim=True).sqrt()


def _time_shape(n: int, d: int, run: Run) -> dict[str, float]:
    generator = torch.Generator().manual_seed(run.seed)
    hidden = torch.randn(n, d, generator=generator).to(run.device)
    functions: dict[str, Callable[[], torch.Tensor]] = {
        "entropy_by_svd": lambda: entropy_by_svd(hidden),
        "norm_by_columns": lambda: norm_by_columns(hidden),
        "matrix_nuclear_norm": lambda: matrix_nuclear_norm(hidden),
        "matrix_entropy": lambda: matrix_entropy(hidden, relative=True),
    }
    for name in ("norm_by_columns", "matrix_nuclear_norm", "matrix_entropy"):
        functions[name]()
    rounds = [{name: _seconds(function) for name, function in functions.items()} for _ in range(_ROUNDS)]

    def ratio(slow: str, fast: str) -> float:
        return median(seconds[slow] / seconds[fast] for seconds in rounds)

    return {
        "norm_speedup": ratio("entropy_by_svd", "matrix_nuclear_norm"),
        "entropy_speedup": ratio("entropy_by_svd", "matrix_entropy"),
        "norm_against_columns": ratio("norm_by_columns", "matrix_nuclear_norm"),
        "entropy_difference": abs(
            float(functions["entropy_by_svd"]()) - float(functions["matrix_entropy"]())
        ),
    }


def _seconds(function: Callable[[], torch.Tensor], at_least: float = 0.02) -> float:
    """Seconds a call, over as many calls as fill a fiftieth of a second."""
    calls, start = 0, time.perf_counter()
    while True:
        float(function())  # waits for the device
        calls += 1
        elapsed = time.perf_counter() - start
        if elapsed >= at_least:
            return elapsed / calls


def _table(timings: dict[tuple[int, int], dict[str, float]]) -> Table:
    return Table(
        "How many times faster",
        (
            Column("Tokens"),
            Column("Width"),
            Column("Norm", help="matrix_nuclear_norm against entropy by SVD.", digits=3),
            Column("Exact entropy", help="matrix_entropy against entropy by SVD.", digits=3),
            Column(
                "Norm, both", help="matrix_nuclear_norm against the column norms as in the paper.", digits=3
            ),
        ),
        tuple(
            (n, d, timing["norm_speedup"], timing["entropy_speedup"], timing["norm_against_columns"])
            for (n, d), timing in timings.items()
        ),
        caption="Median of three alternating rounds, one thread, float32; the metric alone, without a model. The first"
        " two columns divide by the entropy of the full d x d singular value decomposition, re-implemented from the"
        " paper's formula.",
    )


def _figure(timings: dict[tuple[int, int], dict[str, float]], run: Run) -> Figure:
    widths, lengths = _WIDTHS[run.scale], _LENGTHS[run.scale]
    series = [
        Series(f"{label}, {n} tokens", widths, [timings[n, d][name] for d in widths])
        for name, label in (("norm_speedup", "norm"), ("entropy_speedup", "exact entropy"))
        for n in lengths
    ]
    if run.scale != "smoke":
        published = CEREBRAS_SPEEDUP[: len(widths)]
        series.append(Series("norm, as published", widths, published, kind="reference"))
    return Figure(
        "Speed beside the paper's matrix entropy",
        "hidden width",
        "times faster",
        tuple(series),
        caption="The published ratios include loading the model and its forward passes; here the metric runs alone."
        " Exact entropy through the smaller Gram matrix closes most of the gap.",
        y_scale="log",
    )
