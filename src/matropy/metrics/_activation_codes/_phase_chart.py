"""Where in a plane of model size and training a network tells its examples apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matropy._core._errors import require
from matropy.reporting import Column, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.table import Table as RichTable

__all__ = ["PhaseChart", "phase_chart"]

_LIGHT_ABOVE = 0.6


@dataclass(frozen=True)
class PhaseChart:
    """The activation hash phase chart: redundancy, accuracy and regime over two axes.

    Attributes
    ----------
    x, y : array of float, shapes (X,) and (Y,)
        The values of the two axes, rising.
    redundancy, accuracy : array of float, shape (Y, X)
        Means of the results of each cell; both in [0, 1].
    regime : array of str, shape (Y, X)
        ``"under"``, ``"critical"`` or ``"sufficient"``.
    axes : tuple of str
        Names of the axes, x first.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    redundancy: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    regime: NDArray[np.str_]
    axes: tuple[str, str] = ("size", "samples")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the cells in the colour of their redundancy, with accuracy and regime written in.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        matplotlib Axes
        """
        if ax is None:
            ax = require("matplotlib.pyplot", purpose="plotting a phase chart", extra="plot").subplots()[1]
        image = ax.imshow(self.redundancy, origin="lower", aspect="auto", vmin=0, vmax=1, cmap="viridis_r")
        for (row, column), regime in np.ndenumerate(self.regime):
            dark = self.redundancy[row, column] > _LIGHT_ABOVE
            words = f"{regime}\n{self.accuracy[row, column]:.2f}"
            ax.text(column, row, words, ha="center", va="center", size=8, color="white" if dark else "black")
        ax.grid(False)
        ax.set_xticks(range(len(self.x)), [f"{value:g}" for value in self.x])
        ax.set_yticks(range(len(self.y)), [f"{value:g}" for value in self.y])
        ax.set(xlabel=self.axes[0], ylabel=self.axes[1], title="Regime and accuracy")
        ax.figure.colorbar(image, ax=ax, label="redundancy")
        return ax

    def table(self) -> RichTable:
        """One row a cell, for the terminal."""
        return Table(
            "Activation hash phase chart",
            (*map(Column, self.axes), Column("Redundancy"), Column("Accuracy"), Column("Regime")),
            tuple(
                (
                    x,
                    y,
                    self.redundancy[row, column],
                    self.accuracy[row, column],
                    str(self.regime[row, column]),
                )
                for row, y in enumerate(self.y)
                for column, x in enumerate(self.x)
            ),
        ).to_rich()

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, by the names of the attributes."""
        return {
            "axes": list(self.axes),
            **{name: getattr(self, name).tolist() for name in ("x", "y", "redundancy", "accuracy", "regime")},
        }


def phase_chart(
    results: Sequence[Mapping[str, float]],
    *,
    axes: Sequence[str] = ("size", "samples"),
    under: float = 0.05,
    sufficient: float = 0.001,
    margin: float = 0.02,
) -> PhaseChart:
    r"""Sort trained networks into regimes by how well their codes tell examples apart.

    A cell is *under*-expressive where :math:`\rho>` ``under``; *sufficient* where :math:`\rho\le` ``sufficient`` and
    the accuracy lies within ``margin`` of that at the largest x of the same row; *critical* otherwise.

    Parameters
    ----------
    results : sequence of mappings
        Each with the two axes, ``redundancy`` and ``accuracy`` (of the categorization by codes). Results of one cell,
        such as those of several seeds, are averaged; every cell needs one.
    axes : (str, str)
        Keys of x and y.
    under, sufficient : float
        Thresholds of the redundancy, ``0 <= sufficient <= under <= 1``.
    margin : float
        Of the accuracy, not negative.

    Returns
    -------
    PhaseChart

    Raises
    ------
    ValueError
        If there is no result, one lacks a key or holds a value that is not finite or no share, a cell is empty, or
        the thresholds are out of order.

    References
    ----------
    F. He, S. Lei, J. Ji, D. Tao, 2021 (activation hash phase chart; the paper names the regimes in words, the
    thresholds are ours).

    Examples
    --------
    >>> from matropy.metrics import phase_chart
    >>> chart = phase_chart(
    ...     [
    ...         {"size": 10, "samples": 100, "redundancy": 0.4, "accuracy": 0.6},
    ...         {"size": 50, "samples": 100, "redundancy": 0.0, "accuracy": 0.80},
    ...         {"size": 99, "samples": 100, "redundancy": 0.0, "accuracy": 0.81},
    ...     ]
    ... )
    >>> chart.regime.tolist()
    [['under', 'sufficient', 'sufficient']]
    """
    if isinstance(axes, str) or len(axes) != 2 or axes[0] == axes[1]:
        raise ValueError(f"axes must be two different names, got {axes!r}")
    for name, value in (("under", under), ("sufficient", sufficient), ("margin", margin)):
        _check_share(value, name)
    if sufficient > under:
        raise ValueError(f"sufficient must not exceed under, got {sufficient} and {under}")
    keys = (*axes, "redundancy", "accuracy")
    x, y, redundancy, accuracy = np.array([_checked(result, keys) for result in results]).reshape(-1, 4).T
    if not len(x):
        raise ValueError("results is empty")
    (columns, column), (rows, row) = np.unique(x, return_inverse=True), np.unique(y, return_inverse=True)
    count = np.zeros((len(rows), len(columns)))
    np.add.at(count, (row, column), 1)
    if not count.all():
        at_y, at_x = np.argwhere(count == 0)[0]
        raise ValueError(f"results has none for {axes[0]}={columns[at_x]:g}, {axes[1]}={rows[at_y]:g}")

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.zeros_like(count)
        np.add.at(total, (row, column), values)
        return total / count

    rho, accuracies = mean(redundancy), mean(accuracy)
    flat = np.abs(accuracies - accuracies[:, -1:]) <= margin
    regime = np.select([rho > under, (rho <= sufficient) & flat], ["under", "sufficient"], "critical")
    return PhaseChart(columns, rows, rho, accuracies, regime, (axes[0], axes[1]))


def _checked(result: Mapping[str, float], keys: tuple[str, ...]) -> list[float]:
    if missing := [key for key in keys if key not in result]:
        raise ValueError(f"a result lacks {missing[0]!r}; it has {sorted(map(str, result))}")
    values = [float(result[key]) for key in keys]
    for key, value in zip(keys, values, strict=True):
        if not math.isfinite(value):
            raise ValueError(f"{key} of a result must be finite, got {value}")
        if key in ("redundancy", "accuracy"):
            _check_share(value, f"{key} of a result")
    return values


def _check_share(value: object, name: str) -> None:
    if not (isinstance(value, Real) and 0 <= float(value) <= 1):
        raise ValueError(f"{name} must lie between 0 and 1, got {value!r}")
