"""Four sizes of one architecture, trained here: what falls with size, and what geometry raises."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from matropy.evaluation import evaluate
from matropy.lm import load_model
from matropy.metrics import isotropic_null
from matropy.reporting import Column, Figure, Series, Table
from matropy.studies._contract import Measured
from matropy.studies._ladder import LADDER, Ladder, Rung, train_ladder
from matropy.studies._run import Run

_METRICS = (
    "matrix_nuclear_norm",
    "matrix_nuclear_norm_calibrated",
    "matrix_entropy_relative",
    "matrix_entropy_calibrated",
)
_LARGER = (Rung(256, 4), Rung(384, 6), Rung(512, 8), Rung(640, 10))


def build_ladder(run: Run) -> Ladder:
    """Train the sizes of this scale, or find them in the cache."""
    train = partial(
        train_ladder, seed=run.seed, jobs=run.jobs, cache_dir=run.cache, progress=run.shows_progress
    )
    if run.scale == "smoke":
        return train((Rung(32, 1), Rung(64, 1)), steps=3, batch=2, length=64)
    if run.scale == "quick":
        return train(LADDER)
    return train((*LADDER, *_LARGER), device=run.device)


def measure_ladder(run: Run, ladder: Ladder) -> Measured:
    """Evaluate every size on the held-out passages, trained and untrained."""
    rows = []
    with run.progress("Evaluating the ladder", len(ladder.folders), "models") as bar:
        for index, rung in enumerate(ladder.rungs):
            rows.append(run.step(f"ladder-{rung.width}", partial(_evaluate, ladder, index, run)))
            bar.advance()
    widths = [rung.width for rung in ladder.rungs]
    values = {
        f"ladder_{name}_{width}": row[name] for width, row in zip(widths, rows, strict=True) for name in row
    }
    length = len(ladder.held_out[0])
    values["ladder_norm_over_bound"] = max(
        row["matrix_nuclear_norm"] / _bound(length, width) for width, row in zip(widths, rows, strict=True)
    )
    return Measured(values, (_table(ladder, rows),), (_fall(widths, rows), _rise(widths, rows, length)))


def by_width(name: str) -> tuple[str, ...]:
    """Names of one value at the four widths that every scale but the smallest has, the smallest width first."""
    return tuple(f"ladder_{name}_{rung.width}" for rung in LADDER)


def _evaluate(ladder: Ladder, index: int, run: Run) -> dict[str, float]:
    model = load_model(ladder.folders[index], device=run.device)
    length = len(ladder.held_out[0])
    passages = ladder.held_out[:8] if run.scale == "smoke" else ladder.held_out
    trained = evaluate(model, passages, layers="last", metrics=(*_METRICS, "loss"), max_length=length)
    untrained = evaluate(
        model.untrained(run.seed),
        passages,
        layers="last",
        metrics=["matrix_entropy_relative"],
        max_length=length,
    )
    means = {name: summary.mean for name, summary in trained.summary.items()}
    before = untrained.summary["matrix_entropy_relative"].mean
    return {
        "parameters": float(model.parameters),
        "untrained_matrix_entropy_relative": math.nan if before is None else before,
        **{name: math.nan if mean is None else mean for name, mean in means.items()},
    }


def _bound(length: int, width: int) -> float:
    """What no matrix of this shape exceeds."""
    return math.sqrt(min(length, width) / length)


def _table(ladder: Ladder, rows: Sequence[dict[str, float]]) -> Table:
    columns = {
        "parameters": Column("Parameters", digits=6),
        "loss": Column("Loss", "nats a byte"),
        "matrix_entropy_relative": Column("Matrix entropy", "of ln d"),
        "untrained_matrix_entropy_relative": Column("Before training", "of ln d"),
        "matrix_entropy_calibrated": Column("Matrix entropy over null"),
        "matrix_nuclear_norm": Column("Matrix nuclear-norm"),
        "matrix_nuclear_norm_calibrated": Column("Norm over null"),
    }
    return Table(
        "Size ladder",
        (Column("Width"), Column("Layers"), *columns.values()),
        tuple(
            (rung.width, rung.layers, *(row[name] for name in columns))
            for rung, row in zip(ladder.rungs, rows, strict=True)
        ),
        caption=f"{len(ladder.held_out)} passages of {len(ladder.held_out[0])} bytes of the Python manual that no model"
        " was trained on; one token a byte.",
    )


def _fall(widths: Sequence[int], rows: Sequence[dict[str, float]]) -> Figure:
    return Figure(
        "Matrix entropy falls with size, before training too",
        "hidden width",
        "matrix entropy, of ln d",
        (
            Series("trained", widths, [row["matrix_entropy_relative"] for row in rows]),
            Series("before training", widths, [row["untrained_matrix_entropy_relative"] for row in rows]),
        ),
        caption="Part of the fall is architecture: an untrained model repeats the embedding of each token, and a text has"
        " few different bytes. Training adds context, and here raises the entropy.",
        x_scale="log",
    )


def _rise(widths: Sequence[int], rows: Sequence[dict[str, float]], length: int) -> Figure:
    null = [float(isotropic_null(length, width).matrix_nuclear_norm) for width in widths]
    return Figure(
        "The norm follows the shape first",
        "hidden width",
        "matrix nuclear-norm",
        (
            Series("trained", widths, [row["matrix_nuclear_norm"] for row in rows]),
            Series("no structure at all", widths, null, kind="reference"),
            Series("upper bound", widths, [_bound(length, width) for width in widths], kind="reference"),
        ),
        caption=f"With {length} tokens and fewer features than tokens the norm is capped at √(d/N), which rises with d"
        " whatever was learned.",
        x_scale="log",
    )
