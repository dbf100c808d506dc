"""All measures of a batch from shared intermediates."""

import weakref
from collections import Counter
from functools import partial

import numpy as np
import pytest
import representation_reference as reference
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from matropy.metrics import (
    alpha_req,
    anisotropy,
    effective_rank,
    isotropic_null,
    matrix_entropy,
    matrix_nuclear_norm,
    rankme,
)
from matropy.metrics._representation_statistics import REPRESENTATION_METRICS, representation_statistics
from matropy.metrics._token_matrix import merged, unit_eigenvalues


def states(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) * np.arange(1, shape[-1] + 1) ** -0.8 + 0.3


@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy], ids=["NumPy", "torch"])
@pytest.mark.parametrize(("n", "d"), [(9, 14), (25, 12), (2, 3)])
def test_equal_the_reference(library, n, d):
    hidden = states(2, n, d)
    measured = representation_statistics(library(hidden))
    for i, text in enumerate(hidden):
        for name, expected in reference.all_measures(text).items():
            got = float(measured.values[name][i])
            assert np.isnan(got) if expected is None else got == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_equal_the_functions_one_by_one():
    hidden = states(3, 16, 10)
    mask = np.arange(16) < np.array([16, 11, 9])[:, None]
    expected = {
        "matrix_nuclear_norm": matrix_nuclear_norm(hidden, mask=mask),
        "matrix_nuclear_norm_calibrated": matrix_nuclear_norm(hidden, mask=mask)
        / isotropic_null([16, 11, 9], 10).matrix_nuclear_norm,
        "matrix_nuclear_norm_exact": matrix_nuclear_norm(hidden, mask=mask, method="exact"),
        "matrix_entropy": matrix_entropy(hidden, mask=mask),
        "matrix_entropy_relative": matrix_entropy(hidden, mask=mask, relative=True),
        "matrix_entropy_calibrated": matrix_entropy(hidden, mask=mask)
        / isotropic_null([16, 11, 9], 10).matrix_entropy,
        "effective_rank": effective_rank(hidden, mask=mask),
        "renyi_entropy_2": matrix_entropy(hidden, mask=mask, order=2),
        "participation_ratio": effective_rank(hidden, mask=mask, order=2),
        "anisotropy": anisotropy(hidden, mask=mask),
        "rankme": rankme(hidden, mask=mask),
        "alpha_req": alpha_req(hidden, mask=mask),
    }
    assert tuple(expected) == REPRESENTATION_METRICS
    measured = representation_statistics(hidden, mask).values
    for name in REPRESENTATION_METRICS:
        np.testing.assert_allclose(measured[name], expected[name], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", REPRESENTATION_METRICS)
def test_each_alone_is_what_it_is_among_all(name):
    hidden = states(2, 16, 10)
    alone = representation_statistics(hidden, metrics=[name]).values
    assert list(alone) == [name]
    np.testing.assert_allclose(alone[name], representation_statistics(hidden).values[name], rtol=1e-12)


def test_spectrum_falls_and_sums_to_one():
    spectrum = representation_statistics(states(2, 9, 14)).spectrum
    assert spectrum.shape == (2, 9)
    assert np.all(np.diff(spectrum) <= 0)
    np.testing.assert_allclose(spectrum.sum(-1), 1)
    np.testing.assert_allclose(spectrum[0], reference.spectrum(states(2, 9, 14)[0])[:9], atol=1e-12)
    assert representation_statistics(states(2, 9, 14), metrics=["anisotropy"]).spectrum is None


@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy], ids=["NumPy", "torch"])
def test_bad_texts_are_flagged_and_leave_their_neighbors_alone(library):
    hidden = states(5, 9, 14)
    good = representation_statistics(library(hidden[:1].copy())).values
    hidden[1, 3, 3] = np.nan
    hidden[2, 3, 3] = np.inf
    hidden[3] = hidden[3, :1]
    mask = np.ones((5, 9), bool)
    mask[4, 1:] = False
    measured = representation_statistics(library(hidden), library(mask))
    assert [bool(flag) for flag in measured.finite] == [True, False, False, True, True]
    assert not bool(measured.degenerate[0])
    assert [bool(flag) for flag in measured.degenerate[3:]] == [True, True]
    for name, value in good.items():
        assert float(measured.values[name][0]) == pytest.approx(float(value[0]), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 2, 3, 150])
def test_repeated_tokens_leave_no_rounding_behind(d, dtype):
    places = np.random.default_rng(0).integers(0, 20, 120)
    hidden = states(20, d)[places].astype(dtype)
    values = representation_statistics(hidden).values
    with np.errstate(invalid="ignore"):  # relative to the logarithm of one feature
        expected = reference.all_measures(hidden.astype(float))
    for name in ("matrix_nuclear_norm_exact", "matrix_entropy", "participation_ratio"):
        assert float(values[name]) == pytest.approx(expected[name], rel=2e-6, abs=2e-6), name


def test_only_whole_rows_are_taken_for_repetitions():
    hidden = states(60, 40)
    hidden[:, :8] = 1.0
    hidden[7] = hidden[3]
    z = (hidden - hidden.mean(0)) / np.linalg.norm(hidden - hidden.mean(0), axis=1, keepdims=True)
    assert merged(z) is z
    np.testing.assert_allclose(
        unit_eigenvalues(z, double_up_to=512), np.linalg.svd(z, compute_uv=False) ** 2 / 60, atol=1e-14
    )
    z[:, 0] = np.random.default_rng(1).normal(size=60)
    z[7] = z[3]
    assert merged(z).shape == (59, 40)
    np.testing.assert_allclose(merged(z).T @ merged(z), z.T @ z, atol=1e-13)


class LiveBytes(TorchDispatchMode):
    """The most memory that tensors made by torch's operations hold at once."""

    def __init__(self):
        super().__init__()
        self.held, self.now, self.peak = Counter(), 0, 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        given = {t.untyped_storage().data_ptr() for t in tree_leaves(args) if isinstance(t, torch.Tensor)}
        made = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                address, size = storage.data_ptr(), storage.nbytes()
                if address in self.held or address not in given:
                    self.now += size if not self.held[address] else 0
                    self.held[address] += 1
                    weakref.finalize(tensor, self._free, address, size)
        self.peak = max(self.peak, self.now)
        return made

    def _free(self, address, size):
        self.held[address] -= 1
        if not self.held[address]:
            del self.held[address]
            self.now -= size


@pytest.mark.parametrize(("n", "d"), [(256, 2048), (1500, 256)])
def test_memory_of_all_metrics(n, d):
    hidden = torch.from_numpy(states(1, n, d)).float()
    with LiveBytes() as live:
        representation_statistics(hidden)
    gram = min(n, d) ** 2 * 8
    assert hidden.nbytes <= live.peak <= 3 * hidden.nbytes + gram


@pytest.mark.parametrize(("n", "d"), [(256, 2048), (1500, 256)])
@pytest.mark.parametrize(
    "measure", [matrix_nuclear_norm, matrix_entropy, partial(matrix_nuclear_norm, method="exact")]
)
def test_memory_of_a_measure(measure, n, d):
    hidden = torch.from_numpy(states(n, d)).float()
    with LiveBytes() as live:
        measure(hidden)
    assert 0 < live.peak <= 3 * hidden.nbytes + 2 * min(n, d) ** 2 * 8
