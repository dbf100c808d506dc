"""Did this model write this text: what its tests promise, what they keep, and what they can see.

The paper tests a text by its log-perplexity minus its mean entropy under the model. The study checks levels exactly and by
simulation on sources that are known, then on samples of two small models, beside texts by people from twelve genres.
"""

from __future__ import annotations

from matropy.studies._contract import Measured, Paper, Study
from matropy.studies._run import Run
from matropy.studies.provenance_test._claims import CLAIMS
from matropy.studies.provenance_test._language_model import (
    load_gemma,
    load_packaged,
    measure_attribution,
    measure_model,
    measure_stand_in,
)
from matropy.studies.provenance_test._synthetic import measure_synthetic

__all__ = ["STUDY"]


def measure(run: Run) -> Measured:
    """Measure synthetic sources, then the models that are installed; at the smoke scale a random one stands in."""
    parts = [measure_synthetic(run), Measured({"zero": 0.0})]
    if run.scale == "smoke":
        parts.append(measure_stand_in(run))
    else:
        models = {"smollm2": load_packaged(run), "gemma": load_gemma(run)}
        found = {key: model for key, model in models.items() if model is not None}
        parts += [measure_model(run, key, model) for key, model in found.items()]
        if len(found) == 2:
            parts.append(measure_attribution(run, list(found.values()), list(found)))
    return Measured(
        values={name: value for part in parts for name, value in part.values.items()},
        tables=tuple(table for part in parts for table in part.tables),
        plots=tuple(plot for part in parts for plot in part.plots),
    )


STUDY = Study(
    paper=Paper(
        "Zero-Shot Statistical Tests for LLM-Generated Text Detection using Finite Sample Concentration Inequalities",
        "Tara Radvand, Mojtaba Abdolmaleki, Mohamed Mostagir, Ambuj Tewari",
        2025,
        arxiv="2501.02406",
    ),
    claims=CLAIMS,
    measure=measure,
)
