"""How the error falls with the number of sketch rows."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matropy.linalg import Gram
from matropy.recovery import Sketch, SketchedLinearRegression, rows_needed
from matropy.reporting import Column, Figure, Series, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run

_PART = 2**16


@dataclass(frozen=True)
class _Size:
    n: int
    d: int
    draws: int
    ratios: tuple[int, ...]


_SIZES = {
    "smoke": _Size(2**12, 16, 3, (4, 16)),
    "quick": _Size(2**15, 64, 60, (2, 4, 8, 16, 32, 64)),
    "full": _Size(10**7, 256, 4, (4, 8, 16, 32, 64)),
}
_KINDS = ("srht", "pooled")


def measure_scaling(run: Run) -> Measured:
    """Heavy-tailed rows; at the full scale ten million of them in a memory map of 10 GB."""
    size = _SIZES[run.scale]
    run.cache.mkdir(parents=True, exist_ok=True)
    space = size.n * (size.d + 1) * 4
    if shutil.disk_usage(run.cache).free < 1.2 * space:
        run.skip("scaling", f"the cache folder has no room for {space / 1e9:.0f} GB of rows")
        return Measured({})
    by_kind: dict[str, list[dict[str, list[float]]]] = {kind: [] for kind in _KINDS}
    with _rows(size, run) as rows, run.progress("Scaling", len(_KINDS) * len(size.ratios), "sizes") as bar:
        problem = _Problem(rows)
        for kind in _KINDS:
            for ratio in size.ratios:
                draw = partial(problem.errors, kind, ratio, size.draws, run.seed)
                by_kind[kind].append(run.step(f"scaling-{kind}-{ratio}", draw))
                bar.advance()
    values: dict[str, float] = {}
    for kind, found in by_kind.items():
        enough = [(ratio, result) for ratio, result in zip(size.ratios, found, strict=True) if ratio >= 4]
        over_law = [np.mean(result["prediction"]) / _law(kind, ratio, size) for ratio, result in enough]
        values[f"{kind}_over_law"] = float(np.mean(over_law))
        ratios = [ratio for ratio, _ in enough]
        largest = [float(np.mean(result["largest"])) for _, result in enough]
        values[f"{kind}_largest_slope"] = float(np.polyfit(np.log(ratios), np.log(largest), 1)[0])
    values["rows_by_law"] = float(rows_needed(100, 0.5, 0.05))
    values["rows_by_order"] = float(0.5**-2 * 100 * np.log(1e6 / 0.05) ** 3)
    values["rows_saved"] = values["rows_by_order"] / values["rows_by_law"]
    return Measured(values, (_table(by_kind, size),), (_figure(by_kind, size),))


@contextmanager
def _rows(size: _Size, run: Run) -> Iterator[NDArray[np.float32]]:
    """The same rows every time, in a file that is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=run.cache, prefix="linf-regression-") as folder:
        path = Path(folder, "rows.npy")
        rows = np.lib.format.open_memmap(path, "w+", np.float32, (size.n, size.d + 1))
        for start in range(0, size.n, _PART):
            part = rows[start : start + _PART]
            part[:] = np.random.default_rng([run.seed, start]).standard_t(3, part.shape)
        yield rows
        del rows, part


class _Problem:
    """Rows ``[A, b]``, their full solution, and how far sketched solutions are from it."""

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self._rows = rows
        n, self._d = rows.shape[0], rows.shape[1] - 1
        design, target = rows[:, : self._d], rows[:, self._d]
        full = SketchedLinearRegression(method="normal", fit_intercept=False).fit(design, target)
        self._full = full.coef_
        self._second = Gram(self._d, side="features").update(design).covariance() * n
        # The classical standard error is |r| sqrt(C_jj / (n - d)).
        self._scale = full.sampling_stderr_ * np.sqrt(n - self._d)
        self._residual = float(self._scale[0] ** 2 / np.linalg.inv(self._second)[0, 0])

    def errors(self, kind: str, ratio: int, draws: int, seed: int) -> dict[str, list[float]]:
        """Squared prediction errors over the squared residual, and largest coefficient errors over ``|r| sqrt(C)``."""
        prediction, largest = [], []
        for draw in range(draws):
            sketch = Sketch(kind, ratio * self._d, seed + draw).update(self._rows)  # type: ignore[arg-type]
            error = SketchedLinearRegression(fit_intercept=False).fit_sketch(sketch).coef_ - self._full
            prediction.append(float(error @ self._second @ error / self._residual))
            largest.append(float(np.abs(error / self._scale).max()))
        return {"prediction": prediction, "largest": largest}


def _law(kind: str, ratio: int, size: _Size) -> float:
    """Mean squared prediction error of a Gaussian sketch with ``ratio`` times ``d`` rows.

    A row of the pooled sketch sums ``b`` coordinates in all chunks together, and its variance is larger by ``1 + 1/b``.
    """
    m = ratio * size.d
    law = size.d / (m - size.d - 1)
    if kind == "pooled":
        chunk = Sketch("pooled", m, 0).chunk
        law *= 1 + m / (chunk * math.ceil(size.n / chunk))
    return law


def _table(by_kind: dict[str, list[dict[str, list[float]]]], size: _Size) -> Table:
    rows = []
    for kind, found in by_kind.items():
        for ratio, result in zip(size.ratios, found, strict=True):
            mean = float(np.mean(result["prediction"]))
            scaled = float(np.sqrt(mean * ratio))
            rows.append(
                (
                    kind,
                    ratio,
                    scaled,
                    mean / _law(kind, ratio, size),
                    float(np.mean(result["largest"])) * math.sqrt(ratio * size.d),
                )
            )
    return Table(
        "Error by the number of sketch rows",
        (
            Column("Sketch"),
            Column("m / d"),
            Column("Prediction error × √(m/d)", help="Root of the mean square, over the residual.", digits=3),
            Column(
                "Over the law",
                help="Mean square over d/(m−d−1); for pooled, times 1 + 1/b with b coordinates a row.",
                digits=3,
            ),
            Column("Largest coefficient error × √m", help="In units of ‖r‖ √C; mean over draws.", digits=3),
        ),
        tuple(rows),
        caption=f"n = {size.n}, d = {size.d}, {size.draws} draws of each.",
    )


def _figure(by_kind: dict[str, list[dict[str, list[float]]]], size: _Size) -> Figure:
    law = [_law("srht", ratio, size) for ratio in size.ratios]
    return Figure(
        "The error follows d/(m − d − 1)",
        "sketch rows over columns, m / d",
        "squared prediction error over ‖r‖²",
        (
            *(
                Series(
                    kind,
                    size.ratios,
                    [float(np.mean(result["prediction"])) for result in found],
                    kind="points",
                )
                for kind, found in by_kind.items()
            ),
            Series("the law", size.ratios, law, kind="reference"),
        ),
        caption=f"Heavy-tailed rows, n = {size.n}, d = {size.d}; means over {size.draws} draws.",
        x_scale="log",
        y_scale="log",
    )
