"""Entropies of probability vectors and of logits."""

from __future__ import annotations

import math
from numbers import Real

from matropy._core._validation import Array, check_array, check_base, check_finite, scalar

__all__ = ["hill_number", "renyi_entropy", "shannon_entropy", "softmax_entropy"]


def shannon_entropy(p: Array, *, base: float = math.e) -> Array:
    r"""Shannon entropy :math:`-\sum_i p_i \ln p_i` along the last axis.

    Parameters
    ----------
    p : array, shape (..., n)
        Probabilities, not negative, summing to one along the last axis. Zeros add nothing
        (:math:`0\ln 0=0`) and receive no gradient.
    base : float
        Base of the logarithm; ``2`` gives bits.

    Returns
    -------
    array, shape (...)
        Nats, unless ``base`` says otherwise.

    Raises
    ------
    ValueError
        For NaN, negative entries, sums other than one, empty input, or a base that is no base.

    References
    ----------
    C. E. Shannon, 1948, section 6.

    Examples
    --------
    >>> from matropy.entropy import shannon_entropy
    >>> round(float(shannon_entropy([0.5, 0.25, 0.25], base=2)), 6)
    1.5
    """
    p, xp = _check_probabilities(p)
    return -xp.sum(p * _log_of_support(p, xp), axis=-1) / check_base(base)


def renyi_entropy(p: Array, order: float, *, base: float = math.e) -> Array:
    r"""Rényi entropy :math:`\frac{1}{1-q}\ln\sum_i p_i^q` of order :math:`q` along the last axis.

    Order 0 counts the support (Hartley), 1 is Shannon's entropy, 2 the collision entropy and infinity the
    min-entropy; it is continuous through 1.

    Parameters
    ----------
    p : array, shape (..., n)
        Probabilities, as for :func:`shannon_entropy`.
    order : float
        :math:`q\ge 0`, infinity allowed.
    base : float
        Base of the logarithm.

    Returns
    -------
    array, shape (...)
        Nats, unless ``base`` says otherwise.

    Raises
    ------
    ValueError
        For a negative or NaN order, or input that :func:`shannon_entropy` refuses.

    References
    ----------
    A. Rényi, 1961, equation 1.21.

    Examples
    --------
    >>> from matropy.entropy import renyi_entropy
    >>> round(float(renyi_entropy([0.5, 0.5, 0.0], 0, base=2)), 6)
    1.0
    """
    p, xp = _check_probabilities(p)
    if not (isinstance(order, Real) and order >= 0):
        raise ValueError(f"order must be a number >= 0 (infinity allowed), got {order!r}")
    if order == 1:
        return shannon_entropy(p, base=base)
    if order == math.inf:
        return -xp.log(xp.max(p, axis=-1)) / check_base(base)
    if order == 0:
        support = xp.sum(xp.astype(p > 0, p.dtype), axis=-1)
        return xp.log(support) / check_base(base)
    order, top = float(order), xp.max(p, axis=-1, keepdims=True)
    log_ratio = _log_of_support(p / top, xp)
    if order < 0.5:
        powers = xp.where(p > 0, xp.exp(order * log_ratio), xp.zeros_like(p))
        log_sum = xp.log(xp.sum(powers, axis=-1)) + order * xp.log(top[..., 0])
        return log_sum / ((1 - order) * check_base(base))
    # ln sum p^q = (q-1) ln m + ln(1 + sum p ((p/m)^(q-1) - 1)) with the largest entry m: the sum keeps its digits
    # near q = 1, and does not come near -1 however large q is. (For small q its terms could overflow.)
    excess = xp.sum(p * xp.expm1((order - 1) * log_ratio), axis=-1)
    return (xp.log1p(excess) / (1 - order) - xp.log(top[..., 0])) / check_base(base)


def hill_number(p: Array, order: float) -> Array:
    r"""Hill number :math:`(\sum_i p_i^q)^{1/(1-q)}`: the effective number of classes.

    The exponential of :func:`renyi_entropy`; between 1 and the number of classes.

    Parameters
    ----------
    p : array, shape (..., n)
        Probabilities, as for :func:`shannon_entropy`.
    order : float
        :math:`q\ge 0`, infinity allowed.

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        As :func:`renyi_entropy`.

    References
    ----------
    M. O. Hill, 1973, equation 5.

    Examples
    --------
    >>> from matropy.entropy import hill_number
    >>> round(float(hill_number([0.25] * 4, 2)), 6)
    4.0
    """
    entropy = renyi_entropy(p, order)
    _, xp = check_array(entropy, "entropy", min_ndim=0)
    return xp.exp(entropy)


def softmax_entropy(logits: Array, *, base: float = math.e) -> Array:
    r"""Entropy of :math:`\mathrm{softmax}(z)`, :math:`\ln\sum_i e^{z_i}-\sum_i p_i z_i`, along the last axis.

    Shifted by the largest logit first, so it neither overflows nor loses digits; ``-inf`` excludes a class.

    Parameters
    ----------
    logits : array, shape (..., n)
        Unnormalized log-probabilities.
    base : float
        Base of the logarithm.

    Returns
    -------
    array, shape (...)
        Nats, unless ``base`` says otherwise.

    Raises
    ------
    ValueError
        For NaN, ``+inf``, or a row in which every class is excluded.

    Examples
    --------
    >>> from matropy.entropy import softmax_entropy
    >>> round(float(softmax_entropy([7.0, 7.0], base=2)), 6)
    1.0
    """
    logits, xp = check_array(logits, "logits")
    top = xp.max(logits, axis=-1, keepdims=True)
    check_finite(top, "the largest of the logits")
    shifted = logits - top
    weights = xp.exp(shifted)
    total = xp.sum(weights, axis=-1)
    # Excluded classes weigh nothing; their -inf must not meet that zero.
    finite = xp.where(weights > 0, shifted, xp.zeros_like(shifted))
    return (xp.log(total) - xp.sum(weights * finite, axis=-1) / total) / check_base(base)


def _check_probabilities(p: Array) -> tuple[Array, Array]:
    p, xp = check_array(p, "p")
    check_finite(p, "p")
    if scalar(xp.min(p)) < 0:
        raise ValueError(f"p must not be negative, smallest entry {scalar(xp.min(p)):.6g}")
    total = xp.sum(p, axis=-1)
    worst = scalar(xp.max(xp.abs(total - 1)))
    if worst > 16 * p.shape[-1] ** 0.5 * float(xp.finfo(p.dtype).eps) + 1e-6:
        raise ValueError(f"p must sum to one along the last axis, off by up to {worst:.3g}")
    return p, xp


def _log_of_support(p: Array, xp: Array) -> Array:
    return xp.log(xp.where(p > 0, p, xp.ones_like(p)))
