"""How often the intervals cover the full solution on the flights table."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from matropy.recovery import Sketch, SketchedLinearRegression
from matropy.reporting import Column, Figure, Series, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run
from matropy.studies.linf_regression._flights import flights_design

_Floats = NDArray[np.float64]
_DRAWS = {"smoke": 2, "quick": 40, "full": 400}
_EVERY = {"smoke": 40, "quick": 1, "full": 1}
_ROWS = {"smoke": 1024, "quick": 4096, "full": 4096}
_WAYS = ("srht", "pooled", "row sampling")


def measure_coverage(run: Run) -> Measured:
    """Sketch the table again and again, and compare with sampling as many of its rows."""
    path = run.data("linf-regression", "flights_2013.npz")
    if path is None:
        return Measured({})
    found: dict[str, dict[str, list[float]]] = {}
    with run.progress("Coverage", len(_WAYS), "ways to compress") as bar:
        for way in _WAYS:
            key = f"coverage-{way.replace(' ', '-')}"
            found[way] = run.step(key, partial(_cover, way, path, run))
            bar.advance()
    values = {}
    for way, result in found.items():
        name = way.replace(" ", "_")
        values[f"coverage_{name}"] = float(np.mean(result["share"]))
        values[f"simultaneous_misses_{name}"] = float(np.sum(result["missed"]) * 40 / len(result["missed"]))
        values[f"worst_coefficient_{name}"] = min(result["by_coefficient"])
        values[f"prediction_{name}"] = float(np.mean(result["prediction"]))
    table = Table(
        "Flights: arrival delay on 153 columns",
        (
            Column("Compressed by"),
            Column("Coverage", "of 0.95", help="Mean over coefficients and draws.", digits=3),
            Column("Least covered coefficient", help="Share of the draws.", digits=3),
            Column("Simultaneous misses", "of the draws", digits=3),
            Column("Prediction error over the law", digits=3),
        ),
        tuple(
            (
                way,
                float(np.mean(result["share"])),
                min(result["by_coefficient"]),
                float(np.mean(result["missed"])),
                float(np.mean(result["prediction"])),
            )
            for way, result in found.items()
        ),
        caption=f"{_DRAWS[run.scale]} draws with m = {_ROWS[run.scale]}. One destination has a single flight: sampling"
        " rows loses its coefficient.",
    )
    return Measured(values, (table,), (_figure(found),))


def _cover(way: str, path: Path, run: Run) -> dict[str, list[float]]:
    design, target, _ = flights_design(path, _EVERY[run.scale])
    design /= np.linalg.norm(design, axis=0)
    m, (n, d) = _ROWS[run.scale], design.shape
    full = SketchedLinearRegression(method="normal", fit_intercept=False).fit(design, target)
    residual = float(np.square(target - full.predict(design)).sum())
    rows = np.column_stack([design, target])
    second = design.T @ design
    share, missed, prediction, covered = [], [], [], np.zeros(d)
    for draw in range(_DRAWS[run.scale]):
        if way == "row sampling":
            at = np.random.default_rng([run.seed, draw]).integers(0, n, m)
            found, half, wide = _ordinary(rows[at], m)
        else:
            sketch = Sketch(way, m, run.seed + draw).update(rows)  # type: ignore[arg-type]
            model = SketchedLinearRegression(fit_intercept=False).fit_sketch(sketch)
            found = model.coef_
            half = np.diff(model.conf_int())[:, 0] / 2
            wide = np.diff(model.conf_int(simultaneous=True))[:, 0] / 2
        error = np.abs(found - full.coef_)
        covered += error <= half
        share.append(float(np.mean(error <= half)))
        missed.append(float(not (error <= wide).all()))
        prediction.append(float(error_of(found - full.coef_, second) / (residual * d / (m - d - 1))))
    return {
        "share": share,
        "missed": missed,
        "prediction": prediction,
        "by_coefficient": (covered / _DRAWS[run.scale]).tolist(),
    }


def error_of(difference: _Floats, second: _Floats) -> float:
    """Squared norm of ``A`` times the difference."""
    return float(difference @ second @ difference)


def _ordinary(rows: _Floats, m: int) -> tuple[_Floats, _Floats, _Floats]:
    """Ordinary regression on a sample: the coefficients, and half-widths of their intervals, each and all at once."""
    design, target = rows[:, :-1], rows[:, -1]
    d = design.shape[1]
    found, _, rank, _ = np.linalg.lstsq(design, target)
    squares = np.square(target - design @ found).sum() / (m - rank)
    stderr = np.sqrt(squares * np.maximum(np.diag(np.linalg.pinv(design.T @ design)), 0))
    quantiles = (scipy.stats.t.ppf(1 - 0.05 / 2 / count, m - rank) for count in (1, d))
    half, wide = (quantile * stderr for quantile in quantiles)
    return np.asarray(found), np.asarray(half), np.asarray(wide)


def _figure(found: dict[str, dict[str, list[float]]]) -> Figure:
    d = len(next(iter(found.values()))["by_coefficient"])
    at = list(range(1, d + 1))
    return Figure(
        "Which coefficients are covered",
        "coefficients, the least covered first",
        "share of the draws that cover it",
        (
            *(Series(way, at, sorted(result["by_coefficient"])) for way, result in found.items()),
            Series("nominal", at, [0.95] * d, kind="reference"),
        ),
        caption="95 % intervals for the solution of all flights, from a sketch and from a sample of as many rows.",
    )
