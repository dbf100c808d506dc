"""The Vendi score of items at hand, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from matropy._core._validation import Array, check_choice
from matropy.linalg import Gram
from matropy.metrics._vendi._items import FeatureItems, Items, Kernel, checked_weights, make_items
from matropy.metrics._vendi._spectrum import (
    PSD,
    Method,
    answer,
    checked_orders,
    gram_spectrum,
    power_sums,
    scores_of,
    spectrum,
)

__all__ = ["internal_diversity", "score_items", "vendi_score"]


def vendi_score(
    x: Any,
    *,
    kernel: Kernel = "cosine",
    order: float | Sequence[float] = 1.0,
    weights: Array | None = None,
    method: Method = "auto",
    sigma: float | Literal["median"] = "median",
    normalize: bool = False,
    psd: PSD = "raise",
    rng: int | np.random.Generator | None = None,
) -> Any:
    r"""Vendi score: how many entirely different items a set is worth.

    .. math::
        \mathrm{VS}_q=\Big(\sum_i\lambda_i^q\Big)^{1/(1-q)},\qquad
        \mathrm{VS}_1=\exp\Big(-\sum_i\lambda_i\ln\lambda_i\Big)

    with the eigenvalues :math:`\lambda_i` of :math:`K/n`, or of
    :math:`\mathrm{diag}(\sqrt p)K\,\mathrm{diag}(\sqrt p)` with weights. Between 1 (all alike) and n (all unlike). It
    does not fall short for duplicates: repeated items equal the distinct ones weighted by their frequencies. It does
    not rise with the order; order 0 is the rank, infinity :math:`1/\lambda_{\max}`.

    Exact by the cheapest route: from the ``d x d`` second moments of the features, streamed, where there are fewer
    columns than items; without any eigenvalues at orders 2 and 3; otherwise from all eigenvalues of the kernel matrix.

    Parameters
    ----------
    x : array, sequence or Gram
        ``(n, d)`` rows (NumPy, memory map, dask or torch), 0 and 1 for ``"tanimoto"``; a list of texts for ``"ngram"``;
        the ``(n, n)`` matrix for ``"precomputed"``; any sequence for a function; or unit rows that were streamed into a
        :class:`matropy.linalg.Gram`, for ``"cosine"`` and ``"linear"``.
    kernel : {"cosine", "linear", "rbf", "tanimoto", "ngram", "precomputed"} or callable
        See :mod:`matropy.metrics.kernels`; ``"linear"`` needs unit rows; a function is called with two items and
        returns one number.
    order : float or sequence of float
        :math:`q\ge0`, infinity allowed. Many orders share one spectrum.
    weights : array, shape (n,), optional
        Probabilities p of the items; equal by default.
    method : {"auto", "eigh", "dual"}
        ``"eigh"`` is the eigenvalues of the kernel matrix, ``"dual"`` those of the second moments of the features.
    sigma : float or "median"
        Bandwidth of ``"rbf"``, see :func:`matropy.metrics.kernels.rbf`.
    normalize : bool
        Divide a matrix, function or linear kernel by :math:`\sqrt{K_{ii}K_{jj}}`, instead of asking for ones on the
        diagonal.
    psd : {"raise", "clip"}
        What to do with a matrix or function that is not positive semidefinite: refuse it, or set its negative
        eigenvalues to zero and the sum of the others to one.
    rng : int or Generator, optional
        Draws the rows for the median distance; None always draws the same.

    Returns
    -------
    float, array of float64 or Tensor
        A float for one order, an array ``(orders,)`` for several. Torch input gives tensors on its device and in its
        precision, differentiable; the arithmetic is in float64.

    Raises
    ------
    ValueError
        For no items, NaN or infinity, a zero row for ``"cosine"``, fingerprints other than 0 and 1; a matrix that is
        not square, symmetric or positive semidefinite to 1e-8 (1e-5 in float32), or without ones on its diagonal;
        weights that are negative or do not sum to one; a negative order; a function that does not return one number or
        is not symmetric; a Gram of rows that were centered or are no unit rows.
    TypeError
        For input of another kind than the kernel takes.

    References
    ----------
    D. Friedman, A. B. Dieng, 2023, definition 3.1; A. Pasarkar, A. B. Dieng, 2024, equation 3 (order).

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.metrics import vendi_score
    >>> kernel = np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])
    >>> round(vendi_score(kernel, kernel="precomputed"), 4)
    2.1573
    >>> vendi_score(kernel, kernel="precomputed", order=[0, 2, np.inf]).round(4).tolist()
    [3.0, 1.9481, 1.5789]
    """
    orders, single = checked_orders(order)
    check_choice(method, "method", ("auto", "eigh", "dual"))
    check_choice(psd, "psd", ("raise", "clip"))
    if isinstance(x, Gram):
        _check_gram_options(kernel, weights, method)
        eigenvalues = gram_spectrum(x)
        return answer(scores_of(eigenvalues, orders), single, eigenvalues[:0])
    items = make_items(x, kernel, sigma=sigma, normalize=normalize, rng=rng)
    p = checked_weights(weights, items.n, items.like)
    return answer(score_items(items, p, orders, method=method, psd=psd), single, items.like)


def internal_diversity(
    x: Any,
    *,
    kernel: Kernel = "cosine",
    weights: Array | None = None,
    sigma: float | Literal["median"] = "median",
    normalize: bool = False,
    rng: int | np.random.Generator | None = None,
) -> Any:
    r"""Internal diversity: one minus the mean similarity, :math:`1-\sum_{ij}p_ip_jK_{ij}`.

    The usual measure beside the Vendi score. It sees no more than the mean of the kernel: many near-copies of a few
    dissimilar items score high.

    Parameters
    ----------
    x, kernel, weights, sigma, normalize, rng
        As for :func:`vendi_score`.

    Returns
    -------
    float or Tensor
        In [0, 1] for kernels without negative entries.

    Raises
    ------
    ValueError, TypeError
        As :func:`vendi_score`; that a kernel is positive semidefinite is not checked.

    References
    ----------
    M. Benhenda, 2017; D. Polykovskiy et al., 2020 (MOSES).

    Examples
    --------
    >>> from matropy.metrics import internal_diversity
    >>> internal_diversity([[1.0, 0.0], [0.0, 1.0]])
    0.5
    """
    if isinstance(x, Gram):
        _check_gram_options(kernel, weights, "auto")
        gram_spectrum(x)
        return answer([1 - (x.mean * x.mean).sum()], True, x.mean[:0])
    items = make_items(x, kernel, sigma=sigma, normalize=normalize, rng=rng)
    return answer(
        [1 - _mean_similarity(items, checked_weights(weights, items.n, items.like))], True, items.like
    )


def score_items(
    items: Items, p: Array | None, orders: Sequence[float], *, method: Method, psd: PSD
) -> list[Array]:
    """Scores of checked items."""
    featured = isinstance(items, FeatureItems) and items.width < items.n
    if method == "auto" and not featured:
        known = power_sums(items, p, orders, psd)
        if known is not None:
            return [known[q] for q in orders]
    return scores_of(spectrum(items, p, method=method, psd=psd), orders)


def _mean_similarity(items: Items, p: Array | None) -> Array:
    if isinstance(items, FeatureItems) and items.width < items.n:
        # Through the mean of the features, in one pass.
        mean = _mean_unit_row(items, p)
        return (mean * mean).sum()
    step = max(1, 2**22 // items.n)
    total = []
    for start in range(0, items.n, step):
        block = items.block(slice(start, start + step))
        if p is None:
            total.append(block.sum() / items.n**2)
        else:
            total.append(p[start : start + step] @ block @ p)
    return sum(total)


def _mean_unit_row(items: FeatureItems, p: Array | None) -> Array:
    total: Any = 0
    start = 0
    for unit in items.unit_blocks():
        stop = start + unit.shape[0]
        total = total + (unit.sum(axis=0) / items.n if p is None else p[start:stop] @ unit)
        start = stop
    return total


def _check_gram_options(kernel: Kernel, weights: Array | None, method: Method) -> None:
    if callable(kernel) or kernel not in ("cosine", "linear"):
        raise ValueError(
            f"a Gram holds products of rows: kernel must be 'cosine' or 'linear', got {kernel!r}"
        )
    if weights is not None:
        raise ValueError("weights apply to items, not to a Gram")
    if method == "eigh":
        raise ValueError("method='eigh' needs the items, not a Gram")
