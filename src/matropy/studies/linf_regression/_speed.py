"""How the time to sketch grows with rows and columns."""

from __future__ import annotations

import time
from functools import partial

import numpy as np

from matropy.recovery import Sketch
from matropy.reporting import Column, Figure, Series, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run

_BY_ROWS = {
    "smoke": ((2**12, 32), (2**14, 32)),
    "quick": ((2**14, 128), (2**15, 128), (2**16, 128), (2**17, 128)),
    "full": ((2**16, 128), (2**18, 128), (2**20, 128)),
}
_BY_COLUMNS = {
    "smoke": ((2**12, 16), (2**12, 64)),
    "quick": ((2**15, 64), (2**15, 128), (2**15, 256), (2**15, 512)),
    "full": ((2**16, 64), (2**16, 256), (2**16, 1024)),
}
_SKETCH_ROWS = 1024
_ROUNDS = 5


def measure_speed(run: Run) -> Measured:
    """Processor seconds of the Hadamard sketch, the least of a few rounds."""
    sizes = dict.fromkeys((*_BY_ROWS[run.scale], *_BY_COLUMNS[run.scale]))
    seconds = {}
    with run.progress("Time", len(sizes), "sizes") as bar:
        for n, d in sizes:
            seconds[n, d] = run.step(f"speed-{n}-{d}", partial(_seconds, n, d, run.seed))
            bar.advance()
    values = {
        "time_by_rows": _slope([(n, seconds[n, d]) for n, d in _BY_ROWS[run.scale]]),
        "time_by_columns": _slope([(d, seconds[n, d]) for n, d in _BY_COLUMNS[run.scale]]),
    }
    table = Table(
        "Time to sketch",
        (Column("Rows"), Column("Columns"), Column("Nanoseconds a number", digits=3)),
        tuple((n, d, 1e9 * found / (n * d)) for (n, d), found in seconds.items()),
        caption=f"Hadamard sketch with {_SKETCH_ROWS} rows in chunks of 8192, processor time.",
    )
    rows = [n for n, _ in _BY_ROWS[run.scale]]
    found = [seconds[n, d] for n, d in _BY_ROWS[run.scale]]
    figure = Figure(
        "Time grows as the number of rows",
        "rows",
        "processor seconds",
        (
            Series("sketch", rows, found),
            Series("proportional", rows, [found[-1] * n / rows[-1] for n in rows], kind="reference"),
        ),
        x_scale="log",
        y_scale="log",
    )
    return Measured(values, (table,), (figure,))


def _seconds(n: int, d: int, seed: int) -> float:
    rows = np.random.default_rng(seed).normal(size=(n, d))
    found = []
    for _ in range(_ROUNDS):
        start = time.process_time()
        Sketch("srht", _SKETCH_ROWS, seed).update(rows).result()
        found.append(time.process_time() - start)
    return min(found)


def _slope(points: list[tuple[int, float]]) -> float:
    """The exponent of the time in the size."""
    sizes, seconds = zip(*points, strict=True)
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
