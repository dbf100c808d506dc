"""Labelled images as tensors in [0, 1]."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from matropy._core._errors import MissingExtraError, require
from matropy.studies._run import Run
from matropy.studies.activation_codes._settings import Setting

__all__ = ["Images", "color_images", "digits"]

_MNIST = (("deyo", "mnist_train60k.npz"), ("deyo", "mnist_test10k.npz"))
_CIFAR = ("s4d", "cifar10_jpeg_40k.npz")


@dataclass(frozen=True)
class Images:
    """Training and test images.

    Attributes
    ----------
    x, test_x : Tensor, shapes (n, ...) and (m, ...)
        In [0, 1].
    y, test_y : Tensor, shapes (n,) and (m,)
        Labels.
    name : str
    """

    x: torch.Tensor
    y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor
    name: str

    def first(self, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The first training images, repeated until they are as many as all."""
        rows = torch.arange(len(self.x), device=self.x.device) % samples
        return self.x[rows], self.y[rows]


def digits(run: Run, setting: Setting) -> Images | None:
    """MNIST, or at the smoke scale the small digits that come with scikit-learn; None where the data is missing."""
    if run.scale == "smoke":
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        training, test = slice(0, setting.images), slice(setting.images, setting.images + setting.test_images)
        return _images(
            run, "8 x 8 digits", (pixels[training] / 16, labels[training]), (pixels[test] / 16, labels[test])
        )
    files = [run.data(*path) for path in _MNIST]
    if files[0] is None or files[1] is None:
        return None
    return _images(run, "MNIST", _read(files[0], setting.images), _read(files[1], setting.test_images))


def color_images(run: Run, setting: Setting) -> Images | None:
    """CIFAR-10 from JPEG files; None at the smoke scale and where the data, or Pillow, is missing."""
    if run.scale == "smoke" or (path := run.data(*_CIFAR)) is None:
        return None
    try:
        require("PIL.Image", purpose="decoding CIFAR-10", extra="plot")
    except MissingExtraError as error:
        run.skip("CIFAR-10", str(error))
        return None
    with np.load(path, allow_pickle=False) as file:
        is_test, labels = file["is_test"].astype(bool), file["label"]
        jpeg, offsets = file["jpeg"], file["offsets"]
    # Images come class by class in turn, so the first ones are balanced.
    training = np.flatnonzero(~is_test)[: setting.color_images]
    test = np.flatnonzero(is_test)[: setting.test_images]
    return _images(
        run,
        "CIFAR-10 (JPEG)",
        (_decoded(jpeg, offsets, training), labels[training]),
        (_decoded(jpeg, offsets, test), labels[test]),
    )


Labelled = tuple[NDArray[Any], NDArray[Any]]


def _images(run: Run, name: str, training: Labelled, test: Labelled) -> Images:
    x, y, test_x, test_y = (
        torch.from_numpy(values.astype(kind)).to(run.device)
        for labelled in (training, test)
        for values, kind in zip(labelled, (np.float32, np.int64), strict=True)
    )
    return Images(x, y, test_x, test_y, name)


def _read(path: Path, images: int) -> Labelled:
    with np.load(path, allow_pickle=False) as file:
        return file["x"][:images].reshape(images, -1) / np.float32(255), file["y"][:images]


def _decoded(jpeg: NDArray[np.uint8], offsets: NDArray[np.int32], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Images of the rows, shape (n, 3, 32, 32), in [0, 1]."""
    from PIL import Image

    pixels = [
        np.asarray(Image.open(io.BytesIO(jpeg[offsets[row] : offsets[row + 1]].tobytes())).convert("RGB"))
        for row in rows
    ]
    return np.stack(pixels).transpose(0, 3, 1, 2).astype(np.float32) / 255
