"""All measures of a matrix of hidden states from shared intermediates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from array_api_compat import device
from numpy.typing import NDArray

from matropy._core._validation import Array
from matropy.metrics import _token_matrix as steps
from matropy.metrics._isotropic_null import isotropic_null

__all__ = ["REPRESENTATION_METRICS", "RepresentationStatistics", "representation_statistics"]

REPRESENTATION_METRICS = (
    "matrix_nuclear_norm",
    "matrix_nuclear_norm_calibrated",
    "matrix_nuclear_norm_exact",
    "matrix_entropy",
    "matrix_entropy_relative",
    "matrix_entropy_calibrated",
    "effective_rank",
    "renyi_entropy_2",
    "participation_ratio",
    "anisotropy",
    "rankme",
    "alpha_req",
)


@dataclass(frozen=True)
class RepresentationStatistics:
    """What was measured on a batch of matrices of hidden states.

    Attributes
    ----------
    values : dict of array, shape (...)
        Each wanted metric; NaN where it is not defined.
    spectrum : array, shape (..., min(N, d)), or None
        Eigenvalues of the normalized covariance, falling, of sum one; None when no metric needed it.
    finite : array of bool, shape (...)
        False where a state is NaN or infinite.
    degenerate : array of bool, shape (...)
        True where a row could not be normalized, or there are fewer than two tokens.
    """

    values: dict[str, Array]
    spectrum: Array | None
    finite: Array
    degenerate: Array


@np.errstate(divide="ignore", invalid="ignore")
def representation_statistics(
    hidden: Array, mask: Array | None = None, metrics: Collection[str] = REPRESENTATION_METRICS
) -> RepresentationStatistics:
    """Measure ``hidden (..., N, d)``; nothing is raised for its values and no device is waited for."""
    rows = steps.make_rows(hidden, mask)
    xp, width = rows.xp, rows.x.shape[-1]
    finite = xp.all(xp.all(xp.isfinite(rows.x), axis=-1), axis=-1)
    if not (str(device(rows.x)) == "cpu" and bool(xp.all(finite))):
        # Eigenvalue routines fail on NaN; a matrix that holds one becomes zero, and its flag says so.
        rows = replace(rows, x=xp.where(finite[..., None, None], rows.x, xp.zeros_like(rows.x)))
    z, degenerate = steps.normalized(steps.centered(rows), rows)
    values: dict[str, Array] = {}
    spectrum = None

    null_norm, null_entropy = (
        xp.asarray(table, dtype=rows.x.dtype, device=rows.x.device)[xp.astype(rows.count, xp.int64)]
        for table in _null_tables(hidden.shape[-2], width)
    )
    if {"matrix_nuclear_norm", "matrix_nuclear_norm_calibrated"} & set(metrics):
        values["matrix_nuclear_norm"] = steps.column_norm_sum(z, rows)
        values["matrix_nuclear_norm_calibrated"] = values["matrix_nuclear_norm"] / null_norm
    if set(metrics) & _OF_UNIT_SPECTRUM:
        spectrum = steps.unit_spectrum(z, rows)
        entropy = -xp.sum(
            spectrum * xp.log(xp.where(spectrum > 0, spectrum, xp.ones_like(spectrum))), axis=-1
        )
        participation = 1 / xp.sum(spectrum * spectrum, axis=-1)
        values["matrix_nuclear_norm_exact"] = steps.nuclear_norm_of(spectrum, rows)
        values["matrix_entropy"] = entropy
        values["matrix_entropy_relative"] = (
            entropy / np.log(width) if width > 1 else xp.full_like(entropy, np.nan)
        )
        values["matrix_entropy_calibrated"] = entropy / null_entropy
        values["effective_rank"] = xp.exp(entropy)
        values["renyi_entropy_2"] = xp.log(participation)
        values["participation_ratio"] = participation
    del z  # as large as the states
    if "anisotropy" in metrics:
        cosine, zero = steps.mean_cosine(rows)
        values["anisotropy"] = xp.where(zero, xp.full_like(cosine, np.nan), cosine)
    if {"rankme", "alpha_req"} & set(metrics):
        raw, about_mean = steps.raw_and_centered_spectra(rows)
        values["rankme"] = steps.rankme_of(raw, steps.positions(rows) < steps.largest_rank(rows), xp)
        values["alpha_req"] = steps.spectral_decay(about_mean, steps.degrees_of_freedom(rows), 3, 100, xp)
    return RepresentationStatistics(
        values={name: values[name] for name in metrics},
        spectrum=spectrum,
        finite=finite,
        degenerate=degenerate | (rows.count < 2),
    )


_OF_UNIT_SPECTRUM = {
    "matrix_nuclear_norm_exact",
    "matrix_entropy",
    "matrix_entropy_relative",
    "matrix_entropy_calibrated",
    "effective_rank",
    "renyi_entropy_2",
    "participation_ratio",
}


@lru_cache(maxsize=64)
def _null_tables(n_tokens: int, n_features: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The isotropic null of every length up to ``n_tokens``; NaN where nothing can be divided by it."""
    tables = np.full((2, n_tokens + 1), np.nan)
    if n_tokens >= 2:
        null = isotropic_null(np.arange(2, n_tokens + 1), n_features)
        tables[0, 2:] = null.matrix_nuclear_norm
        tables[1, 2:] = np.where(np.asarray(null.matrix_entropy) > 0, null.matrix_entropy, np.nan)
    return tables[0], tables[1]
