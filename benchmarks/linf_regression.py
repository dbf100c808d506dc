"""Sketched regression beside NumPy's least squares, the normal equations and SciPy's count sketch, in one thread.

The sketch has 16 rows a column. It agrees with the full solution when no coefficient is further off than six of its
standard errors; the exact routes agree to eight digits. A memory map of 1 GiB is fitted first: what counts there is
anonymous memory, since the pages of the map belong to the file.

    python -m benchmarks.linf_regression
"""

from __future__ import annotations

import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
from threadpoolctl import threadpool_limits

from benchmarks._harness import Contender, Row, compare, record, report, summarize
from matropy.recovery import Sketch, SketchedLinearRegression

SHAPES = ((2**17, 128), (2**16, 512))
MAPPED = (4_000_000, 64)
NUMPY = f"installed numpy {np.__version__}"
SCIPY = f"installed scipy {scipy.__version__}"


def problem(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    design = rng.standard_t(3, size=(n, d))
    return design, design @ rng.normal(size=d) + rng.standard_t(3, size=n)


def fitted(m: int, design: Any, target: Any, **options: Any) -> SketchedLinearRegression:
    model = SketchedLinearRegression(m, fit_intercept=False, random_state=0, **options)
    return model.fit(design, target)


def by_cholesky(design: np.ndarray, target: np.ndarray) -> np.ndarray:
    return scipy.linalg.solve(design.T @ design, design.T @ target, assume_a="pos")


def within_errors(model: SketchedLinearRegression, full: np.ndarray) -> None:
    assert (np.abs(model.coef_ - full) <= 6 * model.coef_stderr_).all()


def exact(model: SketchedLinearRegression, full: np.ndarray) -> None:
    np.testing.assert_allclose(model.coef_, full, rtol=1e-8, atol=1e-10)


def same_route(auto: SketchedLinearRegression, sketch: SketchedLinearRegression) -> None:
    assert auto.method_ == "normal"
    within_errors(sketch, auto.coef_)


def same_norms(ours: np.ndarray, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(np.linalg.norm(ours, axis=0), np.linalg.norm(theirs, axis=0), rtol=0.5)


def cases(n: int, d: int) -> list[Row]:
    design, target = problem(n, d)
    m, case = 16 * d, f"{n} x {d}"
    sketch = Contender("sketch and solve", partial(fitted, m, design, target, method="sketch"), "matropy")
    auto = Contender("method='auto'", partial(fitted, m, design, target), "matropy")
    refined = Contender("sketch and refine", partial(fitted, m, design, target, refine=True), "matropy")
    lstsq = Contender("numpy.linalg.lstsq", lambda: np.linalg.lstsq(design, target)[0], NUMPY)
    cholesky = Contender("normal equations", lambda: by_cholesky(design, target), SCIPY)
    count = Contender("count sketch", lambda: Sketch("countsketch", m, 0).update(design).result(), "matropy")
    woodruff = Contender(
        "scipy.linalg.clarkson_woodruff_transform",
        lambda: scipy.linalg.clarkson_woodruff_transform(design, m, rng=0),
        SCIPY,
    )

    def three_reads() -> None:
        for _ in range(3):
            design.sum()

    return [
        compare(case, sketch, lstsq, agree=within_errors, aim=2.0, floor=three_reads, rounds=3),
        compare(case, refined, lstsq, agree=exact, aim=1.0, floor=three_reads, rounds=3),
        compare(case, auto, sketch, agree=same_route, aim=1.0, floor=three_reads, rounds=5),
        compare(case, auto, cholesky, agree=exact, aim=0.5, floor=three_reads, rounds=5),
        compare(case, count, woodruff, agree=same_norms, aim=0.2, floor=three_reads, rounds=5),
    ]


@contextmanager
def anonymous_memory() -> Iterator[Callable[[], float]]:
    """Watch the anonymous resident memory of this process; gives the peak above the start, in MiB (Linux)."""
    start = peak = _anonymous()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, _anonymous())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: peak - start
    finally:
        done.set()
        thread.join()


def _anonymous() -> float:
    found = re.search(r"^RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else float("nan")


def memory_map(folder: str) -> list[dict[str, Any]]:
    n, d = MAPPED
    rows = np.lib.format.open_memmap(Path(folder, "rows.npy"), "w+", np.float32, (n, d))
    rng = np.random.default_rng(0)
    for start in range(0, n, 2**16):
        part = rows[start : start + 2**16]
        part[:] = rng.standard_normal(part.shape, np.float32)
    rows.flush()
    target = rng.standard_normal(n)
    found = []
    for name, options in {
        "auto": {},
        "srht": {"method": "sketch"},
        "pooled": {"method": "sketch", "kind": "pooled"},
        "refine": {"refine": True},
    }.items():
        mapped = np.load(Path(folder, "rows.npy"), mmap_mode="r")
        with anonymous_memory() as extra:
            begun = time.process_time()
            model = fitted(16 * d, mapped, target, **options)
            seconds = time.process_time() - begun
        found.append(
            {
                "case": f"{n} x {d} float32 memory map",
                "ours": name,
                "extra_mib": extra(),
                "cpu_seconds": seconds,
            }
        )
        assert model.n_features_in_ == d
    return found


def main() -> None:
    with threadpool_limits(1):
        with tempfile.TemporaryDirectory() as folder:
            mapped = memory_map(folder)  # first, while the heap holds nothing that could be used again
        rows = [row for shape in SHAPES for row in cases(*shape)]
    notes = [
        "One thread, float64, m = 16 d. The floor is three reads of the matrix, each timed as one sum over it.",
        "For well-conditioned data in memory the normal equations win, and method='auto' takes them; the sketch wins on"
        " condition, on streams of float32 and where parts merge with error bars.",
        *(
            f"{row['case']}, {row['ours']}: {row['extra_mib']:.0f} MiB of extra anonymous memory (aim: 300),"
            f" {row['cpu_seconds']:.2f} s"
            for row in mapped
        ),
    ]
    report("linf_regression", "Regression by dense sketching", rows, ("numpy", "scipy"), notes)
    record(
        "linf_regression",
        [vars(row) | {"reached": row.reached} for row in rows] + mapped,
        ("numpy", "scipy"),
        notes,
    )
    largest = max(row["extra_mib"] for row in mapped)
    reached = sum(row.reached for row in rows)
    summarize(
        "linf_regression",
        f"{reached} of {len(rows)} aims reached; sketch and solve "
        + ", ".join(
            f"{row.times_faster:.3g} times as fast as {row.peer.split(' (')[0]} at {row.case}"
            for row in rows
            if row.ours == "sketch and solve"
        )
        + f"; at most {largest:.0f} MiB of extra memory for a memory map of 1 GiB",
    )


if __name__ == "__main__":
    main()
