"""What keeping a resumable state costs, and what a second process brings, on the packaged model.

The first is timed within a run, since its difference to a run without is lost in noise; the second is one process of
one thread beside two, in turn.

    python -m benchmarks.processes
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from unittest.mock import patch

from rich.console import Console

from benchmarks._harness import record, seconds, summarize
from matropy import evaluate, load_model
from matropy.evaluation._run import Run
from matropy.lm import load_corpus

LIMIT, LENGTH, ROUNDS = 16, 256, 3
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def state_cost() -> float:
    """Seconds in which the state was kept, after every batch of the default size, over all the others."""
    model, corpus = load_model(device="cpu"), load_corpus(limit=2 * LIMIT)
    keep, spent = Run._keep_state, 0.0

    def timed(run: Run) -> None:
        nonlocal spent
        spent += seconds(lambda: keep(run))

    with tempfile.TemporaryDirectory() as folder, patch.object(Run, "_keep_state", timed):
        whole = seconds(lambda: evaluate(model, corpus, max_length=LENGTH, output=folder))
    return spent / (whole - spent)


def tokens_per_second(launcher: tuple[str, ...]) -> float:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        options = [
            "--limit",
            str(LIMIT),
            "--max-length",
            str(LENGTH),
            "--batch-tokens",
            "1024",
            "--device",
            "cpu",
        ]
        command = [sys.executable, *launcher, "-m", "matropy", "evaluate", *options, "--output", folder]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        timing = json.loads(Path(folder, "evaluation.json").read_text())["timing"]
    return float(timing["tokens_per_s"])


def main() -> None:
    cost = state_cost()
    gain = median(tokens_per_second(TORCHRUN) / tokens_per_second(()) for _ in range(ROUNDS))
    sentence = (
        f"a state after every batch costs {100 * cost:.2f} % of the run; two processes of one thread score"
        f" {gain:.2f} times the tokens of one"
    )
    Console().print(sentence)
    record("processes", [{"state_cost": cost, "two_processes": gain}], ("torch", "transformers"))
    summarize("processes", sentence)


if __name__ == "__main__":
    main()
