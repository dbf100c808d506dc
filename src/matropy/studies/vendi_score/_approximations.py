"""What estimates of the score cost and miss: a Gaussian kernel of digits."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from matropy.metrics import kernels, vendi_score, vendi_score_estimate
from matropy.reporting import Column, Figure, Series, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run
from matropy.studies.vendi_score._digits import load_digits

_ITEMS = {"smoke": 120, "quick": 5000, "full": 10_000}
_SEEDS = 3


def measure_approximations(run: Run) -> Measured:
    """Errors over three seeds, and seconds, of every route beside all eigenvalues."""
    digits = load_digits(run)
    if digits is None:
        return Measured({})
    rows = digits[0][: _ITEMS[run.scale]].reshape(-1, 784) / 255.0
    # The median distance over the root of two, as sigma="median" has it.
    sigma = float(np.median(pdist(rows[:500]))) / 2**0.5
    kernel = kernels.rbf(rows, sigma=sigma)
    exact = run.step("exact", partial(_exactly, kernel))
    widths = (32, 64) if run.scale == "smoke" else (256, 512, 1024, 2048)
    routes: dict[str, dict[str, Any]] = {"slq": {"method": "slq", "kernel": "precomputed"}}
    for width in widths:
        routes |= {
            f"rff_{width}": {
                "method": "rff",
                "kernel": "rbf",
                "sigma": sigma,
                "n_features": width,
                "extrapolate": False,
            },
            f"extrapolated_{width}": {"method": "rff", "kernel": "rbf", "sigma": sigma, "n_features": width},
            f"nystrom_{width}": {"method": "nystrom", "kernel": "rbf", "sigma": sigma, "n_features": width},
            f"truncated_{width}": {"method": "truncated", "kernel": "precomputed", "rank": width},
        }
    found = {}
    with run.progress("Estimates", len(routes), "routes") as bar:
        for name, options in routes.items():
            x = kernel if options["kernel"] == "precomputed" else rows
            seeds = [run.seed] if name.startswith("truncated") else [run.seed + k for k in range(_SEEDS)]
            found[name] = run.step(f"estimate-{name}", partial(_estimates, x, options, seeds))
            bar.advance()
    score = exact["value"][0]
    values = {
        "exact_vendi": score,
        "slq_speedup": exact["seconds"][0] / float(np.median(found["slq"]["seconds"])),
    }
    for name, one in found.items():
        errors = np.asarray(one["value"]) / score - 1
        values[f"{name}_error"] = float(np.max(np.abs(errors)))
        values[f"{name}_signed_error"] = float(np.mean(errors))
    values["slq_largest_standard_errors"] = float(
        np.max(np.abs(np.asarray(found["slq"]["value"]) - score) / np.asarray(found["slq"]["standard_error"]))
    )
    values["slq_standard_error"] = float(np.max(found["slq"]["standard_error"])) / score
    largest = widths[-1]
    for name in ("rff", "extrapolated", "nystrom", "truncated"):
        values[f"{name}_largest_signed_error"] = values[f"{name}_{largest}_signed_error"]
    values["extrapolation_gain"] = abs(
        values["rff_largest_signed_error"] / values["extrapolated_largest_signed_error"]
    )
    values["landmarks_off_truncated"] = abs(
        (1 + values["nystrom_largest_signed_error"]) / (1 + values["truncated_largest_signed_error"]) - 1
    )
    return Measured(values, (_table(found, exact, values, len(rows)),), (_figure(values, widths, len(rows)),))


def _exactly(kernel: NDArray[np.float64]) -> dict[str, list[float]]:
    start = time.perf_counter()
    score = vendi_score(kernel, kernel="precomputed")
    return {"value": [score], "seconds": [time.perf_counter() - start]}


def _estimates(x: NDArray[np.float64], options: dict[str, Any], seeds: list[int]) -> dict[str, list[Any]]:
    result: dict[str, list[Any]] = {"value": [], "standard_error": [], "seconds": []}
    for seed in seeds:
        start = time.perf_counter()
        estimate = vendi_score_estimate(x, **options, rng=seed)
        result["seconds"].append(time.perf_counter() - start)
        result["value"].append(estimate.value)
        result["standard_error"].append(estimate.standard_error)
    return result


def _table(
    found: dict[str, dict[str, list[Any]]], exact: dict[str, list[float]], values: dict[str, float], n: int
) -> Table:
    names = {"rff": "Fourier features", "extrapolated": "Fourier, extrapolated", "nystrom": "landmarks"}
    rows: list[tuple[object, ...]] = [
        ("all eigenvalues", None, exact["value"][0], None, None, exact["seconds"][0])
    ]
    for name, one in found.items():
        route, _, width = name.partition("_")
        errors = one["standard_error"]
        rows.append(
            (
                names.get(route, {"slq": "Lanczos quadrature"}.get(route, route)),
                int(width) if width else None,
                float(np.mean(one["value"])),
                100 * values[f"{name}_signed_error"],
                None if errors[0] is None else float(np.mean(errors)),
                float(np.median(one["seconds"])),
            )
        )
    return Table(
        "What the estimates cost and miss",
        (
            Column("Route"),
            Column("Features", help="Frequencies, landmarks or eigenvalues kept."),
            Column("Vendi score"),
            Column("Error", "%", digits=3),
            Column("Standard error"),
            Column("Seconds", digits=2),
        ),
        tuple(rows),
        caption=f"{n} MNIST digits, Gaussian kernel of the median distance; mean of {_SEEDS} seeds. Quadrature and truncation"
        " are given the kernel matrix.",
    )


def _figure(values: dict[str, float], widths: tuple[int, ...], n: int) -> Figure:
    names = {
        "rff": "Fourier features",
        "extrapolated": "Fourier features, extrapolated",
        "nystrom": "landmarks",
        "truncated": "truncated",
    }
    return Figure(
        "Estimates that see part of the spectrum are low",
        "features",
        "share of the exact score",
        (
            *(
                Series(label, widths, [1 + values[f"{name}_{width}_signed_error"] for width in widths])
                for name, label in names.items()
            ),
            Series("exact", widths, [1.0] * len(widths), kind="reference"),
        ),
        caption=f"{n} digits. Landmarks follow the truncated score; Fourier features lose a share that falls as one over"
        " their number, which extrapolation takes out.",
        x_scale="log",
    )
