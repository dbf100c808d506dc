"""Sets in which classes of digits are left out, one after the other."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from matropy.metrics import internal_diversity, vendi_score
from matropy.reporting import Figure, Series
from matropy.studies._contract import Measured
from matropy.studies._run import Run
from matropy.studies.vendi_score._digits import load_digits

_MEASURES = {"vendi": ("Vendi score", vendi_score), "diversity": ("internal diversity", internal_diversity)}
_ITEMS = {"smoke": 50, "quick": 500, "full": 500}
_DRAWS = {"smoke": 2, "quick": 5, "full": 5}


def measure_modes(run: Run) -> Measured:
    """Draw 500 digits of the first 1, 2, ... 10 classes and see whether a measure rises with their number."""
    digits = load_digits(run)
    if digits is None:
        return Measured({})
    images, labels = digits
    classes = [images[labels == digit].reshape(-1, 784) for digit in range(10)]
    items, repeats = _ITEMS[run.scale], _DRAWS[run.scale]
    draws = [
        run.step(f"modes-{draw}", partial(_by_classes, classes, items, run.seed + draw))
        for draw in range(repeats)
    ]
    counts = list(range(1, 11))
    values, series = {}, []
    for measure, (label, _) in _MEASURES.items():
        correlations = [float(spearmanr(counts, draw[measure]).statistic) for draw in draws]
        values[f"modes_{measure}_spearman"] = float(np.mean(correlations))
        relative = np.array([draw[measure] for draw in draws])
        relative /= relative[:, :1]
        mean, spread = relative.mean(axis=0), relative.std(axis=0, ddof=1)
        series.append(
            Series(
                label,
                counts,
                mean.tolist(),
                low=(mean - spread).tolist(),
                high=(mean + spread).tolist(),
            )
        )
    figure = Figure(
        f"{items} digits of ever more classes",
        "classes",
        "relative to one class",
        tuple(series),
        caption=f"Cosine of grey levels; mean and standard deviation over {repeats} draws. Internal diversity stops rising after"
        " two classes.",
    )
    return Measured(values, (), (figure,))


def _by_classes(classes: list[NDArray[np.uint8]], total: int, seed: int) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    series: dict[str, list[float]] = {measure: [] for measure in _MEASURES}
    for count in range(1, len(classes) + 1):
        shares = [total // count + (index < total % count) for index in range(count)]
        items = np.concatenate(
            [
                images[rng.choice(len(images), share, replace=share > len(images))]
                for images, share in zip(classes, shares, strict=False)
            ]
        )
        for measure, (_, function) in _MEASURES.items():
            series[measure].append(function(items))
    return series
