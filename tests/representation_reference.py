"""The measures of hidden states written out a second time, for one text, in float64, from full decompositions."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats


def kept(hidden, mask=None):
    """The rows of one text that hold tokens."""
    return hidden if mask is None else hidden[mask]


def normalized(hidden):
    z = hidden - hidden.mean(axis=0)
    return np.array([row / math.sqrt(row @ row) for row in z])


def matrix_nuclear_norm(hidden, top=None):
    z = normalized(hidden)
    norms = sorted((math.sqrt(column @ column) for column in z.T), reverse=True)
    return sum(norms[: top or min(z.shape)]) / len(z)


def matrix_nuclear_norm_exact(hidden):
    z = normalized(hidden)
    return np.linalg.svd(z, compute_uv=False).sum() / len(z)


def entropy(weights):
    return -sum(w * math.log(w) for w in weights if w > 0)


def spectrum(hidden):
    """Eigenvalues of the d x d matrix A, as singular values, as the authors find them."""
    z = normalized(hidden)
    values = np.linalg.svd(z.T @ z / len(z), compute_uv=False)
    return values / values.sum()


def matrix_entropy(hidden):
    return entropy(spectrum(hidden))


def renyi_entropy_2(hidden):
    z = normalized(hidden)
    return -math.log(((z @ z.T) ** 2).sum() / len(z) ** 2)


def anisotropy(hidden):
    n = len(hidden)
    cosines = [
        hidden[i] @ hidden[j] / math.sqrt((hidden[i] @ hidden[i]) * (hidden[j] @ hidden[j]))
        for i in range(n)
        for j in range(n)
        if i != j
    ]
    return sum(cosines) / len(cosines)


def rankme(hidden):
    sigma = np.linalg.svd(hidden, compute_uv=False)
    return math.exp(entropy(sigma / sigma.sum() + 1e-7))


def alpha_req(hidden, k_min=3, k_max=100):
    n, d = hidden.shape
    eigenvalues = np.linalg.svd(hidden - hidden.mean(axis=0), compute_uv=False) ** 2 / n
    k = np.arange(k_min, min(k_max, min(n - 1, d) // 2) + 1)
    slope, _ = np.polyfit(np.log(k), np.log(eigenvalues[k - 1]), 1, w=1 / np.sqrt(k))
    return -slope


def null_nuclear_norm(n, d):
    """The mean of the largest of d chi-distributed column norms, by numerical integration."""
    share = min(n, d) / d
    chi = stats.chi(n - 1)
    mean_of_largest = chi.expect(lambda x: x, lb=chi.isf(share)) / share
    return min(n, d) / n * math.sqrt(n / d) * mean_of_largest / math.sqrt(n - 1)


def null_entropy(n, d):
    """Page's entropy; below one dimension of freedom there is none."""
    small, large = sorted((n - 1, d))
    return math.log(small) - (small - 1) / (2 * large) * (1 + 1 / (2 * large))


def all_measures(hidden):
    """Every metric that can be reported for one text; None where it is not defined."""
    n, d = hidden.shape
    h = matrix_entropy(hidden)
    return {
        "matrix_nuclear_norm": matrix_nuclear_norm(hidden),
        "matrix_nuclear_norm_calibrated": matrix_nuclear_norm(hidden) / null_nuclear_norm(n, d),
        "matrix_nuclear_norm_exact": matrix_nuclear_norm_exact(hidden),
        "matrix_entropy": h,
        "matrix_entropy_relative": h / math.log(d),
        "matrix_entropy_calibrated": h / null_entropy(n, d) if n > 2 else None,
        "effective_rank": math.exp(h),
        "renyi_entropy_2": renyi_entropy_2(hidden),
        "participation_ratio": 1 / (spectrum(hidden) ** 2).sum(),
        "anisotropy": anisotropy(hidden),
        "rankme": rankme(hidden),
        "alpha_req": alpha_req(hidden) if min(n - 1, d) // 2 > 3 else None,
    }
