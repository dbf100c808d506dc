"""Every class of the MNIST test digits."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from matropy.metrics import vendi_score
from matropy.reporting import Figure, Series
from matropy.studies._contract import Measured
from matropy.studies._run import Run
from matropy.studies.vendi_score._published import DIGITS

Images = NDArray[np.uint8]


def measure_digits(run: Run) -> Measured:
    """Score the digits of each class, resized as the authors did and as they are."""
    digits = load_digits(run)
    if digits is None:
        return Measured({})
    images, labels = digits
    resized, plain = (
        run.step(f"digits-{size}", partial(_scores, pixels, labels))
        for size, pixels in ((32, enlarged(images, 32)), (28, images))
    )
    differences = [abs(score - published) for score, published in zip(resized, DIGITS, strict=True)]
    values = {f"digit_{digit}": score for digit, score in enumerate(resized)}
    values["digits_largest_difference"] = max(differences)
    classes = list(range(10))
    figure = Figure(
        "Ones are the least diverse digits, fives the most",
        "digit",
        "Vendi score",
        (
            Series("32 × 32 pixels", classes, resized, kind="points"),
            Series("as published", classes, DIGITS, kind="reference"),
            Series("28 × 28 pixels, as they are", classes, plain, kind="points"),
        ),
        caption="Cosine of grey levels. The authors resize first, which blurs a little and lowers every score.",
    )
    return Measured(values, (), (figure,))


def load_digits(run: Run) -> tuple[Images, NDArray[np.uint8]] | None:
    """Give the test images and their labels; random ones at the smoke scale."""
    if run.scale == "smoke":
        rng = np.random.default_rng(run.seed)
        return rng.integers(0, 256, (300, 28, 28), dtype=np.uint8), np.repeat(
            np.arange(10, dtype=np.uint8), 30
        )
    path = run.data("deyo", "mnist_test10k.npz")
    if path is None:
        return None
    with np.load(path) as file:
        return file["x"], file["y"]


def enlarged(images: Images, size: int) -> Images:
    """Resize square images by Keys' bicubic kernel (a = -1/2), rounding to bytes after each axis."""
    old = images.shape[-1]
    at = (np.arange(size) + 0.5) * old / size - 0.5
    distance = np.abs(at[:, None] - np.arange(old))
    near, far = (
        1.5 * distance**3 - 2.5 * distance**2 + 1,
        -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2,
    )
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
    weights /= weights.sum(axis=1, keepdims=True)
    wide = _bytes(images.astype(np.float64) @ weights.T)
    return _bytes(weights @ wide)


def _bytes(pixels: NDArray[np.float64]) -> Images:
    return np.clip(np.floor(pixels + 0.5), 0, 255).astype(np.uint8)


def _scores(images: Images, labels: NDArray[np.uint8]) -> list[float]:
    flat = images.reshape(len(images), -1)
    return [vendi_score(flat[labels == digit]) for digit in range(10)]
