"""Four sets of 1500 molecules: MOSES, and three character models that copy ever longer contexts."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matropy.metrics import internal_diversity, kernels, rarefaction, vendi_profile
from matropy.reporting import Column, Figure, Series, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run
from matropy.studies.vendi_score._published import GENERATORS

_LABELS = {
    "real": "MOSES test",
    "char10": "character model, order 10",
    "char5": "character model, order 5",
    "char3": "character model, order 3",
}
_ORDERS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)


def measure_molecules(run: Run) -> Measured:
    """Score, profile and rarefy the sets; the smoke scale takes made-up fingerprints."""
    if run.scale == "smoke":
        rng = np.random.default_rng(run.seed)
        sets = {name: (rng.random((40, 64)) < 0.2).astype(np.uint8) for name in _LABELS}
    else:
        path = run.data("vendi-score", "morgan1024.npz")
        if path is None:
            return Measured({})
        sets = _fingerprints(path)
    rows = {}
    with run.progress("Molecules", len(sets), "sets") as bar:
        for name, bits in sets.items():
            rows[name] = run.step(f"molecules-{name}", partial(_measure_set, bits, run))
            bar.advance()
    values: dict[str, float] = {}
    for name, row in rows.items():
        *profile, at_infinity = row["profile"]
        score = dict(zip(_ORDERS, profile, strict=True))
        values |= {
            f"{name}_vendi": score[1.0],
            f"{name}_diversity": row["diversity"][0],
            f"{name}_rank": score[0.0],
            f"{name}_distinct": row["distinct"][0],
            f"{name}_order_tenth": score[0.1],
            f"{name}_order_2": score[2.0],
            f"{name}_order_infinity": at_infinity,
        }
    return Measured(values, (_table(values),), (_inversion(values), _profiles(rows), _rarefied(rows)))


def _fingerprints(path: Path) -> dict[str, NDArray[np.uint8]]:
    with np.load(path) as file:
        return {name: np.unpackbits(file[name], axis=1) for name in _LABELS}


def _measure_set(bits: NDArray[np.uint8], run: Run) -> dict[str, list[float]]:
    kernel = kernels.tanimoto(bits)
    profile = vendi_profile(kernel, [*_ORDERS, np.inf], kernel="precomputed")
    sizes = [n for n in (50, 100, 200, 400, 800, 1500) if n <= len(bits)] or [len(bits)]
    curve = rarefaction(kernel, sizes, repeats=3, kernel="precomputed", rng=run.seed)
    return {
        "profile": profile.scores.tolist(),
        "diversity": [internal_diversity(kernel, kernel="precomputed")],
        "distinct": [float(len(np.unique(bits, axis=0)))],
        "sizes": [float(size) for size in sizes],
        "rarefied": curve.mean.tolist(),
        "rarefied_sd": curve.standard_deviation.tolist(),
    }


def _table(values: dict[str, float]) -> Table:
    columns = {
        "distinct": Column("Distinct fingerprints", digits=6),
        "order_tenth": Column("Order 0.1"),
        "vendi": Column("Vendi score", digits=5),
        "order_2": Column("Order 2"),
        "order_infinity": Column("Order ∞"),
        "diversity": Column("IntDiv"),
    }
    return Table(
        "Molecules",
        (Column("Set"), *columns.values()),
        tuple(
            (label, *(values[f"{name}_{column}"] for column in columns)) for name, label in _LABELS.items()
        ),
        caption="Morgan fingerprints of radius 2 and 1024 bits, Tanimoto similarity.",
    )


def _inversion(values: dict[str, float]) -> Figure:
    return Figure(
        "Internal diversity ranks the sets the wrong way round",
        "internal diversity",
        "Vendi score",
        (
            *(
                Series(label, [values[f"{name}_diversity"]], [values[f"{name}_vendi"]], kind="points")
                for name, label in _LABELS.items()
            ),
            Series(
                "the authors' eight generators",
                [diversity for _, _, diversity in GENERATORS],
                [score for _, score, _ in GENERATORS],
                kind="points",
            ),
        ),
        caption="1500 molecules each. The less a character model knows, the fewer molecules it repeats; their mean similarity"
        " falls all the same. Among the published generators it is the hidden Markov model, alone at the bottom.",
    )


def _profiles(rows: dict[str, dict[str, list[float]]]) -> Figure:
    return Figure(
        "What the order of the score looks at",
        "order q",
        "Vendi score",
        tuple(Series(label, _ORDERS, rows[name]["profile"][:-1]) for name, label in _LABELS.items()),
        caption="Order 0 counts distinct fingerprints; from order 2 on a few dozen common motifs are all there is.",
        y_scale="log",
    )


def _rarefied(rows: dict[str, dict[str, list[float]]]) -> Figure:
    series = []
    for name, label in _LABELS.items():
        row = rows[name]
        pairs = list(zip(row["rarefied"], row["rarefied_sd"], strict=True))
        series.append(
            Series(
                label,
                row["sizes"],
                row["rarefied"],
                low=[mean - sd for mean, sd in pairs],
                high=[mean + sd for mean, sd in pairs],
            )
        )
    return Figure(
        "The score grows with the number of molecules",
        "molecules",
        "Vendi score",
        tuple(series),
        caption="Mean over three random subsets; bands are one standard deviation. Compare sets at equal size.",
        x_scale="log",
    )
