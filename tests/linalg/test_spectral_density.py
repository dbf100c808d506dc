"""Spectral densities against spectra that are known."""

import numpy as np
import pytest
import torch

from matropy.linalg import spectral_density


def wigner(n, seed=0):
    a = np.random.default_rng(seed).normal(size=(n, n))
    return (a + a.T) / np.sqrt(2 * n)


def test_a_random_matrix_has_a_semicircle():
    density = spectral_density(wigner(600), rng=0)
    inside = np.abs(density.eigenvalues) < 1.8
    semicircle = np.sqrt(4 - density.eigenvalues[inside] ** 2) / (2 * np.pi)
    off = np.abs(density.density[inside] - semicircle)
    assert np.all(off <= 4 * density.standard_error[inside] + 0.02)
    assert np.max(density.standard_error) < 0.05
    assert np.trapezoid(density.density, density.eigenvalues) == pytest.approx(1, abs=1e-3)


def test_it_is_the_smoothed_histogram_within_its_error():
    a = wigner(300, seed=1)
    density = spectral_density(a, n_probes=16, bandwidth=0.2, rng=0)
    lags = (density.eigenvalues[:, None] - np.linalg.eigvalsh(a)) / 0.2
    exact = np.exp(-0.5 * lags**2).mean(1) / (0.2 * np.sqrt(2 * np.pi))
    assert np.mean(np.abs(density.density - exact) <= 3 * density.standard_error + 1e-6) > 0.95


def test_all_eigenvalues_equal_is_one_peak():
    for scale in (2.0, 0.0):
        density = spectral_density(np.eye(5) * scale, rng=0)
        assert density.eigenvalues[np.argmax(density.density)] == pytest.approx(scale, abs=density.bandwidth)


def test_torch_gives_the_same_numbers_and_a_plot():
    ours, theirs = (spectral_density(a, rng=0) for a in (wigner(40), torch.from_numpy(wigner(40))))
    np.testing.assert_allclose(theirs.density, ours.density, rtol=1e-6, atol=1e-9)
    pyplot = pytest.importorskip("matplotlib.pyplot")
    ax = ours.plot(pyplot.figure().add_subplot())
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), ours.density)
    pyplot.close("all")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_probes": 1}, "n_probes must be at least 2"),
        ({"n_points": 1}, "n_points must be at least 2"),
        ({"bandwidth": 0.0}, "bandwidth must be a positive number"),
        ({"bandwidth": np.nan}, "bandwidth must be a positive number"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        spectral_density(np.eye(3), **options)
