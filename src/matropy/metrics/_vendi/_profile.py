"""One set over many orders, and over many sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matropy._core._errors import require
from matropy._core._validation import Array, check_choice, check_integer
from matropy.linalg import Gram
from matropy.linalg._symmetric_operator import to_numpy
from matropy.metrics._vendi._items import Kernel, make_items
from matropy.metrics._vendi._score import score_items, vendi_score
from matropy.metrics._vendi._spectrum import PSD, Method, checked_orders

__all__ = ["Rarefaction", "VendiProfile", "rarefaction", "vendi_profile"]


@dataclass(frozen=True)
class VendiProfile:
    """The Vendi score over its order; small orders see rare items, large ones only the common.

    Attributes
    ----------
    orders : array, shape (k,)
    scores : array, shape (k,)
        Effective numbers of items.
    """

    orders: NDArray[np.float64]
    scores: NDArray[np.float64]

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """Draw the profile on Matplotlib axes; further arguments are those of ``Axes.plot``.

        Returns
        -------
        matplotlib.axes.Axes
        """
        pyplot = require("matplotlib.pyplot", purpose="plotting", extra="plot")
        ax = pyplot.gca() if ax is None else ax
        ax.plot(self.orders, self.scores, **kwargs)
        ax.set(xlabel="order q", ylabel="Vendi score", yscale="log")
        return ax


@dataclass(frozen=True)
class Rarefaction:
    """The Vendi score of random subsets; sets of unequal size are compared at equal ones.

    Attributes
    ----------
    sizes : array of int, shape (k,)
        Items in a subset.
    mean : array, shape (k,)
        Mean score over the repeats.
    standard_deviation : array, shape (k,)
        Of the score of one subset, over the repeats.
    """

    sizes: NDArray[np.intp]
    mean: NDArray[np.float64]
    standard_deviation: NDArray[np.float64]

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """Draw the mean with a band of one standard deviation; further arguments are those of ``Axes.plot``.

        Returns
        -------
        matplotlib.axes.Axes
        """
        pyplot = require("matplotlib.pyplot", purpose="plotting", extra="plot")
        ax = pyplot.gca() if ax is None else ax
        (line,) = ax.plot(self.sizes, self.mean, **kwargs)
        low, high = self.mean - self.standard_deviation, self.mean + self.standard_deviation
        ax.fill_between(self.sizes, low, high, color=line.get_color(), alpha=0.2, lw=0)
        ax.set(xlabel="items", ylabel="Vendi score")
        return ax


_ORDERS = tuple(np.linspace(0, 5, 26).tolist())


def vendi_profile(
    x: Any,
    orders: ArrayLike = _ORDERS,
    *,
    kernel: Kernel = "cosine",
    weights: Array | None = None,
    method: Method = "auto",
    sigma: float | Literal["median"] = "median",
    normalize: bool = False,
    psd: PSD = "raise",
    rng: int | np.random.Generator | None = None,
) -> VendiProfile:
    """Vendi scores of many orders from one spectrum.

    Parameters
    ----------
    x, kernel, weights, method, sigma, normalize, psd, rng
        As for :func:`vendi_score`.
    orders : sequence of float
        Each at least 0, infinity allowed; 26 from 0 to 5 by default.

    Returns
    -------
    VendiProfile

    Raises
    ------
    ValueError, TypeError
        As :func:`vendi_score`.

    References
    ----------
    A. Pasarkar, A. B. Dieng, 2024, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.metrics import vendi_profile
    >>> rows = np.repeat(np.eye(3), [8, 1, 1], axis=0)
    >>> vendi_profile(rows, [0, 1, np.inf]).scores.round(4).tolist()
    [3.0, 1.8946, 1.25]
    """
    values, _ = checked_orders(np.atleast_1d(np.asarray(orders, dtype=float)).tolist())
    scores = vendi_score(
        x,
        kernel=kernel,
        order=values,
        weights=weights,
        method=method,
        sigma=sigma,
        normalize=normalize,
        psd=psd,
        rng=rng,
    )
    return VendiProfile(np.asarray(values), np.asarray(to_numpy(scores), dtype=np.float64))


def rarefaction(
    x: Any,
    sizes: int | Sequence[int],
    *,
    repeats: int = 10,
    kernel: Kernel = "cosine",
    order: float = 1.0,
    method: Method = "auto",
    sigma: float | Literal["median"] = "median",
    normalize: bool = False,
    psd: PSD = "raise",
    rng: int | np.random.Generator | None = None,
) -> Rarefaction:
    """Vendi score of random subsets, drawn without replacement, over their size.

    The score grows with the number of items, so sets of unequal size are compared at equal ones.

    Parameters
    ----------
    x, kernel, sigma, normalize, psd, method
        As for :func:`vendi_score`, without a Gram. The bandwidth of ``"rbf"`` is that of all items.
    sizes : int or sequence of int
        Each between 1 and the number of items.
    repeats : int
        Subsets of each size, at least 2.
    order : float
        One order.
    rng : int or Generator, optional
        Draws the subsets.

    Returns
    -------
    Rarefaction

    Raises
    ------
    ValueError, TypeError
        As :func:`vendi_score`; for a size or number of repeats out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.metrics import rarefaction
    >>> rarefaction(np.eye(6), [2, 6], rng=0).mean.round(6).tolist()
    [2.0, 6.0]
    """
    if isinstance(x, Gram):
        raise TypeError("rarefaction draws items, which a Gram does not keep")
    repeats = check_integer(repeats, "repeats", low=2)
    (q, *others), single = checked_orders(order)
    if not single or others:
        raise ValueError(f"order must be one number, got {order!r}")
    check_choice(method, "method", ("auto", "eigh", "dual"))
    check_choice(psd, "psd", ("raise", "clip"))
    generator = np.random.default_rng(rng)
    # Without a seed the bandwidth is that of vendi_score.
    of_median = None if rng is None else generator
    items = make_items(x, kernel, sigma=sigma, normalize=normalize, rng=of_median)
    counts = [check_integer(size, "sizes", low=1, high=items.n) for size in _listed(sizes)]
    if not counts:
        raise ValueError("sizes is empty")
    scores = np.array(
        [
            [
                float(
                    score_items(
                        items.take(np.sort(generator.permutation(items.n)[:size])),
                        None,
                        [q],
                        method=method,
                        psd=psd,
                    )[0]
                )
                for _ in range(repeats)
            ]
            for size in counts
        ]
    )
    return Rarefaction(np.asarray(counts), scores.mean(axis=1), scores.std(axis=1, ddof=1))


def _listed(sizes: int | Sequence[int]) -> list[Any]:
    return list(np.atleast_1d(np.asarray(sizes, dtype=object)))
