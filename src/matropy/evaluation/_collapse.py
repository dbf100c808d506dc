"""When a layer has lost its directions during training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from matropy.evaluation._evaluation import Evaluation

__all__ = ["Collapse", "LayerCollapseWarning", "find_collapses"]

_IN_A_ROW = 2
_SOMETHING_TO_LOSE = 0.1


class LayerCollapseWarning(UserWarning):
    """The hidden states of a layer have lost their directions during training, or cannot be measured any more."""


@dataclass(frozen=True)
class Collapse:
    """The fall of one layer's effective rank.

    Attributes
    ----------
    index : int
        Of the hidden state.
    name : str
        Of the hidden state.
    step : int
        Evaluation that confirmed it.
    rank : float
        Effective rank there.
    best_step, best_rank
        Its highest effective rank before, and when.
    isotropic_rank : float
        Effective rank of states without structure.
    recovered_step : int or None
        First evaluation at which it was up again.
    """

    index: int
    name: str
    step: int
    rank: float
    best_step: int
    best_rank: float
    isotropic_rank: float
    recovered_step: int | None = None

    def __str__(self) -> str:
        return (
            f"hidden state {self.index} ({self.name}) has collapsed by step {self.step:,}: a text fills"
            f" {self.rank:.1f} directions, after {self.best_rank:.1f} at step {self.best_step:,} (states without"
            f" structure fill {self.isotropic_rank:.0f})"
        )


def find_collapses(course: Mapping[int, Evaluation], threshold: float) -> list[Collapse]:
    r"""Every fall of a layer in evaluations by step, in the order of steps.

    Ranks are compared as shares of the isotropic entropy, :math:`s=\ln r/H_0`: 0 is one direction, 1 no structure. A
    layer has collapsed when twice in a row :math:`s<\mathtt{threshold}\cdot s_{\max}`, its own best so far, which is
    :math:`r<r_{\max}^{\mathtt{threshold}}`. Twice, because a model that is trained from scratch dips for a moment
    while it learns how often each token occurs. The layer is up again above
    :math:`\sqrt{\mathtt{threshold}}\,s_{\max}`, so that a rank that hovers about the threshold counts once. A layer
    that never had a tenth of the isotropic entropy has nothing to lose.
    """
    found = []
    for position, layer in enumerate(next(iter(course.values())).layers):
        best, best_step, low = 0.0, 0, 0
        down: Collapse | None = None
        for step, evaluation in course.items():
            rank = evaluation.layers[position].metrics["effective_rank"].mean
            isotropic = evaluation.settings["isotropic_null"]["matrix_entropy"]
            if rank is None or isotropic <= 0:
                continue
            share = math.log(rank) / isotropic
            if share > best:
                best, best_step = share, step
            low = low + 1 if best >= _SOMETHING_TO_LOSE and share < threshold * best else 0
            if down is None and low == _IN_A_ROW:
                ranks = math.exp(best * isotropic), math.exp(isotropic)
                down = Collapse(layer.index, layer.name, step, rank, best_step, *ranks)
            elif down is not None and share > math.sqrt(threshold) * best:
                found.append(replace(down, recovered_step=step))
                down = None
        if down is not None:
            found.append(down)
    return sorted(found, key=lambda collapse: (collapse.step, collapse.index))
