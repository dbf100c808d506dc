r"""Measures of one matrix of hidden states: how many directions the tokens of a text fill.

Notation of the docstrings: :math:`R` is the ``N x d`` matrix of the N tokens' hidden states, :math:`Z` is R with
the mean row subtracted and every row divided by its norm, so :math:`A=Z^\top Z/N` has trace one.
"""

from __future__ import annotations

import math
from typing import Literal

from matropy._core._validation import Array, check_array, check_choice, check_integer, scalar
from matropy.entropy import renyi_entropy
from matropy.linalg import Gram
from matropy.metrics._token_matrix import (
    centered,
    checked_rows,
    degrees_of_freedom,
    largest_norm_sum,
    largest_rank,
    mean_cosine,
    nonzero,
    nuclear_norm_of,
    positions,
    rankme_of,
    raw_spectrum,
    spectral_decay,
    streamed_spectrum,
    unit_column_squares,
    unit_rows,
    unit_spectrum,
)

__all__ = [
    "alpha_req",
    "anisotropy",
    "effective_rank",
    "matrix_entropy",
    "matrix_nuclear_norm",
    "rankme",
]


def matrix_nuclear_norm(
    hidden: Array,
    *,
    mask: Array | None = None,
    top: int | None = None,
    method: Literal["l12", "exact"] = "l12",
) -> Array:
    r"""Matrix nuclear-norm: the nuclear norm of the normalized hidden states, or its column-norm surrogate.

    .. math::
        \mathrm{MNN}=\frac1N\sum_{j\le D}\|Z_{:,(j)}\|_2,\quad D=\min(N,d)\qquad\text{or, exact,}\qquad
        \frac1N\|Z\|_*

    The surrogate adds the D largest column norms and costs two passes over the matrix, a few tokens at a time. It lies in
    :math:`(0,\sqrt{D/N}]`, does not change when tokens or features are permuted, all tokens are shifted or scaled,
    and does change when the feature axes are rotated; the exact norm does not. Neither can be compared across
    widths: divide by :func:`isotropic_null`.

    Parameters
    ----------
    hidden : array, shape (..., N, d)
        Hidden states, one row a token; at least two tokens. NumPy or torch; half precision is computed in float32.
    mask : array of bool, shape (..., N), optional
        True where there is a token, False where there is padding.
    top : int, optional
        How many column norms to add, 1 ... min(N, d), instead of D. Only for ``"l12"``.
    method : {"l12", "exact"}
        The surrogate of the paper, or the nuclear norm itself.

    Returns
    -------
    array, shape (...)
        Dimensionless, in (0, 1].

    Raises
    ------
    ValueError
        For fewer than two tokens, values that are not finite, a token that equals the mean of all tokens (its row
        cannot be normalized), or ``top`` out of range.

    References
    ----------
    Y. Li, T. Xia, Y. Chang, Y. Wu, 2025, Findings of EMNLP, equation of the L(1,2) approximation.

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.metrics import matrix_nuclear_norm
    >>> axes = np.concatenate([np.eye(3), -np.eye(3)])
    >>> round(float(matrix_nuclear_norm(axes)), 6) == round((3 / 6) ** 0.5, 6)
    True
    """
    check_choice(method, "method", ("l12", "exact"))
    if top is not None and method == "exact":
        raise ValueError("top applies to method='l12' only")
    rows = checked_rows(hidden, mask)
    if top is not None:
        top = check_integer(
            top, "top", low=1, high=int(min(scalar(rows.xp.min(rows.count)), rows.x.shape[-1]))
        )
    if method == "l12":
        return largest_norm_sum(unit_column_squares(rows), rows, top)
    return nuclear_norm_of(unit_spectrum(unit_rows(centered(rows), rows), rows), rows)


def matrix_entropy(
    hidden: Array | Gram,
    *,
    mask: Array | None = None,
    order: float = 1.0,
    normalize: Literal["rows"] | None = "rows",
    center: bool = True,
    base: float = math.e,
    relative: bool = False,
) -> Array:
    r"""Entropy of the spectrum of hidden states, :math:`-\sum_k\lambda_k\ln\lambda_k` of :math:`A=Z^\top Z/N`.

    It does not change under rotations of the feature axes, permutations of tokens, shifts and scalings, and lies
    between 0 (all tokens on one line) and :math:`\ln\min(N-1,d)`. Computed from the smaller Gram matrix.

    Parameters
    ----------
    hidden : array, shape (..., N, d), or Gram
        Hidden states; or rows that were streamed into a :class:`matropy.linalg.Gram`, which must have been centered
        and normalized as asked for here. (Rows normalized *after* centering, the default, cannot be streamed.)
    mask : array of bool, shape (..., N), optional
        True where there is a token.
    order : float
        Order of the Rényi entropy of the spectrum; 1 is von Neumann's, 2 needs no eigenvalues.
    normalize : {"rows", None}
        Divide every centered row by its norm; with None only the trace is normalized.
    center : bool
        Subtract the mean token first.
    base : float
        Base of the logarithm; 2 gives bits.
    relative : bool
        Divide by :math:`\ln d`, as the paper reports it; dimensionless then.

    Returns
    -------
    array, shape (...)
        Nats, unless ``base`` or ``relative`` say otherwise.

    Raises
    ------
    ValueError
        As :func:`matrix_nuclear_norm`; for a Gram of other treatment; for ``relative`` with a single feature.

    References
    ----------
    L. Wei, Z. Tan, C. Li, J. Wang, W. Huang, 2024, Diff-eRank, definition 1; L. G. Sanchez Giraldo, M. Rao,
    J. C. Principe, 2015, equation 8 (order).

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.metrics import matrix_entropy
    >>> axes = np.concatenate([np.eye(4), -np.eye(4)])
    >>> round(float(matrix_entropy(axes, base=2)), 6)
    2.0
    """
    check_choice(normalize, "normalize", ("rows", None))
    if isinstance(hidden, Gram):
        spectrum, width = (
            streamed_spectrum(hidden, mask, center=center, normalize=normalize),
            hidden.n_features,
        )
    else:
        rows = checked_rows(hidden, mask)
        width = rows.x.shape[-1]
        x = centered(rows) if center else rows.x
        spectrum = unit_spectrum(unit_rows(x, rows) if normalize else nonzero(x, rows), rows)
    if relative and width == 1:
        raise ValueError("relative entropy is not defined for a single feature (ln 1 = 0)")
    return renyi_entropy(spectrum, order, base=width if relative else base)


def effective_rank(
    hidden: Array | Gram,
    *,
    mask: Array | None = None,
    order: float = 1.0,
    normalize: Literal["rows"] | None = "rows",
    center: bool = True,
) -> Array:
    r"""Effective rank :math:`e^H` with the :func:`matrix_entropy` H: how many directions the tokens fill.

    Parameters
    ----------
    hidden, mask, order, normalize, center
        As for :func:`matrix_entropy`.

    Returns
    -------
    array, shape (...)
        Between 1 and min(N, d).

    Raises
    ------
    ValueError
        As :func:`matrix_entropy`.

    References
    ----------
    O. Roy, M. Vetterli, 2007, definition 1 (of the spectrum of A instead of the singular values).

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.metrics import effective_rank
    >>> axes = np.concatenate([np.eye(4), -np.eye(4)])
    >>> round(float(effective_rank(axes)), 6)
    4.0
    """
    entropy = matrix_entropy(hidden, mask=mask, order=order, normalize=normalize, center=center)
    _, xp = check_array(entropy, "entropy", min_ndim=0)
    return xp.exp(entropy)


def rankme(hidden: Array | Gram, *, mask: Array | None = None) -> Array:
    r"""RankMe: :math:`\exp(-\sum_k p_k\ln p_k)`, :math:`p_k=\sigma_k/\sum_j\sigma_j+10^{-7}`, of the raw matrix R.

    Parameters
    ----------
    hidden : array, shape (..., N, d), or Gram
        Hidden states, or a Gram that neither centered nor normalized.
    mask : array of bool, shape (..., N), optional
        True where there is a token.

    Returns
    -------
    array, shape (...)
        Between 1 and min(N, d). Singular values below 1e-8 of the largest are lost in rounding.

    Raises
    ------
    ValueError
        As :func:`matrix_nuclear_norm`, or if all states are zero.

    References
    ----------
    Q. Garrido, R. Balestriero, L. Najman, Y. LeCun, 2023, equation 1.

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.metrics import rankme
    >>> round(float(rankme(np.eye(5))), 4)
    5.0
    """
    if isinstance(hidden, Gram):
        eigenvalues = streamed_spectrum(hidden, mask, center=False, normalize=None)
        _, xp = check_array(eigenvalues, "eigenvalues")
        return rankme_of(eigenvalues, xp.ones_like(eigenvalues) > 0, xp)
    rows = checked_rows(hidden, mask)
    within = positions(rows) < largest_rank(rows)
    return rows.xp.astype(rankme_of(raw_spectrum(nonzero(rows.x, rows), rows), within, rows.xp), rows.x.dtype)


def anisotropy(hidden: Array, *, mask: Array | None = None) -> Array:
    r"""Mean cosine between different tokens, :math:`(\|\sum_i\hat r_i\|^2-N)/(N(N-1))`, of the raw rows.

    Parameters
    ----------
    hidden : array, shape (..., N, d)
        Hidden states.
    mask : array of bool, shape (..., N), optional
        True where there is a token.

    Returns
    -------
    array, shape (...)
        In [-1/(N-1), 1]: 0 for isotropic states, 1 when all tokens point the same way.

    Raises
    ------
    ValueError
        As :func:`matrix_nuclear_norm`, or for a token whose state is zero.

    References
    ----------
    K. Ethayarajh, 2019, section 3.3.

    Examples
    --------
    >>> from matropy.metrics import anisotropy
    >>> round(float(anisotropy([[1.0, 0.0], [0.0, 2.0]])), 6)
    0.0
    """
    rows = checked_rows(hidden, mask)
    cosine, zero = mean_cosine(rows)
    if bool(rows.xp.any(zero)):
        raise ValueError("hidden holds a token whose state is zero: it has no direction")
    return cosine


def alpha_req(hidden: Array | Gram, *, mask: Array | None = None, k_min: int = 3, k_max: int = 100) -> Array:
    r"""Decay :math:`\alpha` of the spectrum of the centered covariance, :math:`\lambda_k\propto k^{-\alpha}`.

    Minus the slope of :math:`\ln\lambda_k` on :math:`\ln k`, by least squares with weights :math:`1/k`, over
    :math:`k` = ``k_min`` ... min(``k_max``, :math:`\lfloor m/2\rfloor`), :math:`m=\min(N-1,d)`.

    Parameters
    ----------
    hidden : array, shape (..., N, d), or Gram
        Hidden states, or a Gram that centered and did not normalize.
    mask : array of bool, shape (..., N), optional
        True where there is a token.
    k_min, k_max : int
        First and last rank of the fit, counted from 1.

    Returns
    -------
    array, shape (...)
        Dimensionless; larger is a steeper spectrum, 1 the critical value of smooth codes.

    Raises
    ------
    ValueError
        As :func:`matrix_nuclear_norm`; if fewer than two non-zero eigenvalues lie in the range.

    References
    ----------
    K. K. Agrawal, A. K. Mondal, A. Ghosh, B. A. Richards, 2022, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.metrics import alpha_req
    >>> scales = np.arange(1, 41) ** -0.75
    >>> rows = np.concatenate([np.diag(scales), -np.diag(scales)])
    >>> round(float(alpha_req(rows)), 6)
    1.5
    """
    k_min = check_integer(k_min, "k_min", low=1)
    k_max = check_integer(k_max, "k_max", low=k_min + 1)
    if isinstance(hidden, Gram):
        eigenvalues = streamed_spectrum(hidden, mask, center=True, normalize=None)
        x, xp = check_array(eigenvalues, "eigenvalues")
        degrees: Array = xp.asarray(min(hidden.count - 1, hidden.n_features))
    else:
        rows = checked_rows(hidden, mask)
        x, xp = rows.x, rows.xp
        eigenvalues = raw_spectrum(nonzero(centered(rows), rows), rows)
        degrees = degrees_of_freedom(rows)
    alpha = xp.astype(spectral_decay(eigenvalues, degrees, k_min, k_max, xp), x.dtype)
    if not bool(xp.all(xp.isfinite(alpha))):
        raise ValueError(
            f"alpha_req needs two non-zero eigenvalues from rank {k_min} on; there are too few tokens"
        )
    return alpha
