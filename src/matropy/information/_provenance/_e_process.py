r"""The e-process: bets on every token that no law can win on average against itself.

For each :math:`\lambda`, :math:`M_n(\lambda)=\exp\sum_{t\le n}[\lambda s_t-K_t(\lambda)]` is the likelihood ratio of
the law at temperature :math:`1/(1-\lambda)` to the law itself, a martingale of mean one under it. Their mean over the grid
reaches :math:`1/\alpha` at any time with probability at most :math:`\alpha` (Ville, 1939).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from matropy._core._validation import check_choice
from matropy.information._provenance._record import TokenRecord

__all__ = ["Side", "bets", "check_alpha", "log_bets", "log_mixture"]

Side = Literal["two", "greater", "less"]


def check_alpha(alpha: float) -> float:
    """Return the level, which must be strictly between 0 and 1."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be strictly between 0 and 1, got {alpha!r}")
    return float(alpha)


def bets(lambdas: tuple[float, ...], side: Side) -> list[int]:
    """Which of the grid look to this side: ``"greater"`` for text that is more surprising than its law."""
    check_choice(side, "side", ("two", "greater", "less"))
    chosen = [
        index
        for index, value in enumerate(lambdas)
        if side == "two" or (value > 0 if side == "greater" else value < 0)
    ]
    if not chosen:
        raise ValueError(f"side={side!r} needs a lambda on that side of 0; the record has {lambdas}")
    return chosen


def log_bets(record: TokenRecord, chosen: list[int]) -> NDArray[np.float64]:
    r"""Paths :math:`\ln M_n(\lambda)`, shape (n, m)."""
    grid = np.array(record.lambdas)[chosen]
    return np.cumsum(record.surprise[:, None] * grid - record.cumulant[:, chosen], axis=0)


def log_mixture(paths: NDArray[np.float64], surprise: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Path :math:`\ln E_n` of the equal mixture of bets; infinite from a token on that the law does not allow."""
    path = np.logaddexp.reduce(paths, axis=-1) - math.log(paths.shape[-1])
    return np.where(np.logical_or.accumulate(np.isinf(surprise)), math.inf, path)
