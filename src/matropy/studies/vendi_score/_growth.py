"""Up to fifty thousand digits, on an accelerator where there is one: growth with the number of items."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from matropy._core._errors import require
from matropy.metrics import vendi_score, vendi_score_estimate
from matropy.reporting import Figure, Series
from matropy.studies._contract import Measured
from matropy.studies._run import Run

_SIZES = (1000, 2000, 5000, 10_000, 20_000, 50_000)
_SIGMA = 7.0
"""Close to the median distance of grey levels in [0, 1] over the root of two, and the same for every size."""


def measure_growth(run: Run) -> Measured:
    """Cosine exactly, the Gaussian kernel by Fourier features and by landmarks."""
    path = run.data("deyo", "mnist_train60k.npz")
    if path is None:
        return Measured({})
    torch: Any = require("torch", purpose="the full scale", extra="torch")
    with np.load(path) as file:
        rows = torch.from_numpy(file["x"].reshape(-1, 784)).to(run.device).to(torch.float32) / 255
    series: dict[str, list[float]] = {"cosine, exact": [], "Gaussian, Fourier": [], "Gaussian, landmarks": []}
    with run.progress("Growth", len(_SIZES), "sizes") as bar:
        for size in _SIZES:
            scores = run.step(f"growth-{size}", partial(_scores, rows[:size], run.seed))
            for name, score in zip(series, scores, strict=True):
                series[name].append(score)
            bar.advance()
    values = {
        f"growth_{name.split(', ')[1]}_{size}": score
        for name, scores in series.items()
        for size, score in zip(_SIZES, scores, strict=True)
    }
    figure = Figure(
        "Growth with the number of digits",
        "digits",
        "Vendi score",
        tuple(Series(name, _SIZES, scores) for name, scores in series.items()),
        caption="The cosine of 784 grey levels has no more than 784 directions and levels off; the Gaussian kernel goes on"
        " finding new ones.",
        x_scale="log",
    )
    return Measured(values, (), (figure,))


def _scores(rows: Any, seed: int) -> list[float]:
    options: dict[str, Any] = {"kernel": "rbf", "sigma": _SIGMA, "rng": seed}
    return [
        float(vendi_score(rows)),
        vendi_score_estimate(rows, method="rff", n_features=4096, **options).value,
        vendi_score_estimate(rows, method="nystrom", n_features=4096, **options).value,
    ]
