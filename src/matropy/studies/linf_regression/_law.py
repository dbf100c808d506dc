"""The error of one coefficient beside its exact law."""

from __future__ import annotations

from functools import partial

import numpy as np
import scipy.stats

from matropy.recovery import Sketch, SketchedLinearRegression
from matropy.reporting import Column, Figure, Series, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run

_N, _D, _M = 400, 8, 40
_DRAWS = {"smoke": 50, "quick": 4000, "full": 40_000}
_KINDS = ("gaussian", "srht", "pooled")


def measure_law(run: Run) -> Measured:
    """Studentize the error of one coefficient over many draws, on heavy-tailed data."""
    errors: dict[str, list[float]] = {}
    with run.progress("The t law", len(_KINDS), "kinds of sketch") as bar:
        for kind in _KINDS:
            errors[kind] = run.step(f"law-{kind}", partial(_errors, kind, _DRAWS[run.scale], run.seed))
            bar.advance()
    nu = _M - _D + 1
    statistics = {
        kind: float(scipy.stats.kstest(found, "t", args=(nu,)).statistic) for kind, found in errors.items()
    }
    table = Table(
        "Distance to the t law",
        (Column("Sketch"), Column("Kolmogorov-Smirnov statistic", digits=3), Column("Draws")),
        tuple((kind, statistic, _DRAWS[run.scale]) for kind, statistic in statistics.items()),
        caption=f"n = {_N}, d = {_D}, m = {_M}; design and target from t with three degrees of freedom.",
    )
    return Measured(
        {f"ks_{kind}": value for kind, value in statistics.items()}, (table,), (_figure(errors, nu),)
    )


def _errors(kind: str, draws: int, seed: int) -> list[float]:
    rng = np.random.default_rng([seed, 1])
    design, target = rng.standard_t(3, size=(_N, _D)), rng.standard_t(3, size=_N)
    full = SketchedLinearRegression(method="normal", fit_intercept=False).fit(design, target)
    # The classical standard error of the full solution is |r| sqrt(C_jj / (n - d)).
    scale = full.sampling_stderr_[0] * np.sqrt(_N - _D)
    rows = np.column_stack([design, target])
    chunk = 1024 if kind == "pooled" else 512
    found = []
    for draw in range(draws):
        sketch = Sketch(kind, _M, seed + draw, chunk=chunk).update(rows)  # type: ignore[arg-type]
        model = SketchedLinearRegression(fit_intercept=False).fit_sketch(sketch)
        found.append(float(np.sqrt(_M - _D + 1) * (model.coef_[0] - full.coef_[0]) / scale))
    return found


def _figure(errors: dict[str, list[float]], nu: int) -> Figure:
    at = np.linspace(0.005, 0.995, 67)
    law = scipy.stats.t.ppf(at, nu).tolist()
    return Figure(
        "The error is a t variable",
        f"quantile of t with {nu} degrees of freedom",
        "quantile of the studentized error",
        (
            *(
                Series(kind, law, np.quantile(found, at).tolist(), kind="points")
                for kind, found in errors.items()
            ),
            Series("the law", law, law, kind="reference"),
        ),
        caption="√ν (x′ − x*) over ‖r‖ √C, for one coefficient. Exact for the Gaussian sketch.",
    )
