"""Running studies: one by name, or all of them."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import platformdirs

from matropy._core._errors import InputError
from matropy._core._files import output_folder
from matropy._core._validation import check_choice, check_integer
from matropy._version import __version__
from matropy.reporting import Figure, HeatMap
from matropy.studies._catalog import catalog, find_method
from matropy.studies._contract import Study, judge
from matropy.studies._result import StudyResult
from matropy.studies._run import Run, Scale
from matropy.studies._scorecard import Scorecard

__all__ = ["run_study", "study", "study_all"]

_REPORTED = ("numpy", "scipy", "scikit-learn", "torch", "transformers")


def study(
    name: str,
    scale: Scale = "quick",
    *,
    output: str | os.PathLike[str] | None = None,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    jobs: int = 1,
    progress: bool = False,
) -> StudyResult:
    """Measure the claims of a paper on this machine.

    Parameters
    ----------
    name : str
        One of the names in :func:`catalog`.
    scale : {"smoke", "quick", "full"}
        Seconds, to see that it runs; minutes on two cores; the paper's own sizes.
    output : path, optional
        Folder for ``study.json`` and ``report.html``, and for the steps of an unfinished run. Without it nothing is
        written but those steps, in the user's cache folder.
    seed : int
        Of everything that is drawn.
    device : str
        A torch device; ``"auto"`` is the accelerator where there is one.
    resume : bool
        Go on with an interrupted run of the same scale, seed and device instead of starting anew.
    jobs : int
        Processes that the study may use where its steps are independent.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    StudyResult

    Raises
    ------
    InputError
        For a study that is unknown or not built yet, or a folder that cannot be written to.
    ValueError
        For another scale, or a number out of range.
    """
    method = find_method(name)
    check_choice(scale, "scale", get_args(Scale))
    check_integer(seed, "seed", low=0, high=2**32 - 1)
    check_integer(jobs, "jobs", low=1)
    folder = (
        Path(platformdirs.user_cache_dir("matropy")) / "studies" / name if output is None else Path(output)
    )
    output_folder(folder)
    definition = method.load()
    run = Run(
        name,
        scale,
        folder=folder,
        seed=seed,
        device=device,
        jobs=jobs,
        shows_progress=progress,
    )
    if not resume:
        run.forget()
    result = run_study(definition, run, title=method.title)
    if output is not None:
        result.save(folder)
    run.forget()
    return result


def study_all(
    scale: Scale = "quick",
    *,
    output: str | os.PathLike[str] | None = None,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    jobs: int = 1,
    progress: bool = False,
) -> Scorecard:
    """Run every study that is built and put the 27 methods on one scorecard.

    Parameters
    ----------
    scale, seed, device, jobs, progress
        As for :func:`study`.
    output : path, optional
        Folder for ``scorecard.json`` and ``report.html``; each study has a folder of its own name inside.
    resume : bool
        Take the studies that are finished in ``output`` for this scale and seed, and go on with the one that was
        interrupted.

    Returns
    -------
    Scorecard

    Raises
    ------
    InputError, ValueError
        As :func:`study`.
    """
    folder = None if output is None else output_folder(output)
    results = []
    for method in catalog():
        if not method.available:
            continue
        own = None if folder is None else folder / method.study
        done = StudyResult.load(own) if resume and own is not None and (own / "study.json").exists() else None
        if done is None or (done.scale, done.seed, done.matropy) != (scale, seed, __version__):
            done = study(
                method.study,
                scale,
                output=own,
                seed=seed,
                device=device,
                resume=resume,
                jobs=jobs,
                progress=progress,
            )
        results.append(done)
    scorecard = Scorecard(results=tuple(results), scale=scale, matropy=__version__)
    if folder is not None:
        scorecard.save(folder)
    return scorecard


def run_study(definition: Study, run: Run, *, title: str) -> StudyResult:
    """Measure, then judge each claim."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    start = time.perf_counter()
    measured = definition.measure(run)
    seconds = time.perf_counter() - start
    unknown = _unnamed(definition, measured.values, run)
    if unknown:
        raise InputError(
            f"the study {run.study!r} claims values that it never measures: {', '.join(unknown)}"
        )
    return StudyResult(
        created=created,
        matropy=__version__,
        name=run.study,
        title=title,
        paper=definition.paper,
        scale=run.scale,
        seed=run.seed,
        verdicts=tuple(judge(claim, measured.values) for claim in definition.claims),
        values={
            name: float(value) if math.isfinite(value) else None for name, value in measured.values.items()
        },
        skipped=dict(run.skipped),
        tables=measured.tables,
        plots=tuple(plot for plot in measured.plots if isinstance(plot, Figure)),
        heat_maps=tuple(plot for plot in measured.plots if isinstance(plot, HeatMap)),
        environment=_environment(run),
        seconds=seconds,
    )


def _unnamed(definition: Study, values: Mapping[str, float], run: Run) -> list[str]:
    """Names that a claim needs and nothing gives: a typing error, unless something was skipped or the scale is small."""
    if run.skipped or run.scale == "smoke":
        return []
    return [name for claim in definition.claims for name in claim.criterion.names if name not in values]


def _environment(run: Run) -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _REPORTED:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        **versions,
        "platform": platform.platform(),
        "cores": str(os.cpu_count()),
        "device": run.device,
    }
