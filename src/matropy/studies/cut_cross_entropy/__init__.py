"""What is saved when the logits of a language model are never held, and what skipping their gradient costs.

The study recomputes the paper's batch sizes, measures memory and time of a loss over 256,000 classes, looks at how
sparse the gradient of a real head is and what skipping it does, and trains the same model with both losses. With a GPU,
the full scale times the paper's own setting.
"""

from __future__ import annotations

from matropy.studies._contract import Measured, Paper, Study
from matropy.studies._run import Run
from matropy.studies.cut_cross_entropy._batch_sizes import measure_batch_sizes
from matropy.studies.cut_cross_entropy._claims import CLAIMS
from matropy.studies.cut_cross_entropy._gpu_table import measure_gpu_table
from matropy.studies.cut_cross_entropy._resources import measure_resources
from matropy.studies.cut_cross_entropy._sparsity import measure_sparsity
from matropy.studies.cut_cross_entropy._training import measure_training

__all__ = ["STUDY"]


def measure(run: Run) -> Measured:
    """Measure the five parts; the last needs a GPU and the full scale."""
    parts = [
        measure_batch_sizes(),
        measure_resources(run),
        measure_sparsity(run),
        measure_training(run),
        measure_gpu_table(run),
    ]
    return Measured(
        values={name: value for part in parts for name, value in part.values.items()},
        tables=tuple(table for part in parts for table in part.tables),
        plots=tuple(plot for part in parts for plot in part.plots),
    )


STUDY = Study(
    paper=Paper(
        "Cut Your Losses in Large-Vocabulary Language Models",
        "Erik Wijmans, Brody Huval, Alexander Hertzberg, Vladlen Koltun, Philipp Krähenbühl",
        2025,
        arxiv="2411.09009",
        venue="ICLR",
    ),
    claims=CLAIMS,
    measure=measure,
)
