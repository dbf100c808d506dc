"""What pure geometry gives: the measures of structureless hidden states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincc, gammainccinv, gammaln

__all__ = ["IsotropicNull", "isotropic_null"]


@dataclass(frozen=True)
class IsotropicNull:
    """The measures that independent Gaussian hidden states would have.

    Attributes
    ----------
    matrix_nuclear_norm : float or array
        Dimensionless, in (0, 1].
    matrix_entropy : float or array
        Nats.
    """

    matrix_nuclear_norm: float | NDArray[np.float64]
    matrix_entropy: float | NDArray[np.float64]


def isotropic_null(n_tokens: ArrayLike, n_features: ArrayLike) -> IsotropicNull:
    r"""Matrix nuclear-norm and matrix entropy of i.i.d. Gaussian hidden states of the same shape.

    A measured value divided by its null says how far the states are from having no structure at all, so it can be
    compared across widths and lengths, where raw values cannot: for fixed :math:`N\ll d` the null of the matrix
    nuclear-norm falls as :math:`\sqrt{N/d}` without any learning. With :math:`\nu=N-1`, :math:`D=\min(N,d)`,
    :math:`p=D/d` and :math:`x` the upper :math:`p`-quantile of the gamma distribution of shape :math:`\nu/2`,

    .. math::
        \mathrm{MNN}_0\approx\frac DN\sqrt{\frac Nd}\,
        \frac{\sqrt2\,\Gamma(\frac{\nu+1}2)}{\sqrt\nu\,\Gamma(\frac\nu2)}\,\frac{Q(\frac{\nu+1}2,x)}p,
        \qquad
        H_0\approx\ln m-\frac{m-1}{2n}\Big(1+\frac1{2n}\Big)

    with :math:`m=\min(N-1,d)` and :math:`n=\max(N-1,d)`: the mean of the largest of :math:`d` chi-distributed column
    norms, and Page's entropy of a random state. Against simulation the former is within 0.5 % for :math:`N\ge16` and
    within 4 % at :math:`N=2`; the latter within 0.002 nats, except for small square shapes (0.02 at
    :math:`N=d=16`).

    Parameters
    ----------
    n_tokens : int or array of int
        Rows N, at least 2.
    n_features : int or array of int
        Columns d, at least 1; broadcast against ``n_tokens``.

    Returns
    -------
    IsotropicNull
        Floats for two integers, arrays otherwise.

    Raises
    ------
    ValueError
        If ``n_tokens`` is below 2 or ``n_features`` below 1.

    References
    ----------
    D. N. Page, 1993, equation 15 (the entropy of a random subsystem).

    Examples
    --------
    >>> from matropy.metrics import isotropic_null
    >>> round(isotropic_null(256, 576).matrix_nuclear_norm, 4)
    0.6923
    """
    tokens, features = np.broadcast_arrays(np.asarray(n_tokens, float), np.asarray(n_features, float))
    if not np.all(tokens >= 2):
        raise ValueError(f"n_tokens must be at least 2, got {np.min(tokens):g}")
    if not np.all(features >= 1):
        raise ValueError(f"n_features must be at least 1, got {np.min(features):g}")
    nu = tokens - 1
    kept = np.minimum(tokens, features)
    share = kept / features
    threshold = gammainccinv(nu / 2, share)
    mean_of_largest = (
        np.sqrt(2 / nu)
        * np.exp(gammaln((nu + 1) / 2) - gammaln(nu / 2))
        * gammaincc((nu + 1) / 2, threshold)
        / share
    )
    nuclear = kept / tokens * np.sqrt(tokens / features) * mean_of_largest
    small, large = np.minimum(nu, features), np.maximum(nu, features)
    entropy = np.log(small) - (small - 1) / (2 * large) * (1 + 1 / (2 * large))
    if nuclear.ndim == 0:
        return IsotropicNull(float(nuclear), float(entropy))
    return IsotropicNull(nuclear, entropy)
