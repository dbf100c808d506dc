"""Networks on digits over width, training time and sample size: one training a cell, everything read off it."""

from __future__ import annotations

import warnings
from functools import partial
from itertools import product
from statistics import mean
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsOneClassifier

from matropy.metrics import CodeBook, HammingKNN, PhaseChart, cluster_accuracy, phase_chart
from matropy.studies._contract import Measured
from matropy.studies._run import Run
from matropy.studies.activation_codes import _figures as figures
from matropy.studies.activation_codes._images import Images
from matropy.studies.activation_codes._networks import accuracy_of, codes_of, multilayer_perceptron, train
from matropy.studies.activation_codes._settings import Setting

__all__ = ["measure_digits"]

Network = dict[str, Any]
_PROFILED = 1000


def measure_digits(run: Run, setting: Setting, images: Images) -> Measured:
    """Train all cells of the sweeps and read the claims' values off them."""
    cells = [(width, len(images.x), seed) for width, seed in product(setting.widths, range(setting.seeds))]
    cells += [(width, samples, 0) for width, samples in product(setting.widths, setting.samples)]
    networks = {}
    with run.progress("Training on digits", len(cells), "networks") as bar:
        for width, samples, seed in cells:
            networks[width, samples, seed] = run.step(
                f"digits-{width}-{samples}-{seed}",
                partial(_measure_network, run, setting, images, width, samples, seed),
            )
            bar.advance()
    everything = len(images.x)
    by_width = {
        width: [networks[width, everything, seed] for seed in range(setting.seeds)]
        for width in setting.widths
    }
    by_samples = {
        (width, samples): networks[width, samples, 0]
        for width, samples in product(setting.widths, (*setting.samples, everything))
    }
    chart = phase_chart(
        [
            {"size": width, "samples": samples, "redundancy": of["test"], "accuracy": of["knn"]}
            for (width, samples), of in by_samples.items()
        ]
    )
    return Measured(
        _values(setting, by_width, by_samples, chart, everything),
        (
            figures.width_table(by_width, images.name, setting),
            figures.code_table({width: of[0] for width, of in by_width.items()}, setting),
            figures.regime_table(chart),
        ),
        (
            figures.width_figure(by_width, images.name),
            figures.accuracy_figure(by_width),
            figures.time_figure(by_width),
            figures.samples_figure(by_samples),
            figures.random_figure(by_width),
            figures.chart_figure(chart, "redundancy"),
            figures.chart_figure(chart, "accuracy"),
        ),
    )


def _measure_network(
    run: Run, setting: Setting, images: Images, width: int, samples: int, seed: int
) -> Network:
    """Train one network, look at its codes on the way, and categorize by them at the end."""
    with torch.random.fork_rng():
        torch.manual_seed(run.seed + seed)
        model = multilayer_perceptron(images.x.shape[1], width).to(run.device)
        noise = torch.rand(images.test_x.shape).to(run.device)
    steps_per_epoch = -(-len(images.x) // setting.recipe.batch)
    curve: list[list[float]] = []

    def look(step: int) -> None:
        codes, of_noise = codes_of(model, images.test_x), codes_of(model, noise)
        curve.append([step / steps_per_epoch, codes.redundancy(), of_noise.redundancy()])

    train(
        model,
        *images.first(samples),
        setting.recipe,
        seed=run.seed + seed,
        stop_at={setting.first_steps, *(epoch * steps_per_epoch for epoch in setting.epochs)},
        look=look,
    )
    training, test = codes_of(model, images.x[:samples]), codes_of(model, images.test_x)
    labels, test_labels = images.y[:samples].cpu().numpy(), images.test_y.cpu().numpy()
    classified = _first(test, setting.classified)
    truth = test_labels[: setting.classified]
    found: Network = {
        "curve": curve,
        "train": training.redundancy(),
        "test": test.redundancy(),
        "random": curve[-1][2],
        "network": accuracy_of(
            model, images.test_x[: setting.classified], images.test_y[: setting.classified]
        ),
        "knn": HammingKNN(min(9, samples)).fit(training, labels).score(classified, truth),
    }
    if samples == len(images.x):
        found |= _describe(training, test, test_labels)
        found |= _categorize(training, labels, classified, truth)
    return found


def _describe(training: CodeBook, test: CodeBook, labels: np.ndarray[Any, Any]) -> Network:
    """Measures of the codes beyond their redundancy."""
    profiled = _first(test, _PROFILED)
    same = labels[: len(profiled), None] == labels[None, : len(profiled)]
    other = ~np.eye(len(profiled), dtype=bool)
    distances = profiled.hamming() / test.n_bits
    varying = test.drop_constant()
    return {
        "train_codes": len(training.unique()),
        "collision_share": test.collision_share(),
        "dead": float(test.dead().mean()),
        "always_on": float(test.always_on().mean()),
        "bit_entropy": test.bit_entropy(base=2),
        "effective_codes": test.effective_codes(),
        "collision_entropy": test.entropy(order=2),
        "codebook_size": test.codebook_size(),
        "within": float(distances[same & other].mean()),
        "between": float(distances[~same].mean()),
        "dropping_changes": abs(varying.redundancy() - test.redundancy())
        + float(np.abs(_first(varying, _PROFILED).hamming() - profiled.hamming()).max()),
    }


def _first(book: CodeBook, codes: int) -> CodeBook:
    return CodeBook(book.packed[:codes], book.n_bits)


def _categorize(
    training: CodeBook, labels: np.ndarray[Any, Any], test: CodeBook, truth: np.ndarray[Any, Any]
) -> Network:
    """Accuracies of the other simple classifiers on the codes as 0/1 vectors."""
    bits = test.to_bits().astype(np.float32)
    with warnings.catch_warnings():
        # The paper's defaults; and a narrow network may have fewer codes than there are digits.
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = KMeans(10, n_init=10, random_state=0).fit_predict(bits)
        logistic = OneVsOneClassifier(LogisticRegression()).fit(training.to_bits().astype(np.float32), labels)
    return {
        "logistic": float(logistic.score(bits, truth)),
        "kmeans_majority": cluster_accuracy(truth, clusters, method="majority"),
        "kmeans_hungarian": cluster_accuracy(truth, clusters),
    }


def _values(
    setting: Setting,
    by_width: dict[int, list[Network]],
    by_samples: dict[tuple[int, int], Network],
    chart: PhaseChart,
    everything: int,
) -> dict[str, float]:
    values: dict[str, float] = {}
    for width, networks in by_width.items():
        for name in ("train", "test"):
            values |= {f"{name}_{width}_seed{seed}": of[name] for seed, of in enumerate(networks)}
        for name in (
            "train",
            "test",
            "random",
            "knn",
            "network",
            "logistic",
            "kmeans_majority",
            "kmeans_hungarian",
        ):
            values[f"{name}_{width}"] = mean(of[name] for of in networks)
        values[f"train_codes_{width}"] = max(of["train_codes"] for of in networks)
        values[f"rise_{width}"], values[f"fall_{width}"] = _rise_and_fall(networks)
        values[f"random_over_real_{width}"] = values[f"random_{width}"] / max(values[f"test_{width}"], 1e-9)
        for name, column in (("test", 1), ("random", 2)):
            values[f"{name}_at_start_{width}"] = mean(of["curve"][0][column] for of in networks)
        values[f"knn_behind_network_{width}"] = values[f"network_{width}"] - values[f"knn_{width}"]
        values[f"within_{width}"] = mean(of["within"] for of in networks)
        values[f"between_{width}"] = mean(of["between"] for of in networks)
    for (width, samples), of in by_samples.items():
        key = "all" if samples == everything else samples
        values[f"test_{width}_of_{key}"] = of["test"]
    every = [of for networks in by_width.values() for of in networks]
    values["dropping_changes"] = max(of["dropping_changes"] for of in every)
    values["majority_over_hungarian"] = min(of["kmeans_majority"] - of["kmeans_hungarian"] for of in every)
    regimes = {name: int((chart.regime == name).sum()) for name in ("under", "critical", "sufficient")}
    values |= {f"cells_{name}": count for name, count in regimes.items()}
    values["cells_of_rarest_regime"] = min(regimes.values())
    return values


def _rise_and_fall(networks: list[Network]) -> tuple[float, float]:
    """How many times the redundancy rises in the first steps, and falls from there to the end; means over seeds."""
    start, early, end = (mean(of["curve"][at][1] for of in networks) for at in (0, 1, -1))
    return early / max(start, 1e-9), early / max(end, 1e-9)
