"""How the eigenvalues of a large symmetric operator are spread."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matropy._core._errors import require
from matropy._core._validation import check_integer
from matropy.linalg._lanczos import quadrature_rules
from matropy.linalg._symmetric_operator import symmetric_operator, to_numpy

__all__ = ["SpectralDensity", "spectral_density"]


@dataclass(frozen=True)
class SpectralDensity:
    """A smoothed histogram of eigenvalues; it integrates to one.

    Attributes
    ----------
    eigenvalues : array, shape (n_points,)
        The grid, rising.
    density : array, shape (n_points,)
        Share of the eigenvalues per unit of eigenvalue.
    standard_error : array, shape (n_points,)
        Of the density, over the probes.
    bandwidth : float
        Standard deviation of the Gaussian that smooths, in the unit of the eigenvalues.
    """

    eigenvalues: NDArray[np.float64]
    density: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    bandwidth: float

    def plot(self, ax: Any = None) -> Any:
        """Draw the density with a band of two standard errors, on Matplotlib axes.

        Returns
        -------
        matplotlib.axes.Axes
        """
        pyplot = require("matplotlib.pyplot", purpose="plotting", extra="plot")
        ax = pyplot.gca() if ax is None else ax
        (line,) = ax.plot(self.eigenvalues, self.density)
        low = np.maximum(self.density - 2 * self.standard_error, 0)
        ax.fill_between(
            self.eigenvalues,
            low,
            self.density + 2 * self.standard_error,
            color=line.get_color(),
            alpha=0.2,
            lw=0,
        )
        ax.set(xlabel="eigenvalue", ylabel="density")
        return ax


def spectral_density(
    operator: object,
    *,
    size: int | None = None,
    n_probes: int = 8,
    steps: int = 64,
    n_points: int = 512,
    bandwidth: float | None = None,
    rng: int | np.random.Generator | None = None,
) -> SpectralDensity:
    r"""Density of the eigenvalues of a symmetric operator, from products alone.

    .. math::
        \phi_\sigma(t)=\frac1n\sum_i\mathcal N(t;\lambda_i,\sigma^2)
        \approx\frac1b\sum_{v}\sum_jw_j^v\,\mathcal N(t;\theta_j^v,\sigma^2)

    with the nodes and weights of the Lanczos rules of ``b`` random probes.

    Parameters
    ----------
    operator : array, sparse matrix, LinearOperator or callable
        As for :func:`lanczos`.
    size : int, optional
        ``n``, needed where ``operator`` is a function.
    n_probes : int
        Probes, at least 2.
    steps : int
        Lanczos steps of each; they resolve about a ``steps``-th of the range.
    n_points : int
        Points of the grid, which reaches four bandwidths beyond the extreme nodes.
    bandwidth : float, optional
        :math:`\sigma`; by default the range of the nodes over ``steps``.
    rng : int or Generator, optional
        Draws the probes.

    Returns
    -------
    SpectralDensity

    Raises
    ------
    ValueError
        As :func:`lanczos`; for numbers out of range.

    References
    ----------
    L. Lin, Y. Saad, C. Yang, 2016, section 3.2; B. Ghorbani, S. Krishnan, Y. Xiao, 2019, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.linalg import spectral_density
    >>> density = spectral_density(np.diag(np.repeat([0.0, 1.0], 100)), rng=0)
    >>> bool(abs(np.trapezoid(density.density, density.eigenvalues) - 1) < 1e-3)
    True
    """
    n_probes = check_integer(n_probes, "n_probes", low=2)
    steps = check_integer(steps, "steps", low=1)
    n_points = check_integer(n_points, "n_points", low=2)
    if bandwidth is not None and not (
        isinstance(bandwidth, Real) and math.isfinite(bandwidth) and bandwidth > 0
    ):
        raise ValueError(f"bandwidth must be a positive number, got {bandwidth!r}")
    symmetric = symmetric_operator(operator, size)
    signs = np.random.default_rng(rng).integers(0, 2, (symmetric.size, n_probes)) * 2.0 - 1.0
    nodes, weights = map(
        to_numpy, quadrature_rules(symmetric, symmetric.array(signs), min(steps, symmetric.size))
    )
    seen = nodes[weights > 1e-14]
    low, high = float(seen.min()), float(seen.max())
    if bandwidth is None:
        # All eigenvalues equal: any width shows the one peak.
        bandwidth = (high - low) / steps or max(abs(high), 1.0) / steps
    grid = np.linspace(low - 4 * bandwidth, high + 4 * bandwidth, n_points)
    of_probe = np.stack(
        [
            np.exp(-0.5 * ((grid[:, None] - theta) / bandwidth) ** 2) @ w
            for theta, w in zip(nodes, weights, strict=True)
        ]
    ) / (bandwidth * math.sqrt(2 * math.pi))
    return SpectralDensity(grid, of_probe.mean(0), of_probe.std(0, ddof=1) / n_probes**0.5, float(bandwidth))
