"""The error of inner products of tensor products."""

from __future__ import annotations

from functools import partial

import numpy as np

from matropy.recovery import TensorSketch
from matropy.reporting import Column, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run

_DRAWS = {"smoke": 50, "quick": 4000, "full": 40_000}
_ROWS = 64


def measure_tensor(run: Run) -> Measured:
    """Unit pairs that are orthogonal in both factors, and in one of them."""
    found = run.step("tensor", partial(_spreads, _DRAWS[run.scale], run.seed))
    table = Table(
        "Inner products of sketched tensor products",
        (Column("Pair"), Column("√m × standard deviation", digits=3)),
        (("orthogonal in both factors", found["both"]), ("one factor in common", found["one"])),
        caption=f"Unit vectors of length 40 and 30, m = {_ROWS}; a dense sketch of the product has 1.",
    )
    return Measured({"tensor_both": found["both"], "tensor_one": found["one"]}, (table,))


def _spreads(draws: int, seed: int) -> dict[str, float]:
    rng = np.random.default_rng([seed, 2])
    (x, other_x), (y, other_y) = (np.linalg.qr(rng.normal(size=(n, 2)))[0].T for n in (40, 30))
    left, right = np.column_stack([x, other_x]), np.column_stack([y, other_y])
    both, one = [], []
    for draw in range(draws):
        sketched = TensorSketch(_ROWS, seed + draw).transform(left, right)
        both.append(float(sketched[:, 0] @ sketched[:, 3]))
        one.append(float(sketched[:, 0] @ sketched[:, 1]))
    return {"both": float(np.sqrt(_ROWS) * np.std(both)), "one": float(np.sqrt(_ROWS) * np.std(one))}
