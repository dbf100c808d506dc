"""How large each scale is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from matropy.studies._run import Scale
from matropy.studies.activation_codes._networks import Recipe

__all__ = ["SETTINGS", "Setting"]


@dataclass(frozen=True)
class Setting:
    """Sizes of the sweeps.

    Attributes
    ----------
    images, test_images : int
        Training images, and test images whose codes are recorded.
    classified : int
        Test images that the simple classifiers are scored on.
    widths : tuple of int
        Units of the hidden layer.
    seeds : int
        Networks trained for each width.
    samples : tuple of int
        Sizes of the subsets of the sample-size sweep, rising, below ``images``.
    epochs : tuple of int
        When the codes are looked at, the last being the end.
    first_steps : int
        Optimizer steps of the first look after the beginning.
    recipe : Recipe
    color_images : int
        Training images of CIFAR-10.
    color_widths : tuple of int
        Units of each of the five layers.
    color_recipe : Recipe
    residual_recipe : Recipe or None
        Of the residual network, where there is one.
    """

    images: int
    test_images: int
    classified: int
    widths: tuple[int, ...]
    seeds: int
    samples: tuple[int, ...]
    epochs: tuple[int, ...]
    first_steps: int
    recipe: Recipe
    color_images: int
    color_widths: tuple[int, ...]
    color_recipe: Recipe
    residual_recipe: Recipe | None = None


_QUICK = Setting(
    images=20_000,
    test_images=10_000,
    classified=2_000,
    widths=(10, 20, 40, 60, 100),
    seeds=3,
    samples=(10, 100, 1_000, 5_000),
    epochs=(1, 2, 3, 4, 5, 6),
    first_steps=20,
    recipe=Recipe(epochs=6),
    color_images=10_000,
    color_widths=(10, 20),
    color_recipe=Recipe(epochs=8),
)
SETTINGS: dict[Scale, Setting] = {
    "smoke": replace(
        _QUICK,
        images=600,
        test_images=400,
        classified=200,
        widths=(3, 12),
        seeds=2,
        samples=(50,),
        epochs=(1, 2),
        first_steps=5,
        recipe=Recipe(epochs=2),
    ),
    "quick": _QUICK,
    "full": replace(
        _QUICK,
        images=48_000,
        classified=10_000,
        widths=(3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 80, 100),
        seeds=10,
        samples=(10, 100, 1_000, 10_000),
        epochs=(1, 3, 6, *range(10, 201, 10)),
        recipe=Recipe(epochs=200),
        color_images=24_000,
        color_widths=(10, 20, 40, 60, 80, 100, 150, 200),
        color_recipe=Recipe(epochs=200),
        residual_recipe=Recipe(epochs=200, rate_epochs=50, penalty=5e-6),
    ),
}
