"""Can a regression be sketched so that every single coefficient may be read.

The paper says that a dense fast sketch with nearly ``d`` rows makes all coefficients accurate at once, and that sparse
sketches cannot. The study draws both on an instance where they must differ, sets the errors beside their exact law, their
scaling and their cost, looks at the step that the paper's proof leaves open, and counts how often the intervals cover the
full solution on a real table.
"""

from __future__ import annotations

from matropy.studies._contract import Measured, Paper, Study
from matropy.studies._run import Run
from matropy.studies.linf_regression._claims import CLAIMS
from matropy.studies.linf_regression._counterexample import measure_counterexample
from matropy.studies.linf_regression._coverage import measure_coverage
from matropy.studies.linf_regression._law import measure_law
from matropy.studies.linf_regression._necessity import measure_necessity
from matropy.studies.linf_regression._scaling import measure_scaling
from matropy.studies.linf_regression._speed import measure_speed
from matropy.studies.linf_regression._tensor import measure_tensor

__all__ = ["STUDY"]


def measure(run: Run) -> Measured:
    """Measure the seven parts."""
    drawn = [
        measure_necessity(run),
        measure_law(run),
        measure_scaling(run),
        measure_coverage(run),
        measure_speed(run),
        measure_tensor(run),
    ]
    exact = measure_counterexample(run)
    parts = [*drawn, exact]
    # A handful of draws of a small problem decides nothing: those values have names that no claim asks for.
    few = "few_" if run.scale == "smoke" else ""
    values = {f"{few}{name}": value for part in drawn for name, value in part.values.items()}
    return Measured(
        values=values | dict(exact.values),
        tables=tuple(table for part in parts for table in part.tables),
        plots=tuple(plot for part in parts for plot in part.plots),
    )


STUDY = Study(
    paper=Paper(
        "A Nearly-Optimal Bound for Fast Regression with ℓ∞ Guarantee",
        "Zhao Song, Mingquan Ye, Junze Yin, Lichen Zhang",
        2023,
        arxiv="2302.00248",
        venue="ICML",
    ),
    claims=CLAIMS,
    measure=measure,
)
