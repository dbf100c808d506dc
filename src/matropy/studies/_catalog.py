"""The 27 methods: which paper, which room, which study."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass

from matropy._core._errors import InputError
from matropy.reporting import Column, Table
from matropy.studies._contract import Study

__all__ = ["Method", "catalog", "catalog_table", "find_method"]


@dataclass(frozen=True)
class Method:
    """A published method.

    Attributes
    ----------
    seed : int
        Its number, 1 to 27.
    study : str
        Name of its study, as ``matropy study`` takes it.
    title : str
        What it is.
    room : str
        Where its functions are.
    paper : str
        Title of the paper.
    year : int
        Of the paper.
    """

    seed: int
    study: str
    title: str
    room: str
    paper: str
    year: int

    @property
    def available(self) -> bool:
        """Whether its study is built."""
        return importlib.util.find_spec(self._module) is not None

    def load(self) -> Study:
        """Import its study, and what that needs.

        Raises
        ------
        InputError
            If it is not built yet.
        """
        if not self.available:
            raise InputError(f"the study {self.study!r} is not built yet")
        study: Study = importlib.import_module(self._module).STUDY
        return study

    @property
    def _module(self) -> str:
        return f"matropy.studies.{self.study.replace('-', '_')}"


def catalog() -> tuple[Method, ...]:
    """All methods, in the order of their numbers.

    Examples
    --------
    >>> from matropy.studies import catalog
    >>> [method.study for method in catalog() if method.seed <= 3]
    ['matrix-nuclear-norm', 'cut-cross-entropy', 'vendi-score']
    """
    return _METHODS


def find_method(name: str) -> Method:
    """The method whose study has this name.

    Raises
    ------
    InputError
        If there is none; the message names those that are close, or all.
    """
    for method in _METHODS:
        if method.study == name:
            return method
    import difflib

    names = [method.study for method in _METHODS]
    close = difflib.get_close_matches(name, names, n=3) or names
    raise InputError(f"there is no study {name!r}; there is {', '.join(close)}")


def catalog_table() -> Table:
    """The methods as a table, for the terminal."""
    return Table(
        "Methods",
        (Column("#"), Column("Study"), Column("Runs"), Column("Method")),
        tuple(
            (method.seed, method.study, "yes" if method.available else "not yet", method.title)
            for method in _METHODS
        ),
    )


_METHODS = (
    Method(
        1,
        "matrix-nuclear-norm",
        "Matrix nuclear-norm and matrix entropy of representations",
        "metrics",
        "Large Language Model Evaluation via Matrix Nuclear-Norm",
        2025,
    ),
    Method(
        2,
        "cut-cross-entropy",
        "Cut cross-entropy",
        "nn",
        "Cut Your Losses in Large-Vocabulary Language Models",
        2025,
    ),
    Method(
        3,
        "vendi-score",
        "Vendi score",
        "metrics",
        "The Vendi Score: A Diversity Evaluation Metric for Machine Learning",
        2023,
    ),
    Method(
        4,
        "vsa-json",
        "Orthogonal MBAT encodings of JSON",
        "vsa",
        'Orthogonal Matrices for MBAT Vector Symbolic Architectures, and a "Soft" VSA Representation for JSON',
        2022,
    ),
    Method(
        5,
        "active-matter",
        "Score-based entropy production in active matter",
        "dynamics.active_matter",
        "Deep learning probability flows and entropy production rates in active matter",
        2024,
    ),
    Method(
        6,
        "augmented-covariance",
        "Augmented covariance classification of brain signals",
        "eeg",
        "Classification of BCI-EEG based on augmented covariance matrix",
        2023,
    ),
    Method(
        7,
        "gp-pde",
        "Spectral-mixture Gaussian-process solver of differential equations",
        "pde",
        "Solving High Frequency and Multi-Scale PDEs with Gaussian Processes",
        2024,
    ),
    Method(
        8,
        "kan-alloys",
        "Kolmogorov-Arnold networks for alloys",
        "nn, alloys",
        "Kolmogorov-Arnold Neural Networks for High-Entropy Alloys Design",
        2024,
    ),
    Method(
        9,
        "matrix-completion",
        "Matrix completion by robust alternating minimization",
        "recovery",
        "Low Rank Matrix Completion via Robust Alternating Minimization in Nearly Linear Time",
        2024,
    ),
    Method(
        10,
        "chaos",
        "Database of chaotic systems",
        "dynamics.chaos",
        "Chaos as an interpretable benchmark for forecasting and data-driven modelling",
        2021,
    ),
    Method(
        11,
        "multitasking-hopfield",
        "Multitasking Hebbian networks",
        "statmech.hopfield",
        "Parallel Learning by Multitasking Neural Networks",
        2023,
    ),
    Method(
        12,
        "hippo",
        "HiPPO bases and the S4 kernel",
        "nn.ssm",
        "How to Train Your HiPPO: State Space Models with Generalized Orthogonal Basis Projections",
        2023,
    ),
    Method(
        13,
        "provable-pretraining",
        "Unsupervised pretraining and its planner",
        "pretraining",
        "On the Provable Advantage of Unsupervised Pretraining",
        2024,
    ),
    Method(
        14,
        "matrix-sensing",
        "Over-parameterized matrix sensing",
        "recovery",
        "How Over-Parameterization Slows Down Gradient Descent in Matrix Sensing: The Curses of Symmetry and Initialization",
        2024,
    ),
    Method(
        15,
        "probabilistic-world",
        "Ising models and automata as quantum systems",
        "statmech.probabilistic_world",
        "The probabilistic world",
        2020,
    ),
    Method(
        16,
        "tensor-attention",
        "Tensor attention",
        "nn",
        "How to Capture Higher-order Correlations? Generalizing Matrix Softmax Attention to Kronecker Computation",
        2024,
    ),
    Method(
        17,
        "deyo",
        "DeYO test-time adaptation",
        "training",
        "Entropy is not Enough for Test-Time Adaptation: From the Perspective of Disentangled Factors",
        2024,
    ),
    Method(
        18,
        "activation-codes",
        "Neural activation codes",
        "metrics",
        "Neural networks behave as hash encoders: An empirical study",
        2021,
    ),
    Method(
        19,
        "provenance-test",
        "Provenance tests for generated text",
        "information",
        "Zero-Shot Statistical Tests for LLM-Generated Text Detection using Finite Sample Concentration Inequalities",
        2025,
    ),
    Method(
        20,
        "markov-jump",
        "Inference of Markov jump processes",
        "dynamics.markov_jump",
        "Foundation Inference Models for Markov Jump Processes",
        2024,
    ),
    Method(
        21,
        "min-entropy-coupling",
        "Minimum-entropy coupling with a bottleneck",
        "information",
        "Minimum Entropy Coupling with Bottleneck",
        2024,
    ),
    Method(
        22,
        "s4d",
        "Diagonal state space layers",
        "nn.ssm",
        "On the Parameterization and Initialization of Diagonal State Space Models",
        2022,
    ),
    Method(
        23,
        "continual-statmech",
        "Continual learning and the Franz-Parisi potential",
        "statmech.perceptron, training",
        "Statistical mechanics of continual learning: variational principle and mean-field potential",
        2023,
    ),
    Method(
        24,
        "information-bottleneck",
        "Information-bottleneck analysis by lossy compression",
        "information",
        "Information Bottleneck Analysis of Deep Neural Networks via Lossy Compression",
        2024,
    ),
    Method(
        25,
        "alloy-evidence",
        "Evidence fusion for alloy discovery",
        "alloys",
        "Synergistic Fusion of Multi-Source Knowledge via Evidence Theory for High-Entropy Alloy Discovery",
        2025,
    ),
    Method(
        26,
        "batch-size-learning-rates",
        "Learning rates from random matrix theory",
        "training",
        "Learning Rates as a Function of Batch Size: A Random Matrix Theory Approach to Neural Network Training",
        2022,
    ),
    Method(
        27,
        "linf-regression",
        "Regression with a guarantee for every coordinate",
        "recovery",
        "A Nearly-Optimal Bound for Fast Regression with ℓ∞ Guarantee",
        2023,
    ),
)
