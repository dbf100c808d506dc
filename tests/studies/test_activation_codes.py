"""The study of activation codes: it runs anywhere, and trains as the paper does."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

pytest.importorskip("torchmetrics")

import torch

from matropy.lm import load_model
from matropy.studies import study
from matropy.studies._run import Run
from matropy.studies.activation_codes import STUDY
from matropy.studies.activation_codes._color_images import _layers_of, measure_network
from matropy.studies.activation_codes._images import Images
from matropy.studies.activation_codes._language_model import measure_gates
from matropy.studies.activation_codes._networks import (
    Recipe,
    accuracy_of,
    codes_of,
    multilayer_perceptron,
    resnet20,
    train,
)


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def blobs(n, features=6, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = 4 * np.eye(3, features)[y] + rng.normal(size=(n, features))
    return torch.from_numpy(x).float(), torch.from_numpy(y)


def test_the_penalty_is_on_the_hidden_kernels_alone():
    """Inputs of zero give no kernel a gradient of the loss, so what moves is what the penalty shrinks."""
    model = seeded(lambda: multilayer_perceptron(6, 5, depth=2, classes=3))
    kernels = {at: model[at].weight.detach().clone() for at in (0, 3, 6)}
    train(model, torch.zeros(2, 6), torch.tensor([0, 1]), Recipe(epochs=1, rate=1e-3, penalty=1.0), seed=0)
    for at in (0, 3):
        assert torch.equal((kernels[at] - model[at].weight).sign(), kernels[at].sign())
    assert torch.equal(model[6].weight, kernels[6])


def test_training_is_repeatable_learns_and_looks_when_asked():
    x, y = blobs(200)

    def run():
        model = seeded(lambda: multilayer_perceptron(6, 8, classes=3))
        looks = []
        train(model, x, y, Recipe(epochs=5, batch=32), seed=1, stop_at={3, 35}, look=looks.append)
        return model, looks

    (first, looks), (second, _) = run(), run()
    assert looks == [0, 3, 35]
    assert torch.equal(first[0].weight, second[0].weight)
    assert accuracy_of(first, x, y) > 0.9
    assert not first.training


def test_training_stops_when_the_loss_no_longer_falls_and_looks_at_the_end():
    looks = []
    model = seeded(lambda: multilayer_perceptron(6, 4, classes=3))
    recipe = Recipe(epochs=50, batch=16, rate=0.0, patience=2)
    train(model, *blobs(64), recipe, seed=0, look=looks.append)
    assert looks[0] == 0
    assert len(looks) == 2
    assert looks[1] < 50 * 4


def test_the_units_of_all_activations_are_in_the_code():
    assert codes_of(multilayer_perceptron(6, 7, depth=5), torch.zeros(3, 6)).n_bits == 35
    model = seeded(resnet20)
    codes = codes_of(model, torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    # One stem, and two activations in each of nine blocks: 16 x 32 x 32, halved at every stage.
    assert codes.n_bits == 16 * 1024 * 7 + 32 * 256 * 6 + 64 * 64 * 6
    assert codes.redundancy() == 0


@pytest.mark.parametrize("make", [partial(_layers_of, 4), lambda images: resnet20()])
def test_color_images_are_measured(make):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(30, 3, 32, 32, generator=generator), torch.arange(30) % 10
    images = Images(x[:20], y[:20], x[20:], y[20:], "noise")
    found = measure_network(make, images, Recipe(epochs=1, batch=10), 0, "cpu")
    assert set(found) == {"bits", "train", "test", "network", "knn"}
    assert all(0 <= value <= 1 for name, value in found.items() if name != "bits")


def test_subsets_are_repeated_to_the_full_length():
    images = Images(torch.arange(7.0), torch.arange(7), torch.zeros(1), torch.zeros(1), "")
    x, y = images.first(3)
    assert x.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert y.tolist() == x.tolist()


def test_gates_of_any_model_are_measured(tiny_model, tmp_path):
    model = load_model(tiny_model("llama"), device="cpu")
    run = Run("activation-codes", "smoke", folder=tmp_path, device="cpu")
    measured = measure_gates(run, model, ["one text, and one more", "another text"], tokens=20)
    assert measured.values["gates_bits"] == 3 * 64
    assert 0 <= measured.values["gates_all_redundancy"] <= measured.values["gates_redundancy"] < 1
    assert len(measured.tables[0].rows) == 3


def test_the_smoke_scale_runs_in_seconds_without_model_and_data(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MATROPY_DATA", raising=False)
    result = study("activation-codes", "smoke", output=tmp_path / "output")
    assert not result.changed
    assert not result.skipped
    assert all(
        math.isfinite(value)
        for name, value in result.values.items()
        if value is not None and "size" not in name
    )
    assert {"train_3", "test_12_seed1", "knn_3", "rise_12", "test_12_of_50"} <= set(result.values)
    assert (len(result.plots), len(result.heat_maps)) == (5, 2)
    assert (tmp_path / "output" / "report.html").stat().st_size > 10_000
    theory = {verdict.claim: verdict.outcome for verdict in result.verdicts if verdict.origin == "theory"}
    assert sum(outcome == "holds" for outcome in theory.values()) == 2


def test_claims_that_do_not_hold_are_recorded_as_such():
    refuted = {claim.sentence for claim in STUDY.claims if not claim.expected}
    assert refuted == {
        "At width 40 the redundancy of test images falls with every step of the sample size",
        "Trained on 10 images, the network of width 40 gives test images the published redundancy, within a factor of two",
    }


@pytest.mark.model
@pytest.mark.slow
def test_the_quick_scale_comes_out_as_recorded():
    result = study("activation-codes")
    assert not result.changed, [verdict.claim for verdict in result.verdicts if verdict.changed]
