"""Do neural networks encode their examples like a hash, one code each, and can the codes be read.

The paper thresholds the units of a network into a binary code of its input, and claims that after training almost
every example has a code of its own and that simple classifiers on the codes come close to the network. The study
trains the paper's networks on real images over width, time and sample size, and looks at the gates of a language model.
"""

from __future__ import annotations

from matropy.studies._contract import Measured, Paper, Study
from matropy.studies._run import Run
from matropy.studies.activation_codes._claims import CLAIMS
from matropy.studies.activation_codes._color_images import measure_color_images
from matropy.studies.activation_codes._digits_sweep import measure_digits
from matropy.studies.activation_codes._images import color_images, digits
from matropy.studies.activation_codes._language_model import measure_packaged_gates
from matropy.studies.activation_codes._settings import SETTINGS

__all__ = ["STUDY"]


def measure(run: Run) -> Measured:
    """Measure the three parts; the smoke scale has small digits instead of MNIST, and only those."""
    setting = SETTINGS[run.scale]
    parts = []
    if (images := digits(run, setting)) is not None:
        parts.append(measure_digits(run, setting, images))
    if (images := color_images(run, setting)) is not None:
        parts.append(measure_color_images(run, setting, images))
    if run.scale != "smoke":
        parts.append(measure_packaged_gates(run))
    return Measured(
        values={name: value for part in parts for name, value in part.values.items()},
        tables=tuple(table for part in parts for table in part.tables),
        plots=tuple(plot for part in parts for plot in part.plots),
    )


STUDY = Study(
    paper=Paper(
        "Neural networks behave as hash encoders: An empirical study",
        "Fengxiang He, Shiye Lei, Jianmin Ji, Dacheng Tao",
        2021,
        arxiv="2101.05490",
    ),
    claims=CLAIMS,
    measure=measure,
)
