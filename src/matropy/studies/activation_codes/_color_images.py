"""Networks on color images: five layers, and at the full scale a residual network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from matropy.metrics import CodeBook, HammingKNN
from matropy.reporting import Column, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run
from matropy.studies.activation_codes._images import Images
from matropy.studies.activation_codes._networks import (
    Recipe,
    accuracy_of,
    codes_of,
    multilayer_perceptron,
    resnet20,
    train,
)
from matropy.studies.activation_codes._settings import Setting

__all__ = ["measure_color_images", "measure_network"]

_DEPTH = 5
_CLASSIFIED = 2_000
"""Test images that neighbours are looked for; a residual network has 188,416 bits."""


def measure_color_images(run: Run, setting: Setting, images: Images) -> Measured:
    """Train the networks and give the redundancy of their codes."""
    networks: dict[str, Callable[[Images], nn.Module]] = {
        f"5 layers of {width}": partial(_layers_of, width) for width in setting.color_widths
    }
    recipes = dict.fromkeys(networks, setting.color_recipe)
    if setting.residual_recipe is not None:
        networks["ResNet-20"] = lambda images: resnet20()
        recipes["ResNet-20"] = setting.residual_recipe
    found = {}
    with run.progress("Training on color images", len(networks), "networks") as bar:
        for name, make in networks.items():
            key = "color-" + name.replace(" ", "-").lower()
            found[name] = run.step(
                key, partial(measure_network, make, images, recipes[name], run.seed, run.device)
            )
            bar.advance()
    values: dict[str, float] = {}
    for name, of in found.items():
        short = "color_" + name.removeprefix("5 layers of ").replace("-", "").lower()
        values |= {f"{short}_{key}": value for key, value in of.items()}
    columns = (
        Column("Bits"),
        Column("Training redundancy"),
        Column("Test redundancy"),
        Column("Network accuracy"),
        Column("9-NN on codes"),
    )
    table = Table(
        f"Color images, {images.name}",
        (Column("Network"), *columns),
        tuple((name, *of.values()) for name, of in found.items()),
        caption=f"{len(images.x)} training and {len(images.test_x)} test images, one seed; neighbours of"
        f" the first {min(_CLASSIFIED, len(images.test_x))}.",
    )
    return Measured(values, (table,))


def measure_network(
    make: Callable[[Images], nn.Module], images: Images, recipe: Recipe, seed: int, device: str
) -> dict[str, float]:
    """Train one network and read its codes."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make(images).to(device)
    train(model, images.x, images.y, recipe, seed=seed)
    training, test = codes_of(model, images.x), codes_of(model, images.test_x)
    knn = HammingKNN().fit(training, images.y.cpu().numpy())
    classified = CodeBook(test.packed[:_CLASSIFIED], test.n_bits)
    return {
        "bits": float(test.n_bits),
        "train": training.redundancy(),
        "test": test.redundancy(),
        "network": accuracy_of(model, images.test_x, images.test_y),
        "knn": float(knn.score(classified, images.test_y[:_CLASSIFIED].cpu().numpy())),
    }


def _layers_of(width: int, images: Images) -> nn.Module:
    features = images.x[0].numel()
    return nn.Sequential(nn.Flatten(), *multilayer_perceptron(features, width, depth=_DEPTH))
