"""``matropy compare``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["compare"]


def compare(
    evaluation: Annotated[
        list[Path],
        typer.Argument(
            help="Two or more: evaluation.json files, or folders that hold one. The first is the baseline."
        ),
    ],
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    output: Annotated[Path, typer.Option(help="Folder for comparison.json and report.html.")] = Path(
        "matropy-comparison"
    ),
) -> None:
    """Put evaluations side by side over the same texts, and say which figures may be compared."""
    from rich.console import Console

    from matropy.evaluation import compare as run
    from matropy.evaluation._comparison_words import notes

    result = run(*evaluation, seed=seed)
    folder = result.save(output)
    Console().print(result.table())
    for line in (
        *notes(result),
        f"Report: {folder / 'report.html'}",
        f"Data:   {folder / 'comparison.json'}",
    ):
        sys.stdout.write(line + "\n")
