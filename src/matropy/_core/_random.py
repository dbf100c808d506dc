"""Counter-based randomness: the same key gives the same numbers on every machine, in any order."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["poisson_weights"]

# floor(2^64 P(Poisson(1) <= k)), k = 0..19, in whole numbers: 1/e = (sum of the alternating series) to 2^-64.
_INVERSE_E = sum((-1) ** j * (1 << 128) // math.factorial(j) for j in range(40))
_POISSON_STEPS = np.array(
    [sum(_INVERSE_E // math.factorial(j) for j in range(k + 1)) >> 64 for k in range(20)], dtype=np.uint64
)


@lru_cache(maxsize=8)
def poisson_weights(seed: int, index: int, size: int) -> NDArray[np.uint8]:
    """Poisson(1) weights of item ``index`` in ``size`` bootstrap replicates.

    They are a function of ``(seed, index)`` alone (raw Philox4x64 bits, inverted through the distribution
    function), so a stream can be resampled item by item, in any order and on any number of machines
    (Chamandy et al., 2012, the Poisson bootstrap).
    """
    bits = np.random.Philox(key=seed, counter=[0, index, 0, 0]).random_raw(size)
    weights = np.searchsorted(_POISSON_STEPS, bits, side="right").astype(np.uint8)
    weights.flags.writeable = False  # several sums of the same item share them
    return weights
