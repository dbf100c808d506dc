"""``matropy study``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["study"]


def study(
    name: Annotated[str, typer.Argument(help="A study that `matropy list` names, or all.")],
    scale: Annotated[
        Literal["smoke", "quick", "full"],
        typer.Option(help="smoke: seconds, that it runs; quick: minutes; full: the paper's own sizes."),
    ] = "quick",
    output: Annotated[Path, typer.Option(help="Folder for study.json and report.html.")] = Path(
        "matropy-study"
    ),
    jobs: Annotated[int, typer.Option(help="Processes for independent steps.")] = 1,
    device: Annotated[
        str, typer.Option(help="A torch device; auto takes the accelerator if there is one.")
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
) -> None:
    """Regenerate a paper's headline result beside the paper's figure; exit 1 when a verdict changed."""
    from rich.console import Console

    from matropy.studies import study as run_one
    from matropy.studies import study_all

    result = (
        study_all(scale, output=output, seed=seed, device=device, resume=resume, jobs=jobs, progress=True)
        if name == "all"
        else run_one(
            name, scale, output=output, seed=seed, device=device, resume=resume, jobs=jobs, progress=True
        )
    )
    Console().print(result.table())
    sys.stdout.write(f"Report: {output / 'report.html'}\n")
    if result.changed:
        raise typer.Exit(1)
