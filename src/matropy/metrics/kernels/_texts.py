"""The kernel between texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matropy._core._validation import check_integer

__all__ = ["ngram", "ngram_features"]

_TOKEN = re.compile(r"\w+|[^\w\s]")


def ngram(
    x: Sequence[str], y: Sequence[str] | None = None, *, n: int | Sequence[int] = (1, 2, 3, 4)
) -> NDArray[np.float64]:
    r"""Mean cosine of the n-gram counts of texts.

    .. math::
        K_{ij}=\frac{\sum_n\cos(c_n(x_i),c_n(y_j))}{\sqrt{m(x_i)\,m(y_j)}}

    with the counts :math:`c_n` of runs of ``n`` tokens (words, and single punctuation marks, as they are written) and
    the number :math:`m` of lengths that a text is long enough for. A text of fewer than ``n`` tokens has cosine 0
    there.

    Parameters
    ----------
    x : sequence of str, n of them
    y : sequence of str, m of them, optional
        ``x`` itself by default.
    n : int or sequence of int
        Lengths, each at least 1.

    Returns
    -------
    array, shape (n, m)

    Raises
    ------
    ValueError
        For no texts, no lengths, or a text of too few tokens for any of them.
    TypeError
        For something other than texts.

    Examples
    --------
    >>> from matropy.metrics import kernels
    >>> kernels.ngram(["See Spot run.", "Spot, run."], n=1).round(4).tolist()
    [[1.0, 0.75], [0.75, 1.0]]
    """
    if y is None:
        features = ngram_features(x, n=n)
        return _dense(features @ features.T)
    x, y = checked_texts(x, "x"), checked_texts(y, "y")
    features = ngram_features([*x, *y], n=n)
    return _dense(features[: len(x)] @ features[len(x) :].T)


def ngram_features(texts: Sequence[str], *, n: int | Sequence[int] = (1, 2, 3, 4)) -> Any:
    """Unit rows whose products are the kernel: a sparse array, one column an n-gram."""
    from scipy.sparse import csr_array

    texts = checked_texts(texts, "x")
    lengths = _checked_lengths(n)
    columns: dict[tuple[str, ...], int] = {}
    indices: list[int] = []
    data: list[NDArray[np.float64]] = []
    ends = [0]
    for number, text in enumerate(texts):
        tokens = _TOKEN.findall(text)
        counts = [Counter(zip(*(tokens[k:] for k in range(length)), strict=False)) for length in lengths]
        long_enough = [count for count in counts if count]
        if not long_enough:
            raise ValueError(
                f"x holds a text of {len(tokens)} tokens (number {number}), where n-grams need {min(lengths)}"
            )
        for count in long_enough:
            indices.extend(columns.setdefault(gram, len(columns)) for gram in count)
            values = np.fromiter(count.values(), float, len(count))
            data.append(values / (np.linalg.norm(values) * len(long_enough) ** 0.5))
        ends.append(len(indices))
    return csr_array((np.concatenate(data), indices, ends), shape=(len(texts), len(columns)))


def checked_texts(texts: Sequence[str], name: str) -> list[str]:
    """Give a list of at least one text."""
    if isinstance(texts, str) or not hasattr(texts, "__iter__"):
        raise TypeError(f"{name} must be a list of texts for kernel 'ngram', got {type(texts).__name__}")
    texts = list(texts)
    if not texts:
        raise ValueError(f"{name} is empty: no texts")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{name} must hold texts, got {type(text).__name__} (number {number})")
    return texts


def _checked_lengths(n: int | Sequence[int]) -> list[int]:
    if not hasattr(n, "__index__") and not hasattr(n, "__iter__"):
        raise TypeError(f"n must be an integer or several, got {n!r}")
    lengths = list(n) if isinstance(n, Iterable) else [n]
    if not lengths:
        raise ValueError("n is empty: no lengths of n-grams")
    if len(set(lengths)) != len(lengths):
        raise ValueError(f"n must hold different lengths, got {lengths}")
    return [check_integer(length, "n", low=1) for length in lengths]


def _dense(product: Any) -> NDArray[np.float64]:
    kernel: NDArray[np.float64] = product.toarray()
    return kernel
