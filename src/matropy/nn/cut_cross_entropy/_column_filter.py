"""Classes that a chunk of tokens hardly gives any probability."""

from __future__ import annotations

import torch

__all__ = ["live_columns"]


def live_columns(mass: torch.Tensor, target: torch.Tensor, budget: float) -> torch.Tensor:
    """Columns left when the lightest are dropped, as long as what they weigh together stays within the budget.

    ``mass`` is the mean probability of each class over the rows; classes that are a target stay.
    """
    mass = mass.index_fill(0, target[target >= 0], torch.inf)
    lightest, order = mass.sort()
    live = torch.ones_like(mass, dtype=torch.bool)
    live[order[lightest.cumsum(0) <= budget]] = False
    return live.nonzero()[:, 0]
