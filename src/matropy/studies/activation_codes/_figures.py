"""Tables and plots of the networks on digits."""

from __future__ import annotations

from statistics import mean
from typing import Any, Literal

from matropy.metrics import PhaseChart
from matropy.reporting import Column, Figure, HeatMap, Series, Table
from matropy.studies.activation_codes._published import MNIST_KNN, MNIST_REDUNDANCY
from matropy.studies.activation_codes._settings import Setting

__all__ = [
    "accuracy_figure",
    "chart_figure",
    "code_table",
    "random_figure",
    "regime_table",
    "samples_figure",
    "time_figure",
    "width_figure",
    "width_table",
]

Networks = dict[int, list[dict[str, Any]]]


def width_table(by_width: Networks, data: str, setting: Setting) -> Table:
    """Means over seeds, one row a width."""
    columns = {
        "train": Column("Training redundancy"),
        "test": Column("Test redundancy"),
        "network": Column("Network accuracy"),
        "knn": Column("9-NN on codes"),
        "logistic": Column("Logistic on codes"),
        "kmeans_majority": Column("K-Means, majority", help="Each cluster stands for its majority label."),
        "kmeans_hungarian": Column("K-Means, one-to-one", help="Each cluster stands for a label of its own."),
    }
    return Table(
        f"Width of the hidden layer, {data}",
        (Column("Width"), *columns.values()),
        tuple(
            (width, *(mean(of[name] for of in networks) for name in columns))
            for width, networks in by_width.items()
        ),
        caption=f"Means over {setting.seeds} seeds; {setting.images} training images, {setting.recipe.epochs} epochs;"
        f" redundancy of {setting.test_images} test images, accuracies on {setting.classified} of them.",
    )


def code_table(networks: dict[int, dict[str, Any]], setting: Setting) -> Table:
    """What else the codes of the test images tell, of the first seed."""
    columns = {
        "collision_share": Column("Collision share", help="Images whose code another image has too."),
        "dead": Column("Dead units"),
        "always_on": Column("Always on"),
        "bit_entropy": Column("Bit entropy", "bits"),
        "effective_codes": Column("Effective codes", help="Exponential of the entropy of the codes."),
        "codebook_size": Column(
            "Code book",
            help="Equally likely codes that would show as many different ones; empty: no collision.",
        ),
        "within": Column("Distance within", "of w", help="Mean Hamming distance of images of one digit."),
        "between": Column("Distance between", "of w", help="Mean Hamming distance of images of two digits."),
    }
    return Table(
        "The codes of the test images",
        (Column("Width"), *columns.values()),
        tuple((width, *(of[name] for name in columns)) for width, of in networks.items()),
        caption=f"First seed, {setting.test_images} images.",
    )


def regime_table(chart: PhaseChart) -> Table:
    """The regimes of the phase chart, one row a sample size."""
    return Table(
        "Regimes",
        (Column("Samples"), *(Column(f"width {width:g}") for width in chart.x)),
        tuple((f"{y:g}", *map(str, row)) for y, row in zip(chart.y, chart.regime, strict=True)),
        caption="Under-expressive: redundancy above 0.05. Sufficient: at most 0.001, and 9-NN within 0.02 of the widest"
        " network. Critical: between.",
    )


def width_figure(by_width: Networks, data: str) -> Figure:
    """Redundancy over width, beside what is read off the paper's figure."""
    widths = list(by_width)
    series = [_over_seeds(f"{name} images", by_width, name) for name in ("training", "test")]
    if "MNIST" in data:
        series += [
            Series(
                f"{name}, published",
                list(MNIST_REDUNDANCY),
                [pair[at] for pair in MNIST_REDUNDANCY.values()],
                kind="points",
            )
            for at, name in enumerate(("training", "test"))
        ]
    return Figure(
        "Wider networks tell more images apart",
        "units of the hidden layer",
        "redundancy",
        tuple(series),
        caption=f"Share of surplus images, whose code came before; {data}, band over seeds. Published values are read off a"
        " figure, to about 0.02, of networks trained 200 epochs on 48,000 images.",
        x_scale="log" if widths[-1] > 20 * widths[0] else "linear",
    )


def accuracy_figure(by_width: Networks) -> Figure:
    """Accuracies over width."""
    names = {
        "network": "the network itself",
        "knn": "9-NN on codes",
        "logistic": "logistic regression on codes",
        "kmeans_hungarian": "K-Means on codes, one-to-one",
    }
    series = [_over_seeds(label, by_width, name) for name, label in names.items()]
    if set(by_width) & set(MNIST_KNN):
        series.append(Series("9-NN, published", list(MNIST_KNN), list(MNIST_KNN.values()), kind="points"))
    return Figure(
        "Simple classifiers read the codes",
        "units of the hidden layer",
        "accuracy",
        tuple(series),
        caption="Trained on the codes of the training images and scored on those of test images, K-Means apart; no further"
        " training of the network.",
    )


def time_figure(by_width: Networks) -> Figure:
    """Redundancy of the test images over training."""
    return Figure(
        "Redundancy jumps in the first steps, then falls",
        "epochs",
        "redundancy of test images",
        tuple(
            Series(
                f"width {width}",
                [look[0] for look in networks[0]["curve"]],
                [max(look[1], 1e-4) for look in networks[0]["curve"]],
            )
            for width, networks in by_width.items()
        ),
        caption="First seed; the second point is after the first few optimizer steps. Values below 0.0001 are drawn"
        " there.",
        y_scale="log",
    )


def samples_figure(by_samples: dict[tuple[int, int], dict[str, Any]]) -> Figure:
    """Redundancy of the test images over the number of training images."""
    widths = sorted({width for width, _ in by_samples})
    samples = sorted({samples for _, samples in by_samples})
    return Figure(
        "Few training images make test images collide",
        "different training images",
        "redundancy of test images",
        tuple(
            Series(f"width {width}", samples, [by_samples[width, n]["test"] for n in samples])
            for width in widths
        ),
        caption="Subsets are repeated to the full length, so every network takes as many steps.",
        x_scale="log",
    )


def random_figure(by_width: Networks) -> Figure:
    """Real images beside uniform noise, before and after training."""
    widths = list(by_width)

    def means(at: int, column: int) -> list[float]:
        return [mean(of["curve"][at][column] for of in networks) for networks in by_width.values()]

    return Figure(
        "Training folds noise together, far more than images",
        "units of the hidden layer",
        "redundancy",
        (
            Series("test images, trained", widths, means(-1, 1)),
            Series("uniform noise, trained", widths, means(-1, 2)),
            Series("test images, untrained", widths, means(0, 1), kind="reference"),
            Series("uniform noise, untrained", widths, means(0, 2), kind="reference"),
        ),
        caption="As many noise inputs as test images, each pixel uniform in [0, 1].",
    )


def chart_figure(chart: PhaseChart, name: Literal["redundancy", "accuracy"]) -> HeatMap:
    """The phase chart in one colour."""
    words = {"redundancy": "redundancy of test images", "accuracy": "accuracy of 9-NN on codes"}
    return HeatMap(
        f"Phase chart: {words[name]}",
        "units of the hidden layer",
        "different training images",
        [f"{x:g}" for x in chart.x],
        [f"{y:g}" for y in chart.y[::-1]],
        getattr(chart, name)[::-1].tolist(),
    )


def _over_seeds(label: str, by_width: Networks, name: str) -> Series:
    """Mean over the seeds, with their range."""
    key = {"training images": "train", "test images": "test"}.get(label, name)
    of = [[network[key] for network in networks] for networks in by_width.values()]
    return Series(
        label,
        list(by_width),
        [mean(values) for values in of],
        low=[min(values) for values in of],
        high=[max(values) for values in of],
    )
