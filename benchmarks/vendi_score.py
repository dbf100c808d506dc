"""matropy's Vendi score beside the authors' package, on the same inputs.

python -m benchmarks.vendi_score
"""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from vendi_score import vendi

from benchmarks._harness import Contender, Row, compare, extra_memory, report
from matropy.linalg import Gram
from matropy.metrics import kernels, vendi_score, vendi_score_estimate

SOURCE = f"installed vendi-score {version('vendi-score')}"
FOURIER = "re-implemented from arXiv 2407.02961: outer products in batches of 16"
ROWS, COLUMNS = 1_000_000, 256


def gaussian(n: int, d: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, d))


def within(tolerance: float):
    def agree(ours: float, theirs: float) -> None:
        np.testing.assert_allclose(ours, theirs, rtol=tolerance)

    return agree


def kernel_given() -> list[Row]:
    """The kernel matrix of 5000 items: all eigenvalues of it, or Lanczos quadrature."""
    kernel = kernels.rbf(gaussian(5000, 64), sigma=8.0)
    wide, narrow = gaussian(5000, 64), gaussian(5000, 8)

    def products() -> None:
        for _ in range(4):
            kernel @ wide
        for _ in range(20):
            kernel @ narrow

    peer = Contender("score_K", lambda: vendi.score_K(kernel), SOURCE)
    return [
        compare(
            "Gaussian kernel, n=5000, given, estimate",
            Contender(
                "vendi_score_estimate",
                lambda: vendi_score_estimate(kernel, kernel="precomputed", rng=0).value,
                "matropy",
            ),
            peer,
            agree=within(0.01),
            aim=5,
            floor=products,
            rounds=3,
        ),
        compare(
            "Gaussian kernel, n=5000, given, exact",
            Contender("vendi_score", lambda: vendi_score(kernel, kernel="precomputed"), "matropy"),
            peer,
            agree=within(1e-9),
            aim=1,
            rounds=3,
        ),
        compare(
            "Gaussian kernel, n=5000, given, order 2",
            Contender("vendi_score", lambda: vendi_score(kernel, kernel="precomputed", order=2), "matropy"),
            Contender("score_K", lambda: vendi.score_K(kernel, q=2), SOURCE),
            agree=within(1e-9),
            aim=5,
            rounds=3,
        ),
    ]


def features_given() -> Row:
    """Rows of 64 features: the default call of each."""
    x = gaussian(5000, 64)
    return compare(
        "5000 rows of 64 features, default call",
        Contender("vendi_score", lambda: vendi_score(x), "matropy"),
        Contender("score_X", lambda: vendi.score_X(x), SOURCE),
        agree=within(1e-9),
        aim=100,
        floor=lambda: x.T @ x,
        rounds=3,
    )


def function_given() -> list[Row]:
    """A similarity of two vectors: a function there, a name here."""
    x = gaussian(2000, 64)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)

    def squares(a: np.ndarray, b: np.ndarray) -> float:
        return np.exp(-np.sum((a - b) ** 2) / 128)

    return [
        compare(
            "cosine of 2000 vectors",
            Contender("vendi_score", lambda: vendi_score(x), "matropy"),
            Contender("score", lambda: vendi.score(unit, np.dot), SOURCE),
            agree=within(1e-9),
            aim=100,
            rounds=1,
        ),
        compare(
            "Gaussian kernel of 2000 vectors",
            Contender("vendi_score", lambda: vendi_score(x, kernel="rbf", sigma=8.0), "matropy"),
            Contender("score", lambda: vendi.score(x, squares), SOURCE),
            agree=within(1e-9),
            aim=5,
            rounds=1,
        ),
    ]


def covariance() -> Row:
    """Second moments of 4000 rows of 1024 Fourier features."""
    phase = torch.from_numpy(gaussian(4000, 64) @ gaussian(64, 512)) / 8
    features = torch.cat([phase.cos(), phase.sin()], dim=1) / 512**0.5

    def outer_products() -> torch.Tensor:
        total = torch.zeros(1024, 1024, dtype=torch.float64)
        for batch in features.split(16):
            total += torch.bmm(batch[:, :, None], batch[:, None, :]).sum(0)
        return total / len(features)

    return compare(
        "covariance of 4000 rows of 1024 Fourier features",
        Contender(
            "Gram", lambda: Gram(1024, side="features").update(features.numpy()).covariance(), "matropy"
        ),
        Contender("outer products", outer_products, FOURIER),
        agree=lambda ours, theirs: np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-12),
        aim=30,
        floor=lambda: features.T @ features,
        rounds=3,
    )


def streamed() -> str:
    """Extra memory of a million rows from a memory map."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.npy")
        rows = np.lib.format.open_memmap(path, "w+", np.float32, (ROWS, COLUMNS))
        generator = np.random.default_rng(0)
        for start in range(0, ROWS, 20_000):
            rows[start : start + 20_000] = generator.standard_normal((20_000, COLUMNS), np.float32)
        rows.flush()
        del rows
        mapped = np.load(path, mmap_mode="r")
        extra = extra_memory(lambda: vendi_score(mapped))
    size = "an unknown amount" if extra is None else f"{extra:.0f} MB"
    return (
        f"{ROWS:,} rows of {COLUMNS} columns (float32, a memory map of {ROWS * COLUMNS * 4 / 1e6:.0f} MB) take {size} of"
        " extra memory, pages of the map included."
    )


def main() -> None:
    rows = [*kernel_given(), features_given(), *function_given(), covariance()]
    notes = [
        "The floor of the estimate is its products with the kernel matrix, of the features and the covariance one product"
        " of matrices.",
        streamed(),
    ]
    report("vendi_score", "Vendi score", rows, ("numpy", "scipy", "torch", "vendi-score"), notes)


if __name__ == "__main__":
    main()
