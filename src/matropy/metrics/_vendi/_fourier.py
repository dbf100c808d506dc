"""The Vendi score of a Gaussian kernel through random Fourier features, in one pass over the rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from array_api_compat import array_namespace

from matropy._core._validation import Array, scalar
from matropy.entropy import hill_number
from matropy.linalg._norms import gram_eigenvalues, small_gram
from matropy.metrics._vendi._items import (
    array_like,
    checked_weights,
    row_blocks,
    second_moments,
    weighted_rows,
)
from matropy.metrics._vendi._spectrum import cleaned

__all__ = ["fourier_score"]


def fourier_score(
    rows: Array,
    sigma: float,
    order: float,
    weights: Array | None,
    n_features: int,
    extrapolate: bool,
    rng: np.random.Generator,
) -> float:
    r"""Score of the features :math:`\phi(x)=r^{-1/2}[\cos\Omega^\top x,\sin\Omega^\top x]`, :math:`\omega\sim N(0,\sigma^{-2})`.

    The bias of :math:`\ln\mathrm{VS}` falls as :math:`1/r`; the score of half of the frequencies, whose second moments
    are a block of those of all, shows it. Both halves are used, so the order of the frequencies does not matter.
    """
    like = array_like(rows)
    xp = array_namespace(like)
    p = checked_weights(weights, rows.shape[0], like)
    frequencies = xp.asarray(rng.standard_normal((rows.shape[1], n_features)) / sigma, device=like.device)

    def features() -> Iterator[Array]:
        for x in row_blocks(rows, width=2 * n_features):
            phase = x @ frequencies
            yield xp.concat([xp.cos(phase), xp.sin(phase)], axis=1) / math.sqrt(n_features)

    n = rows.shape[0]
    few = n <= 2 * n_features
    # Few rows are kept as they are: their products with each other are the smaller matrix.
    kept = xp.concat(list(weighted_rows(features(), p)), axis=0) / n**0.5 if few else None
    moments = None if few else second_moments(features(), p, 2 * n_features).covariance()

    def log_score(frequency: Sequence[int]) -> float:
        columns = [*frequency, *(k + n_features for k in frequency)]
        index = xp.asarray(np.asarray(columns), device=like.device)
        if moments is None:
            gram = small_gram(xp.take(kept, index, axis=1))
        else:
            gram = xp.take(xp.take(moments, index, axis=0), index, axis=1)
        eigenvalues = gram_eigenvalues(gram * (n_features / len(frequency)), xp)[:n]
        noise = max(n, len(columns)) * float(np.finfo(float).eps)
        return math.log(scalar(hill_number(cleaned(eigenvalues, noise), order)))

    score = log_score(range(n_features))
    if extrapolate:
        half = n_features // 2
        halves = [log_score(range(half)), log_score(range(half, n_features))]
        score = 2 * score - sum(halves) / 2
    return math.exp(score)
