"""Is the matrix nuclear-norm fast, what does it measure, and how much of it is geometry.

The paper ranks language models by the matrix nuclear-norm of their hidden states, a fast stand-in for matrix
entropy. The study times both, measures a small model on real text, sets the published figures beside the null of
structureless states, and trains four sizes of one architecture.
"""

from __future__ import annotations

from matropy.lm import load_model
from matropy.studies._contract import Measured, Paper, Study
from matropy.studies._run import Run
from matropy.studies.matrix_nuclear_norm._claims import CLAIMS
from matropy.studies.matrix_nuclear_norm._language_model import measure_model, measure_packaged_model
from matropy.studies.matrix_nuclear_norm._size_ladder import build_ladder, measure_ladder
from matropy.studies.matrix_nuclear_norm._timing import measure_timing
from matropy.studies.matrix_nuclear_norm._width_null import measure_null

__all__ = ["STUDY"]


def measure(run: Run) -> Measured:
    """Measure the four parts; at the smoke scale the smallest rung of the ladder stands in for the language model."""
    parts = [measure_timing(run), measure_null()]
    ladder = build_ladder(run)
    parts.append(measure_ladder(run, ladder))
    if run.scale == "smoke":
        model, texts = load_model(ladder.folders[0], device="cpu"), ladder.held_out[:2]
        parts.append(measure_model(run, model, texts, tokens=64, lengths=(16, 32, 64), known=False))
    else:
        parts.append(measure_packaged_model(run))
    return Measured(
        values={name: value for part in parts for name, value in part.values.items()},
        tables=tuple(table for part in parts for table in part.tables),
        plots=tuple(plot for part in parts for plot in part.plots),
    )


STUDY = Study(
    paper=Paper(
        "Large Language Model Evaluation via Matrix Nuclear-Norm",
        "Yahan Li, Tingyu Xia, Yi Chang, Yuan Wu",
        2025,
        arxiv="2410.10672",
        venue="Findings of EMNLP",
    ),
    claims=CLAIMS,
    measure=measure,
)
