"""What the paper proves, on random kernels, and its smallest examples."""

from __future__ import annotations

import math

import numpy as np

from matropy.metrics import kernels, vendi_score
from matropy.studies._contract import Measured
from matropy.studies._run import Run

_KERNELS = {"smoke": 5, "quick": 100, "full": 100}
_ORDERS = (0.0, 0.1, 0.5, 1.0, 2.0, 3.0, math.inf)
_SENTENCES = ["Look, Jane.", "See Spot.", "See Spot run.", "Run, Spot, run.", "Jane sees Spot run."]


def measure_properties(run: Run) -> Measured:
    """Largest deviations from what must hold, over random kernels."""
    rng = np.random.default_rng(run.seed)
    draws = [_deviations(rng) for _ in range(_KERNELS[run.scale])]
    values = {f"{name}_deviation": max(draw[name] for draw in draws) for name in draws[0]}
    toy = np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])
    values["toy"] = vendi_score(toy, kernel="precomputed")
    values["sentences"] = vendi_score(kernels.ngram(_SENTENCES, n=(1, 2)), kernel="precomputed")
    return Measured(values)


def _deviations(rng: np.random.Generator) -> dict[str, float]:
    counts = rng.integers(1, 6, size=8)
    rows = rng.standard_normal((len(counts), 12))
    p = counts / counts.sum()
    repeated = np.repeat(rows, counts, axis=0)
    order = rng.permutation(len(repeated))
    blocks = [kernels.cosine(rng.standard_normal((n, 5))) for n in counts[:4]]
    share = counts[:4] / counts[:4].sum()
    whole = np.zeros((counts[:4].sum(),) * 2)
    for block, end in zip(blocks, np.cumsum(counts[:4]), strict=True):
        whole[end - len(block) : end, end - len(block) : end] = block
    parts = np.array([vendi_score(block, kernel="precomputed") for block in blocks])
    profile = vendi_score(rows, order=_ORDERS)
    n = len(rows)
    return {
        "unlike": abs(vendi_score(np.eye(n), kernel="precomputed") / n - 1),
        "alike": abs(vendi_score(np.ones((n, n)), kernel="precomputed") - 1),
        "duplicates": abs(vendi_score(repeated) / vendi_score(rows, weights=p) - 1),
        "order_of_items": abs(vendi_score(repeated[order]) / vendi_score(repeated) - 1),
        "partition": abs(
            math.log(vendi_score(whole, kernel="precomputed"))
            - float(-share @ np.log(share) + share @ np.log(parts))
        ),
        "rise_with_order": float(np.max(np.diff(profile) / profile[:-1])),
    }
