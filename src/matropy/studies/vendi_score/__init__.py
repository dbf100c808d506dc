"""How many different molecules, digits and sentences: a count that the mean similarity does not see.

The paper defines the Vendi score and compares generators of molecules, digit classes and sets with modes left out.
The study computes the authors' figures again from the same molecules and digits, ranks four molecule sets by the
score and by internal diversity, checks the properties that the paper proves, and measures what the estimates of the
score cost and miss.
"""

from __future__ import annotations

from matropy.studies._contract import Measured, Paper, Study
from matropy.studies._run import Run
from matropy.studies.vendi_score._approximations import measure_approximations
from matropy.studies.vendi_score._claims import CLAIMS
from matropy.studies.vendi_score._digits import measure_digits
from matropy.studies.vendi_score._growth import measure_growth
from matropy.studies.vendi_score._modes import measure_modes
from matropy.studies.vendi_score._molecules import measure_molecules
from matropy.studies.vendi_score._properties import measure_properties

__all__ = ["STUDY"]


def measure(run: Run) -> Measured:
    """Measure the parts; growth with the number of items, up to 50,000, belongs to the full scale."""
    parts = [
        measure_molecules(run),
        measure_digits(run),
        measure_modes(run),
        measure_approximations(run),
    ]
    if run.scale == "full":
        parts.append(measure_growth(run))
    values = {name: value for part in parts for name, value in part.values.items()}
    if run.scale == "smoke":
        # Made-up data says nothing about the claims.
        values = {f"made_up_{name}": value for name, value in values.items()}
    return Measured(
        values={**measure_properties(run).values, **values},
        tables=tuple(table for part in parts for table in part.tables),
        plots=tuple(plot for part in parts for plot in part.plots),
    )


STUDY = Study(
    paper=Paper(
        "The Vendi Score: A Diversity Evaluation Metric for Machine Learning",
        "Dan Friedman, Adji Bousso Dieng",
        2023,
        arxiv="2210.02410",
        venue="Transactions on Machine Learning Research",
    ),
    claims=CLAIMS,
    measure=measure,
)
