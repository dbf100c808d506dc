"""A million rows of 768 columns through ``linalg.Gram`` from a memory map, beside NumPy on rows that fit in memory.

The answers agree on the part that NumPy can hold; the memory map is written first and is not counted.

    python -m benchmarks.gram
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks._harness import Contender, compare, extra_memory, record, report, seconds, summarize
from matropy.linalg import Gram

ROWS, COLUMNS, PART = 1_000_000, 768, 20_000


def mapped(folder: str, rows: int) -> np.memmap:
    array = np.lib.format.open_memmap(Path(folder, "rows.npy"), "w+", np.float32, (rows, COLUMNS))
    generator = np.random.default_rng(0)
    for start in range(0, rows, PART):
        array[start : start + PART] = generator.standard_normal(
            (min(PART, rows - start), COLUMNS), np.float32
        )
    array.flush()
    return np.load(Path(folder, "rows.npy"), mmap_mode="r")


def agree(ours: np.ndarray, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = mapped(folder, ROWS)
        part = np.array(rows[:PART])
        row = compare(
            f"{PART} rows of {COLUMNS} in memory",
            Contender("Gram", lambda: Gram(COLUMNS, center=True).update(part).covariance(), "matropy"),
            Contender(
                "numpy.cov in float64",
                lambda: np.cov(part.T, ddof=0, dtype=np.float64),
                f"NumPy {np.__version__}",
            ),
            agree=agree,
            aim=1.0,
            rounds=5,
        )

        def whole() -> None:
            Gram(COLUMNS, center=True).update(rows).eigenvalues()

        stream = {
            "rows": ROWS,
            "columns": COLUMNS,
            "seconds": seconds(whole),
            "extra_mb": extra_memory(whole),
        }
    note = f"{ROWS:,} rows from a memory map: {stream['extra_mb']:.0f} MB of extra memory, pages of the map included"
    report("gram", "Streaming second moments", [row], ("numpy", "scipy"), [note])
    record("gram", [vars(row), stream], ("numpy", "scipy"), [note])
    summarize("gram", f"{note}; {row.times_faster:.2g} times as fast as numpy.cov on {PART:,} rows")


if __name__ == "__main__":
    main()
