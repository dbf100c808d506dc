"""An instance on which sparse sketches are far off in single coefficients, and dense ones are not."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgWarning

from matropy.recovery import Sketch, SketchedLinearRegression
from matropy.reporting import Column, Figure, Series, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Size:
    d: int
    m: int
    n: int
    sparse_draws: int
    dense_draws: int


_SIZES = {
    "smoke": _Size(64, 1024, 4096, 3, 3),
    "quick": _Size(256, 4096, 32_768, 24, 100),
    "full": _Size(256, 4096, 32_768, 400, 2000),
}
_KINDS = {
    "srht": ("srht", 1),
    "pooled": ("pooled", 1),
    "countsketch": ("countsketch", 1),
    "osnap2": ("osnap", 2),
    "osnap4": ("osnap", 4),
}


def coherent_instance(d: int, n: int, t: int, rng: np.random.Generator) -> _Floats:
    """``[A, b]`` with the identity on top of ``A`` and ``b`` = ±1/√t on ``t`` random later rows: the solution is 0."""
    rows = np.zeros((n, d + 1))
    rows[:d, :d] = np.eye(d)
    rows[d + rng.choice(n - d, t, replace=False), d] = rng.choice([-1.0, 1.0], t) / np.sqrt(t)
    return rows


def measure_necessity(run: Run) -> Measured:
    """Draw every kind of sketch; the residual has as many entries as make a few collisions likely."""
    size = _SIZES[run.scale]
    results: dict[str, dict[str, list[float]]] = {}
    with run.progress("Sparse against dense", len(_KINDS), "kinds of sketch") as bar:
        for name in _KINDS:
            results[name] = run.step(f"necessity-{name}", partial(_draw, name, size, run.seed))
            bar.advance()
    values = {}
    for name, result in results.items():
        values[f"{name}_error"] = median(result["errors"])
        values[f"{name}_over_collision"] = values[f"{name}_error"] / float(np.sqrt(size.d / 3))
        values[f"{name}_miss_share"] = float(np.mean(result["missed"]))
    values["countsketch_over_srht"] = values["countsketch_error"] / values["srht_error"]
    return Measured(values, (_table(results, size),), (_figure(results, size),))


def _draw(name: str, size: _Size, seed: int) -> dict[str, list[float]]:
    kind, s = _KINDS[name]
    dense = kind in ("srht", "pooled")
    t = 3 * size.m // (size.d * s * s)
    errors, missed = [], []
    for draw in range(size.dense_draws if dense else size.sparse_draws):
        rows = coherent_instance(size.d, size.n, t, np.random.default_rng([seed, draw]))
        sketch = Sketch(kind, size.m, seed + draw, n_nonzeros=s).update(rows)  # type: ignore[arg-type]
        with warnings.catch_warnings():
            if not dense:
                warnings.simplefilter("ignore", LinAlgWarning)  # design rows that share a bucket
            model = SketchedLinearRegression(fit_intercept=False).fit_sketch(sketch)
        low, high = model.conf_int(simultaneous=True).T
        errors.append(float(np.sqrt(size.m) * np.abs(model.coef_).max()))
        missed.append(float(not ((low <= 0) & (high >= 0)).all()))
    return {"errors": errors, "missed": missed}


def _table(results: dict[str, dict[str, list[float]]], size: _Size) -> Table:
    return Table(
        "Dense and sparse sketches on one instance",
        (
            Column("Sketch"),
            Column("Median error", help="√m times the largest coefficient; all should be zero.", digits=3),
            Column("Largest error", digits=3),
            Column("Draws"),
            Column("Missed", help="Draws whose simultaneous 95 % intervals miss a coefficient."),
        ),
        tuple(
            (
                name,
                median(result["errors"]),
                max(result["errors"]),
                len(result["errors"]),
                int(sum(result["missed"])),
            )
            for name, result in results.items()
        ),
        caption=f"d = {size.d} rows of the identity, a residual of norm 1 on few of {size.n} rows, m = {size.m}.",
    )


def _figure(results: dict[str, dict[str, list[float]]], size: _Size) -> Figure:
    return Figure(
        "A single collision ruins a coefficient",
        "share of the draws, the best first",
        "√m × largest coefficient",
        (
            *(
                Series(name, np.linspace(0, 1, len(result["errors"])).tolist(), sorted(result["errors"]))
                for name, result in results.items()
            ),
            Series("one collision", (0, 1), [float(np.sqrt(size.d / 3))] * 2, kind="reference"),
        ),
        caption="All coefficients are zero. Where a row of the design and one of the residual share a bucket, a"
        " coefficient is off by √(d/3m).",
    )
