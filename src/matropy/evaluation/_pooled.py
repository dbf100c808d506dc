"""How different texts are to each layer: the Vendi score of their mean states, over all texts at once.

The unit rows of texts are kept in a file, to which each text is appended once. When the file holds more texts than
states have features, it is folded into Gram matrices, so that neither memory nor disk grow with the corpus; and an
interrupted run finds all that it has seen without anything having been written twice.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matropy.entropy import hill_number
from matropy.linalg._norms import gram_eigenvalues, small_gram

__all__ = ["PooledTexts"]

_FOLD_AFTER = 1024


class PooledTexts:
    """The mean states of all texts, and their Vendi scores.

    Parameters
    ----------
    layers, width : int
        Hidden states that are measured, and their features.
    folder : Path or None
        Where the files of an unfinished run lie; None takes a temporary folder.
    kept : dict, optional
        What :meth:`progress` gave, to go on from there.
    """

    def __init__(
        self, layers: int, width: int, folder: Path | None, kept: dict[str, int] | None = None
    ) -> None:
        self._layers, self._width = layers, width
        self._temporary = tempfile.TemporaryDirectory(prefix="matropy-") if folder is None else None
        self._folder = Path(self._temporary.name) if self._temporary else Path(str(folder))
        self._folds, self._folded, self._rows = (
            (kept["folds"], kept["folded"], kept["rows"]) if kept else (0, 0, 0)
        )
        self._named = self._folds
        self._file = self._open(keep_rows=self._rows)

    def add(self, states: NDArray[np.floating[Any]]) -> None:
        """Add a text by its mean state at each layer, shape (layers, width); a state of zero has no direction."""
        norms = np.linalg.norm(states, axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            self._file.write((states / norms).astype("<f4").tobytes())
        self._rows += 1
        if self._rows >= max(_FOLD_AFTER, self._width):
            self._fold()

    def progress(self) -> dict[str, int]:
        """Write what is buffered, and say how far it goes."""
        self._file.flush()
        # What an older state named is needed no more; what the last one names, until there is a newer one.
        self._remove(range(self._named))
        self._named = self._folds
        return {"folds": self._folds, "folded": self._folded, "rows": self._rows}

    def scores(self) -> list[float | None]:
        """The Vendi score at each layer, with the cosine kernel; None where a text has no direction."""
        self._file.flush()
        return [self._score(layer) for layer in range(self._layers)]

    def forget(self) -> None:
        """Remove the files."""
        self._file.close()
        for path in self._folder.glob("unfinished-pooled-*"):
            path.unlink()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _score(self, layer: int) -> float | None:
        rows = self._kept_rows()[:, layer].astype(np.float64)
        gram = (
            small_gram(rows) if not self._folded else self._grams()[layer].astype(np.float64) + rows.T @ rows
        )
        if not np.isfinite(gram).all():
            return None
        eigenvalues = gram_eigenvalues(gram, np)
        return float(hill_number(eigenvalues / eigenvalues.sum(), 1))

    def _fold(self) -> None:
        """Add the rows of the file to the Gram matrices, one layer at a time, and begin a new file."""
        self._file.close()
        path = self._path("gram", self._folds + 1, ".npy")
        sums = np.lib.format.open_memmap(path, "w+", np.float32, (self._layers, self._width, self._width))
        for layer in range(self._layers):
            rows = self._kept_rows()[:, layer].astype(np.float64)
            sums[layer] = rows.T @ rows + (self._grams()[layer] if self._folded else 0.0)
        sums.flush()
        self._folded, self._rows, self._folds = self._folded + self._rows, 0, self._folds + 1
        self._file = self._open(keep_rows=0)
        self._remove(range(self._named + 1, self._folds))

    def _remove(self, folds: range) -> None:
        for path in self._folder.glob("unfinished-pooled-*"):
            if int(path.stem.rpartition("-")[2]) in folds:
                path.unlink()

    def _open(self, keep_rows: int) -> Any:
        path = self._path("rows", self._folds, ".f32")
        file = path.open("r+b" if keep_rows else "w+b")
        # A text that was written after the last state is written again.
        file.truncate(4 * keep_rows * self._layers * self._width)
        file.seek(0, 2)
        return file

    def _kept_rows(self) -> NDArray[np.float32]:
        shape = (self._rows, self._layers, self._width)
        if not self._rows:
            return np.zeros(shape, np.float32)
        return np.memmap(self._path("rows", self._folds, ".f32"), "<f4", "r", shape=shape)

    def _grams(self) -> NDArray[np.float32]:
        grams: NDArray[np.float32] = np.load(
            self._path("gram", self._folds, ".npy"), mmap_mode="r", allow_pickle=False
        )
        return grams

    def _path(self, what: str, fold: int, suffix: str) -> Path:
        return self._folder / f"unfinished-pooled-{what}-{fold}{suffix}"
