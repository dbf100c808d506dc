"""What is kept of the rows ``[1, x, y]`` while they arrive: their normal equations, their sketch, or both."""

from __future__ import annotations

from typing import cast

import numpy as np
from scipy.sparse import issparse

from matropy._core._errors import InputError
from matropy.recovery._blocks import Block, pieces_of
from matropy.recovery._normal_equations import NormalEquations
from matropy.recovery._sketch import Sketch
from matropy.recovery._solution import Solution, exact_solution, sketched_solution

__all__ = ["Moments"]


class Moments:
    """Rows that arrive in blocks, summed.

    Parameters
    ----------
    first : Block
        Says how many features and targets there are; it is not added.
    intercept : bool
        Whether a column of ones is put in front.
    worst_condition : float or None
        Of the columns at unit norm, up to which the normal equations are taken; None keeps none.
    sketch : Sketch or None
        What to update with the rows, if anything.

    Attributes
    ----------
    count, n_blocks : int
        Rows and blocks seen.
    one_target : bool
        Whether the targets have one axis.
    """

    def __init__(
        self, first: Block, *, intercept: bool, worst_condition: float | None, sketch: Sketch | None
    ) -> None:
        self.n_features = first.rows.shape[1]
        self.one_target = first.targets.ndim == 1
        self.n_targets = 1 if self.one_target else first.targets.shape[1]
        self.count = 0
        self.n_blocks = 0
        self.sketch = sketch
        self._worst_condition = worst_condition
        self._normal = None
        if worst_condition is not None:
            columns = self.n_features + self.n_targets
            self._normal = NormalEquations(columns, self.n_targets, intercept=intercept)
        self._ones = int(intercept and sketch is not None)  # the normal equations put it in by themselves

    def update(self, block: Block) -> None:
        """Add the rows of a block."""
        shape = block.targets.shape
        if shape[1:] != (() if self.one_target else (self.n_targets,)):
            axes = "one axis" if self.one_target else f"{self.n_targets} columns"
            raise InputError(
                f"block {block.index} of y must have {axes} as the blocks before it, got shape {shape}"
            )
        for rows, targets in pieces_of(block):
            stacked = np.empty((len(targets), self._ones + self.n_features + self.n_targets))
            stacked[:, : self._ones] = 1
            stacked[:, self._ones : -self.n_targets] = rows.toarray() if issparse(rows) else rows
            stacked[:, -self.n_targets :] = targets
            if self._normal is not None:
                self._normal.update(stacked[:, self._ones :])
            if self.sketch is not None:
                self.sketch.update(stacked)
            self.count += len(targets)
        self.n_blocks += 1

    def exact(self) -> Solution | None:
        """The solution by the normal equations, where they are kept and suffice."""
        if self._normal is None or self._worst_condition is None:
            return None
        found, condition = self._normal.solve()
        return exact_solution(found, self.count) if condition <= self._worst_condition else None

    def sketched(self) -> Solution:
        """The solution by the sketch, which is kept."""
        return sketched_solution(cast(Sketch, self.sketch).result(), self.n_targets, self.count)
