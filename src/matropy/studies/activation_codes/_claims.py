"""What is claimed, and when it holds; written before anything is measured."""

from __future__ import annotations

from matropy.studies._contract import Claim
from matropy.studies._criteria import AtLeast, AtMost, Ordered, Within
from matropy.studies.activation_codes._published import MEASURED_EARLIER, MNIST_KNN, MNIST_REDUNDANCY
from matropy.studies.activation_codes._settings import SETTINGS

_WIDTHS = (10, 20, 40, 60, 100)
_SHORT = "20,000 training images and 6 epochs instead of 48,000 and 200; widths 10 to 100."
_FIGURE = "figure of MNIST, read to about 0.02"
_EARLIER = "an earlier program of ours, one initialization"
_QUICK = SETTINGS["quick"]


def _falls(kind: str, seed: int) -> Claim:
    return Claim(
        f"Redundancy of {'training' if kind == 'train' else 'test'} images falls with the width, initialization {seed + 1}",
        Ordered(*(f"{kind}_{width}_seed{seed}" for width in reversed(_WIDTHS))),
        published=", ".join(f"{pair[kind == 'test']:g}" for pair in MNIST_REDUNDANCY.values()),
        where=_FIGURE,
        departs=_SHORT,
    )


def _near(value: float, reading: float) -> tuple[float, float]:
    """Within a factor of two, or the accuracy to which the value is known."""
    return max(0.0, min(value / 2, value - reading)), max(2 * value, value + reading)


def _published(kind: str, width: int) -> Claim:
    value = MNIST_REDUNDANCY[width][kind == "test"]
    return Claim(
        f"Redundancy of {'training' if kind == 'train' else 'test'} images at width {width} is within a factor of two of the"
        " published one, or the 0.02 to which that can be read",
        Within(f"{kind}_{width}", *_near(value, 0.02)),
        published=value,
        where=_FIGURE,
        departs=_SHORT,
    )


_DETERMINISM = (
    *(_falls(kind, seed) for kind in ("train", "test") for seed in range(_QUICK.seeds)),
    *(_published(kind, width) for width in _WIDTHS for kind in ("train", "test")),
    Claim(
        "Ten units give no more than 1024 codes",
        AtMost("train_codes_10", 1024),
        where="2 to the power of 10",
        origin="theory",
    ),
    Claim(
        "Dropping units that never vary changes neither redundancy nor any distance",
        Within("dropping_changes", 0, 0),
        where="a constant bit tells no two codes apart",
        origin="theory",
    ),
    *(
        Claim(
            f"Redundancy of {name} images at width {width}",
            Within(f"{kind}_{width}", *_near(MEASURED_EARLIER[width][at], 0.01)),
            published=MEASURED_EARLIER[width][at],
            where=_EARLIER,
            origin="own",
        )
        for width in _WIDTHS
        for at, (kind, name) in enumerate((("train", "training"), ("test", "test")))
    ),
)

_TIME_AND_SAMPLES = (
    Claim(
        "At width 40 the redundancy of test images rises at least fivefold in the first 20 steps",
        AtLeast("rise_40", 5),
        published="small at the start, 0.57 after the first epoch",
        where="figure of training time, MNIST",
        departs=_SHORT,
    ),
    Claim(
        "At width 40 the redundancy of test images falls at least threefold from the first 20 steps to the end of training",
        AtLeast("fall_40", 3),
        published="0.57 to 0.10",
        where="figure of training time, MNIST",
        departs=_SHORT,
    ),
    Claim(
        "At width 40 the redundancy of test images is lower after training on all images than on 100",
        Ordered("test_40_of_all", "test_40_of_100"),
        published="0.78 for 10 images, 0.05 for 60,000",
        where="figure of sample sizes, MNIST",
        departs=_SHORT,
    ),
    Claim(
        "At width 40 the redundancy of test images falls with every step of the sample size",
        Ordered("test_40_of_all", "test_40_of_5000", "test_40_of_1000", "test_40_of_100", "test_40_of_10"),
        where="figure of sample sizes, MNIST",
        departs=_SHORT,
        expected=False,
    ),
    Claim(
        "Trained on 10 images, the network of width 40 gives test images the published redundancy, within a factor of two",
        Within("test_40_of_10", *_near(0.78, 0.02)),
        published=0.78,
        where="figure of sample sizes, MNIST",
        departs=_SHORT,
        expected=False,
    ),
    Claim(
        "The phase chart of width and sample size shows all three regimes",
        AtLeast("cells_of_rarest_regime", 1),
        where="the paper names the regimes in words; the thresholds are ours",
        departs=_SHORT,
    ),
    Claim(
        "After training, uniform noise collides at least five times as often as test images do, at width 40",
        AtLeast("random_over_real_40", 5),
        published="0.938 against 0.018",
        where=_EARLIER,
        origin="own",
    ),
    Claim(
        "Untrained networks of width 40 already keep test images apart, better than trained ones",
        Ordered("test_at_start_40", "test_40"),
        published="0.011 before training",
        where=_EARLIER,
        origin="own",
    ),
    Claim(
        "Training raises the redundancy of uniform noise at width 40",
        Ordered("random_at_start_40", "random_40"),
        published="0.003 to 0.938",
        where=_EARLIER,
        origin="own",
    ),
)

_CATEGORIZATION = (
    Claim(
        "Accuracy of nine nearest neighbours on codes rises with the width",
        Ordered(*(f"knn_{width}" for width in _WIDTHS)),
        published=", ".join(f"{value:g}" for value in MNIST_KNN.values()),
        where=_FIGURE,
        departs=_SHORT,
    ),
    Claim(
        "At width 100 nine nearest neighbours on codes come within 0.06 of the network",
        AtMost("knn_behind_network_100", 0.06),
        where="categorization: simple classifiers come close to the network",
        departs=_SHORT,
    ),
    Claim(
        "At width 100 nine nearest neighbours on codes reach the published accuracy, to 0.05",
        Within("knn_100", 0.90, 1.0),
        published=0.95,
        where=_FIGURE,
        departs=_SHORT,
    ),
    Claim(
        "At width 100 logistic regression on codes reaches the published accuracy, to 0.05",
        Within("logistic_100", 0.875, 0.975),
        published=0.925,
        where=_FIGURE,
        departs=_SHORT,
    ),
    Claim(
        "At width 100 K-Means on codes, each cluster named by its majority, reaches the published accuracy, to 0.1",
        Within("kmeans_majority_100", 0.56, 0.76),
        published=0.66,
        where=_FIGURE,
        departs=_SHORT,
    ),
    Claim(
        "Naming clusters by their majority is never less accurate than one label a cluster",
        AtLeast("majority_over_hungarian", 0),
        where="a maximum over more mappings",
        origin="theory",
    ),
    Claim(
        "Codes of one digit are nearer to each other than those of two digits, at width 100",
        Ordered("within_100", "between_100"),
        where="the premise of categorization",
        departs=_SHORT,
    ),
    *(
        Claim(
            f"Accuracy of nine nearest neighbours on codes at width {width}",
            Within(f"knn_{width}", MEASURED_EARLIER[width][2] - 0.06, MEASURED_EARLIER[width][2] + 0.06),
            published=MEASURED_EARLIER[width][2],
            where=_EARLIER,
            origin="own",
        )
        for width in _WIDTHS
    ),
)

_COLOR = (
    Claim(
        "Five layers of 10 units give the training images of CIFAR-10 the published redundancy, within a factor of two",
        Within("color_10_train", *_near(0.10, 0.02)),
        published=0.10,
        where="figure of CIFAR-10, read to about 0.02",
        departs="10,000 JPEG images and 8 epochs instead of 40,000 and 200.",
    ),
    Claim(
        "From five layers of 20 units on, almost every training image of CIFAR-10 has a code of its own",
        AtMost("color_20_train", 0.02),
        published=0,
        where="figure of CIFAR-10, read to about 0.02",
        departs="10,000 JPEG images and 8 epochs instead of 40,000 and 200.",
    ),
)

_GATES = (
    Claim(
        "The code of all gates of SmolLM2 has 30 times 1536 bits",
        Within("gates_bits", 30 * 1536, 30 * 1536),
        where="30 blocks, 1536 gated units each",
        origin="theory",
    ),
    Claim(
        "With all gates together, no two tokens of a text share a code",
        Within("gates_all_redundancy", 0, 0),
        where="determinism, carried over to language models",
        origin="own",
    ),
    Claim(
        "Beyond the first layer, a layer alone gives at least 98 of 100 tokens of a text a code of their own",
        AtMost("gates_deepest_redundancy", 0.02),
        where="determinism, carried over to language models",
        origin="own",
    ),
)

CLAIMS = _DETERMINISM + _TIME_AND_SAMPLES + _CATEGORIZATION + _COLOR + _GATES
