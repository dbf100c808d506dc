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

__all__ = [
    "REPRESENTATION_METRICS",
    "PreparedStates",
    "RepresentationStatistics",
    "prepared_states",
    "representation_statistics",
]

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
    mean : array, shape (..., d)
        The mean token.
    finite : array of bool, shape (...)
        False where a state is NaN or infinite.
    degenerate : array of bool, shape (...)
        True where a row could not be normalized, or there are fewer than two tokens.
    """

    values: dict[str, Array]
    spectrum: Array | None
    mean: Array
    finite: Array
    degenerate: Array


@dataclass(frozen=True)
class PreparedStates:
    """Hidden states of which all is known that needs no spectrum.

    Attributes
    ----------
    rows : Rows
        The states; zero where a matrix is not finite.
    z : array, shape (..., N, d)
        Them centered and normalized.
    metrics : collection of str
        What is wanted.
    values : dict of array, shape (...)
        What is known of it.
    finite, degenerate : array of bool, shape (...)
        As in :class:`RepresentationStatistics`.
    """

    rows: steps.Rows
    z: Array
    metrics: Collection[str]
    values: dict[str, Array]
    finite: Array
    degenerate: Array

    @property
    def wants_spectrum(self) -> bool:
        """Whether eigenvalues of the normalized states are needed."""
        return bool(set(self.metrics) & _OF_UNIT_SPECTRUM)

    @property
    def wants_raw_spectra(self) -> bool:
        """Whether eigenvalues of the states as they are, and about their mean, are needed."""
        return bool(set(self.metrics) & {"rankme", "alpha_req"})

    @np.errstate(divide="ignore", invalid="ignore")
    def measured(
        self, spectrum: Array | None, raw_spectra: tuple[Array, Array] | None
    ) -> RepresentationStatistics:
        """Add what the spectra say, each (..., min(N, d)): the normalized one of sum one, the raw and centered ones."""
        rows, xp, width = self.rows, self.rows.xp, self.rows.x.shape[-1]
        values = dict(self.values)
        if spectrum is not None:
            entropy = -xp.sum(
                spectrum * xp.log(xp.where(spectrum > 0, spectrum, xp.ones_like(spectrum))), axis=-1
            )
            participation = 1 / xp.sum(spectrum * spectrum, axis=-1)
            values["matrix_nuclear_norm_exact"] = steps.nuclear_norm_of(spectrum, rows)
            values["matrix_entropy"] = entropy
            values["matrix_entropy_relative"] = (
                entropy / np.log(width) if width > 1 else xp.full_like(entropy, np.nan)
            )
            values["matrix_entropy_calibrated"] = entropy / _null(rows, 1)
            values["effective_rank"] = xp.exp(entropy)
            values["renyi_entropy_2"] = xp.log(participation)
            values["participation_ratio"] = participation
        if raw_spectra is not None:
            raw, about_mean = raw_spectra
            values["rankme"] = steps.rankme_of(raw, steps.positions(rows) < steps.largest_rank(rows), xp)
            values["alpha_req"] = steps.spectral_decay(about_mean, steps.degrees_of_freedom(rows), 3, 100, xp)
        return RepresentationStatistics(
            values={name: values[name] for name in self.metrics},
            spectrum=spectrum,
            mean=rows.mean[..., 0, :],
            finite=self.finite,
            degenerate=self.degenerate,
        )


@np.errstate(divide="ignore", invalid="ignore")
def representation_statistics(
    hidden: Array, mask: Array | None = None, metrics: Collection[str] = REPRESENTATION_METRICS
) -> RepresentationStatistics:
    """Measure ``hidden (..., N, d)``; nothing is raised for its values and no device is waited for."""
    states = prepared_states(hidden, mask, metrics)
    spectrum = steps.unit_spectrum(states.z, states.rows) if states.wants_spectrum else None
    # As large as the states, and not needed any more.
    states = replace(states, z=None)
    raw = steps.raw_and_centered_spectra(states.rows) if states.wants_raw_spectra else None
    return states.measured(spectrum, raw)


@np.errstate(divide="ignore", invalid="ignore")
def prepared_states(
    hidden: Array, mask: Array | None = None, metrics: Collection[str] = REPRESENTATION_METRICS
) -> PreparedStates:
    """Do what :func:`representation_statistics` does before it finds spectra."""
    rows, finite = _finite(steps.make_rows(hidden, mask))
    xp = rows.xp
    z, degenerate = steps.normalized(steps.centered(rows), rows)
    values: dict[str, Array] = {}
    if {"matrix_nuclear_norm", "matrix_nuclear_norm_calibrated"} & set(metrics):
        values["matrix_nuclear_norm"] = steps.column_norm_sum(z, rows)
        values["matrix_nuclear_norm_calibrated"] = values["matrix_nuclear_norm"] / _null(rows, 0)
    if "anisotropy" in metrics:
        cosine, zero = steps.mean_cosine(rows)
        values["anisotropy"] = xp.where(zero, xp.full_like(cosine, np.nan), cosine)
    return PreparedStates(rows, z, metrics, values, finite, degenerate | (rows.count < 2))


def _finite(rows: steps.Rows) -> tuple[steps.Rows, Array]:
    """The rows of matrices without NaN and infinities, the others made zero, and which of them are finite."""
    xp, on_cpu = rows.xp, str(device(rows.x)) == "cpu"
    # A mean is finite only if all states are, and looking at each of them takes longer.
    if on_cpu and bool(xp.all(xp.isfinite(rows.mean))):
        return rows, xp.full(rows.x.shape[:-2], True)
    finite = xp.all(xp.all(xp.isfinite(rows.x), axis=-1), axis=-1)
    if on_cpu and bool(xp.all(finite)):
        return rows, finite
    # Eigenvalue routines fail on NaN.
    x = xp.where(finite[..., None, None], rows.x, xp.zeros_like(rows.x))
    return steps.Rows(x, rows.keep, rows.count, xp), finite


_OF_UNIT_SPECTRUM = {
    "matrix_nuclear_norm_exact",
    "matrix_entropy",
    "matrix_entropy_relative",
    "matrix_entropy_calibrated",
    "effective_rank",
    "renyi_entropy_2",
    "participation_ratio",
}


def _null(rows: steps.Rows, which: int) -> Array:
    """The isotropic null of each matrix: of the matrix nuclear-norm (0) or the entropy (1)."""
    table = _null_tables(*rows.x.shape[-2:])[which]
    xp, x = rows.xp, rows.x
    return xp.asarray(table, dtype=x.dtype, device=x.device)[xp.astype(rows.count, xp.int64)]


@lru_cache(maxsize=64)
def _null_tables(n_tokens: int, n_features: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The isotropic null of every length up to ``n_tokens``; NaN where nothing can be divided by it."""
    tables = np.full((2, n_tokens + 1), np.nan)
    if n_tokens >= 2:
        null = isotropic_null(np.arange(2, n_tokens + 1), n_features)
        tables[0, 2:] = null.matrix_nuclear_norm
        tables[1, 2:] = np.where(np.asarray(null.matrix_entropy) > 0, null.matrix_entropy, np.nan)
    return tables[0], tables[1]
