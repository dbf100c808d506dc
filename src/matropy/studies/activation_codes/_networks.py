"""The paper's networks and how they are trained."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from matropy.metrics import ActivationRecorder, CodeBook

__all__ = ["Recipe", "accuracy_of", "codes_of", "multilayer_perceptron", "resnet20", "train"]

_KERAS_MOMENTUM = 0.01
"""Of batch normalization: Keras' 0.99 is torch's 1 - 0.99."""
_KERAS_EPSILON = 1e-3
_PASSED_TOGETHER = 2048


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: Adam on the cross-entropy plus ``penalty`` times the squared hidden kernels.

    Attributes
    ----------
    epochs : int
    batch : int
    rate : float
        Learning rate of Adam, divided by ten every ``rate_epochs``.
    rate_epochs : int
    penalty : float
    patience : int
        Epochs without a fall of the training loss after which it stops.
    """

    epochs: int
    batch: int = 64
    rate: float = 1e-2
    rate_epochs: int = 20
    penalty: float = 1e-6
    patience: int = 10


def multilayer_perceptron(features: int, width: int, *, depth: int = 1, classes: int = 10) -> nn.Sequential:
    """Dense, batch normalization, ReLU, ``depth`` times; then one dense layer. Kernels as Keras draws them."""
    sizes = [features, *[width] * depth]
    blocks = [
        layer
        for size, next_size in pairwise(sizes)
        for layer in (
            nn.Linear(size, next_size),
            nn.BatchNorm1d(next_size, eps=_KERAS_EPSILON, momentum=_KERAS_MOMENTUM),
            nn.ReLU(),
        )
    ]
    model = nn.Sequential(*blocks, nn.Linear(sizes[-1], classes))
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


class _Block(nn.Module):
    """Two convolutions and a short cut."""

    def __init__(self, channels: int, wanted: int) -> None:
        super().__init__()
        stride = 1 if channels == wanted else 2
        self.first = nn.Conv2d(channels, wanted, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(wanted, eps=_KERAS_EPSILON, momentum=_KERAS_MOMENTUM)
        self.second = nn.Conv2d(wanted, wanted, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(wanted, eps=_KERAS_EPSILON, momentum=_KERAS_MOMENTUM)
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(channels, wanted, 1, stride, bias=False)
        self.inner, self.outer = nn.ReLU(), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.inner(self.first_norm(self.first(x)))
        out: torch.Tensor = self.outer(self.second_norm(self.second(hidden)) + self.shortcut(x))
        return out


def resnet20(classes: int = 10) -> nn.Sequential:
    """The residual network of 20 layers for images of 32 x 32 (He et al., 2016), by its three stages."""
    channels = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16, eps=_KERAS_EPSILON, momentum=_KERAS_MOMENTUM),
        nn.ReLU(),
        *(_Block(before, after) for before, after in pairwise(channels)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, classes),
    )


def train(
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    recipe: Recipe,
    *,
    seed: int,
    stop_at: Collection[int] = (),
    look: Callable[[int], None] = lambda step: None,
) -> None:
    """Train in place; ``look`` is called before the first step, after the steps ``stop_at`` and at the end."""
    *kernels, _ = [module.weight for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    hidden = set(kernels)
    others = [parameter for parameter in model.parameters() if parameter not in hidden]
    # The gradient of the penalty is what Adam's weight decay adds.
    groups: list[dict[str, Any]] = [
        {"params": kernels, "weight_decay": 2 * recipe.penalty},
        {"params": others},
    ]
    optimizer = torch.optim.Adam(groups, lr=recipe.rate, fused=True)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, recipe.rate_epochs, 0.1)
    order = torch.Generator().manual_seed(seed)
    best, since, step = float("inf"), 0, 0
    look(0)
    for _ in range(recipe.epochs):
        total = torch.zeros((), device=x.device)
        for rows in torch.randperm(len(x), generator=order).to(x.device).split(recipe.batch):
            if len(rows) == 1 and len(x) > 1:
                continue  # batch normalization needs two
            model.train()
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
            step += 1
            if step in stop_at:
                look(step)
        schedule.step()
        since = 0 if float(total) < best else since + 1
        best = min(best, float(total))
        if since >= recipe.patience:
            break
    if step not in stop_at:
        look(step)
    model.eval()


def codes_of(model: nn.Module, x: torch.Tensor) -> CodeBook:
    """The neural codes of the examples."""
    with ActivationRecorder(model) as recorder, torch.inference_mode():
        for part in x.split(_PASSED_TOGETHER):
            model(part)
    return recorder.codes


def accuracy_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Share of the examples that the network classifies correctly."""
    model.eval()
    with torch.inference_mode():
        predicted = torch.cat([model(part).argmax(1) for part in x.split(_PASSED_TOGETHER)])
    return float((predicted == y).float().mean())
