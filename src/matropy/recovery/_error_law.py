r"""The exact law of the error of sketched regression.

For a Gaussian sketch with ``m`` rows of a design with ``d`` columns, and :math:`\nu=m-d+1`,

.. math:: \sqrt\nu\,\frac{x'_j-x^*_j}{\|r\|\sqrt{[(A^\top A)^{-1}]_{jj}}}\sim t_\nu .
"""

from __future__ import annotations

import math
from numbers import Real

from scipy.special import stdtrit

from matropy._core._errors import InputError
from matropy._core._validation import check_integer

__all__ = ["check_fraction", "rows_needed", "t_quantile"]


def rows_needed(n_features: int, epsilon: float, delta: float) -> int:
    r"""Rows of a Gaussian sketch with which every coefficient is within :math:`\epsilon` of the full-data solution.

    .. math:: m=d-1+\min\{\nu:\ t_{\nu,1-\delta/2d}\le\epsilon\sqrt{\nu/d}\}

    is the least number of rows for which the exact law of the error and the union bound give, with probability
    :math:`1-\delta`, for all ``j`` at once

    .. math:: |x'_j-x^*_j|\le\frac{\epsilon}{\sqrt d}\,\|r\|_2\,\|A^\dagger\|_2 .

    ``"srht"`` and ``"pooled"`` sketches follow the same law to sampling accuracy, as measured; no theorem says so for
    ``"srht"``. The bound is relative to :math:`\|A^\dagger\|`: scale the columns to unit norm before reading it.

    Parameters
    ----------
    n_features : int
        Columns ``d`` of the design, the intercept's column of ones included.
    epsilon : float
        Positive.
    delta : float
        Probability of a miss, between 0 and 1.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        For parameters out of range.

    References
    ----------
    Z. Song, M. Ye, J. Yin, L. Zhang, 2023, equation of the l-infinity guarantee (the bound; the number of rows is
    exact here where theirs is of an order).

    Examples
    --------
    >>> from matropy.recovery import rows_needed
    >>> rows_needed(100, epsilon=0.5, delta=0.05)
    4952
    """
    d = check_integer(n_features, "n_features", low=1)
    if not (isinstance(epsilon, Real) and math.isfinite(epsilon) and epsilon > 0):
        raise InputError(f"epsilon must be a positive number, got {epsilon!r}")
    check_fraction(delta, "delta")

    def enough(nu: int) -> bool:
        return t_quantile(nu, float(delta) / d) <= float(epsilon) * math.sqrt(nu / d)

    high = 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return d - 1 + high


def t_quantile(degrees: float, miss: float) -> float:
    """Half-width, in standard errors, of the interval that a t variable leaves with probability ``miss``."""
    return -float(stdtrit(degrees, miss / 2))


def check_fraction(value: object, name: str) -> None:
    """Raise ``InputError`` unless ``value`` lies strictly between 0 and 1."""
    if not (isinstance(value, Real) and 0 < float(value) < 1):
        raise InputError(f"{name} must be a number between 0 and 1, both excluded, got {value!r}")
