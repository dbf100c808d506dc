"""Every figure with its sentence: what it measures, what pure chance gives, when not to trust it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CODES", "COSTLY", "MEASURES", "METRICS", "OF_ALL_TEXTS", "SCORES", "Metric"]


@dataclass(frozen=True)
class Metric:
    """What a reader has to know about one figure.

    Attributes
    ----------
    title : str
        Its name in a sentence.
    unit : str
        ``"nats"``, ``"bits/byte"`` or empty when it is a pure number.
    what : str
        What it measures.
    null : str
        What states or predictions without structure give.
    caution : str
        When not to trust it.
    """

    title: str
    unit: str
    what: str
    null: str
    caution: str


MEASURES = {
    "matrix_nuclear_norm": Metric(
        "Matrix nuclear-norm",
        "",
        "Sum of the largest column norms of the centered, row-normalized hidden states over the number of tokens:"
        " a quick stand-in for how many directions the tokens fill.",
        "The dashed line: what independent Gaussian states of this length and width would give.",
        "Depends on text length and width through geometry alone, and on the choice of axes; never compare it"
        " between models of different width.",
    ),
    "matrix_nuclear_norm_calibrated": Metric(
        "Matrix nuclear-norm, calibrated",
        "",
        "The matrix nuclear-norm over its value for Gaussian states of the same shape.",
        "1 for states without structure; structured states may exceed it.",
        "Shares the surrogate's dependence on the feature axes; prefer the calibrated entropy to compare models.",
    ),
    "matrix_nuclear_norm_exact": Metric(
        "Nuclear norm, exact",
        "",
        "Sum of the singular values of the normalized states over the number of tokens; independent of the axes.",
        "At most the square root of min(N, d) / N.",
        "Depends on length and width as the surrogate does.",
    ),
    "matrix_entropy": Metric(
        "Matrix entropy",
        "nats",
        "Entropy of the spectrum of the normalized states: the logarithm of the number of directions in use.",
        "Just below ln min(N - 1, d) for states without structure.",
        "Grows with the length of a text; compare at equal length, or calibrated.",
    ),
    "matrix_entropy_relative": Metric(
        "Matrix entropy over ln d",
        "",
        "Matrix entropy as a share of the largest that the width allows, as the paper reports it.",
        "1 only for texts much longer than the width.",
        "A short text cannot reach 1 however its states lie.",
    ),
    "matrix_entropy_calibrated": Metric(
        "Matrix entropy, calibrated",
        "",
        "Matrix entropy over its value for Gaussian states of the same shape: the figure to compare across models.",
        "1 for states without structure; less is compression.",
        "Not defined for two tokens; texts of very different content still differ.",
    ),
    "effective_rank": Metric(
        "Effective rank",
        "",
        "Exponential of the matrix entropy: how many directions the tokens of a text fill.",
        "Between 1 and min(N - 1, d).",
        "Grows with the length of a text.",
    ),
    "renyi_entropy_2": Metric(
        "Collision entropy",
        "nats",
        "Rényi entropy of order 2 of the spectrum; weighs the strongest directions more than matrix entropy does.",
        "Never above the matrix entropy.",
        "A single outlying token direction can pull it down.",
    ),
    "participation_ratio": Metric(
        "Participation ratio",
        "",
        "Exponential of the collision entropy: the number of strong directions.",
        "Between 1 and min(N - 1, d).",
        "Insensitive to the tail of the spectrum.",
    ),
    "anisotropy": Metric(
        "Anisotropy",
        "",
        "Mean cosine between the raw states of different tokens.",
        "0 for isotropic states, 1 when all point the same way.",
        "A few outlier dimensions of large scale can dominate it.",
    ),
    "rankme": Metric(
        "RankMe",
        "",
        "Exponential of the entropy of the raw singular values over their sum.",
        "Between 1 and min(N, d).",
        "Neither centered nor normalized: one token of huge norm, common in middle layers, makes it collapse.",
    ),
    "alpha_req": Metric(
        "Spectral decay (α-ReQ)",
        "",
        "Exponent of the power law that the eigenvalues of the centered covariance follow.",
        "0 for a flat spectrum; near 1 for codes at the edge of smoothness.",
        "A fit to ranks 3 to 100: look at the spectrum before believing one number. Not defined for short texts.",
    ),
}

COSTLY = ("rankme", "alpha_req")
"""Measures from the spectrum of raw states, which is found for them alone."""

OF_ALL_TEXTS = {
    "vendi_score": Metric(
        "Vendi score",
        "texts",
        "How many texts that are wholly unlike each other the mean states of all texts are worth, by their cosines.",
        "1 when a layer takes all texts for the same, their number (or the width, if that is less) when none has"
        " anything to do with another.",
        "Grows with the number of texts: compare over the same ones. A direction that all mean states share, which"
        " late layers often have, keeps it low.",
    ),
}

CODES = {
    "code_redundancy": Metric(
        "Code redundancy",
        "",
        "Share of a text's tokens that are surplus to its different codes; the code of a token says which gated units"
        " of all blocks it switches on.",
        "0: with thousands of units every token has a code of its own, unless a token and all before it repeat.",
        "Grows with the number of tokens and falls with that of units; the codes of single blocks say more.",
    ),
}

SCORES = {
    "loss": Metric(
        "Loss",
        "nats",
        "Mean negative log-likelihood of the next token.",
        "The logarithm of the vocabulary for a uniform guess.",
        "Comparable only between models of one tokenizer; use bits per byte otherwise.",
    ),
    "perplexity": Metric(
        "Perplexity",
        "",
        "Exponential of the loss pooled over all scored tokens.",
        "The size of the vocabulary for a uniform guess.",
        "Comparable only between models of one tokenizer.",
    ),
    "bits_per_byte": Metric(
        "Bits per byte",
        "bits/byte",
        "Total loss in bits over the UTF-8 bytes of the scored text: what an ideal compressor with this model needs.",
        "8 for no model at all.",
        "The first token of every window is given, not predicted; with short windows that flatters.",
    ),
    "conditional_entropy": Metric(
        "Conditional entropy",
        "nats",
        "Mean entropy of the model's own prediction of the next token: how unsure it believes it is.",
        "Equal to the loss for a calibrated model.",
        "Says nothing about being right.",
    ),
    "provenance_statistic": Metric(
        "Provenance statistic",
        "nats",
        "Mean surprise of a text's tokens less the mean entropy of the predictions.",
        "0 on average for text that the model itself sampled at temperature 1; below for its text at a lower one.",
        "No test by itself: `matropy provenance` gives the false-alarm level, under a declared decoding.",
    ),
}

METRICS = {**MEASURES, **OF_ALL_TEXTS, **CODES, **SCORES}
