"""What is claimed, and when it holds; written before anything is measured."""

from __future__ import annotations

from matropy.studies._contract import Claim
from matropy.studies._criteria import AtLeast, AtMost, Close, Criterion, Ordered
from matropy.studies.matrix_nuclear_norm._size_ladder import by_width

_ALONE = (
    "The metric alone on random states, one thread; the published ratio includes loading and forward passes."
)
_SMOLLM2 = (
    "SmolLM2-135M-Instruct (4-bit weights) instead of Cerebras-GPT 111M; 3 texts of exactly that length."
)
_LADDER = "Four byte-level models of 35 thousand to 1.5 million parameters instead of seven of 111M to 13B."
_WIKIPEDIA = "a separate script, 8 articles cut at 256 tokens"
_ARTICLE = "a separate script, first article cut at 256 tokens"


def _guard(sentence: str, criterion: Criterion, published: float, where: str) -> Claim:
    return Claim(sentence, criterion, published=published, where=where, origin="own")


_SPEED = (
    Claim(
        "Matrix nuclear-norm is several times faster than matrix entropy by the singular values of the covariance, at every"
        " width",
        AtLeast("norm_speedup_smallest", 8.58),
        published=8.58,
        where="Cerebras-GPT 111M, the smallest published ratio",
        departs=_ALONE,
    ),
    Claim(
        "The advantage grows with the width",
        Ordered("norm_speedup_n256_d768", "norm_speedup_n256_d1536", "norm_speedup_n256_d2048"),
        published="8.58, 16.02, 17.84",
        where="Cerebras-GPT 111M, 590M, 1.3B",
        departs=_ALONE,
    ),
    Claim(
        "The smaller Gram matrix gives the same entropy as the singular values of the covariance",
        AtMost("entropy_difference", 1e-4),
        where="XᵀX and XXᵀ share their non-zero eigenvalues; float32",
        origin="theory",
    ),
    Claim(
        "Exact entropy through the smaller Gram matrix is 100 times faster for 256 tokens of width 2048",
        AtLeast("entropy_speedup_n256_d2048", 100),
        published=615,
        where="an earlier measurement, one core",
        origin="own",
    ),
    Claim(
        "Exact entropy through the smaller Gram matrix is 10 times faster for 1024 tokens of width 2048",
        AtLeast("entropy_speedup_n1024_d2048", 10),
        published=27,
        where="an earlier measurement, one core",
        origin="own",
    ),
)

_GEOMETRY = (
    Claim(
        "States without any structure score lower as they get wider",
        Ordered("null_5120", "null_4096", "null_2560", "null_2048", "null_1536", "null_1088", "null_768"),
        where="the null falls as √(N/d) for N ≪ d",
        origin="theory",
    ),
    Claim(
        "Divided by the null of structureless states, the published norms of Dolly-15k do not fall from the smallest model"
        " to the largest",
        Ordered("over_null_dolly_768", "over_null_dolly_5120"),
        where="the paper's own table, over isotropic_null(256, d)",
        origin="own",
        departs="The lengths of the paper's texts are not known: 256 tokens are assumed.",
    ),
    Claim(
        "Divided by the null of structureless states, those of OpenWebText2 do not either",
        Ordered("over_null_openwebtext2_768", "over_null_openwebtext2_5120"),
        where="the paper's own table, over isotropic_null(256, d)",
        origin="own",
        departs="The lengths of the paper's texts are not known: 256 tokens are assumed.",
    ),
)

_TEXTS = (
    Claim(
        "Longer texts have a larger matrix nuclear-norm",
        Ordered(*(f"norm_length_{n}" for n in (32, 64, 128, 256, 512))),
        published=".4574, .5293, .7883, .9132 at 64, 128, 512, 1024 tokens",
        where="Cerebras-GPT 111M",
        departs=_SMOLLM2,
    ),
    Claim(
        "Shuffling the words of a text raises its matrix nuclear-norm",
        Ordered("norm_original", "norm_shuffled"),
        where="figure 3",
        departs="SmolLM2-135M-Instruct, 8 texts of 160 words.",
        expected=False,
    ),
    Claim(
        "Reversing the words of a text raises its matrix nuclear-norm",
        Ordered("norm_original", "norm_reversed"),
        where="figure 3",
        departs="SmolLM2-135M-Instruct, 8 texts of 160 words.",
        expected=False,
    ),
    Claim(
        "RankMe dips in the middle of the network",
        Ordered("article_rankme_15", "article_rankme_1", "article_rankme_30"),
        published="22.7 < 120.8 < 139.0",
        where=_ARTICLE,
        origin="own",
    ),
    _guard(
        "Matrix nuclear-norm of an article",
        Close("article_matrix_nuclear_norm", 0.7159, atol=5e-4),
        0.7159,
        _ARTICLE,
    ),
    _guard(
        "Matrix entropy of an article", Close("article_matrix_entropy", 3.8524, atol=2e-3), 3.8524, _ARTICLE
    ),
    _guard("Loss on an article", Close("article_loss", 2.6778, atol=1e-3), 2.6778, _ARTICLE),
    _guard(
        "Matrix nuclear-norm of Wikipedia",
        Close("wikipedia_matrix_nuclear_norm", 0.7009, atol=5e-4),
        0.7009,
        _WIKIPEDIA,
    ),
    _guard(
        "Matrix entropy of Wikipedia",
        Close("wikipedia_matrix_entropy", 3.6588, atol=2e-3),
        3.6588,
        _WIKIPEDIA,
    ),
    _guard(
        "Exact nuclear norm of Wikipedia",
        Close("wikipedia_matrix_nuclear_norm_exact", 0.6119, atol=5e-4),
        0.6119,
        _WIKIPEDIA,
    ),
    _guard("Anisotropy on Wikipedia", Close("wikipedia_anisotropy", 0.460, atol=1e-3), 0.460, _WIKIPEDIA),
    _guard("RankMe on Wikipedia", Close("wikipedia_rankme", 132.9, atol=0.1), 132.9, _WIKIPEDIA),
    _guard("Loss on Wikipedia", Close("wikipedia_loss", 2.586, atol=1e-3), 2.586, _WIKIPEDIA),
    _guard(
        "Bits per byte on Wikipedia", Close("wikipedia_bits_per_byte", 0.876, atol=1e-3), 0.876, _WIKIPEDIA
    ),
)

_SIZES = (
    Claim(
        "Loss falls with the size of the model",
        Ordered(*by_width("loss")[::-1]),
        published="3.671 … 2.310",
        where="Cerebras-GPT 111M … 13B, Dolly-15k",
        departs=_LADDER,
    ),
    Claim(
        "Matrix entropy relative to ln d falls with the size of the model",
        Ordered(*by_width("matrix_entropy_relative")[::-1]),
        published=".5976 … .4859",
        where="Cerebras-GPT 111M … 13B, Dolly-15k",
        departs=_LADDER,
    ),
    Claim(
        "Matrix entropy divided by that of structureless states falls with the size of the model",
        Ordered(*by_width("matrix_entropy_calibrated")[::-1]),
        published=".644, .555, .503, .489",
        where="an earlier ladder of ours, other text and training",
        origin="own",
    ),
    Claim(
        "Training lowers the matrix entropy of the largest model of the ladder",
        Ordered("ladder_matrix_entropy_relative_192", "ladder_untrained_matrix_entropy_relative_192"),
        where="the premise of Diff-eRank, NeurIPS 2024",
        origin="peer",
        departs=_LADDER,
        expected=False,
    ),
    Claim(
        "Matrix nuclear-norm falls with the size of the model",
        Ordered(*by_width("matrix_nuclear_norm")[::-1]),
        published=".6207 … .4859, not at every step",
        where="Cerebras-GPT 111M … 13B, Dolly-15k",
        departs=_LADDER + " Texts have more tokens (256) than the models features.",
        expected=False,
    ),
    Claim(
        "While texts have more tokens than the model features, matrix nuclear-norm rises with size",
        Ordered(*by_width("matrix_nuclear_norm")),
        published=".5041, .6186, .7142",
        where="Pythia 14M, 31M, 70M, OpenWebText2",
        departs="Byte-level models of widths 32 to 192 on passages of 256 bytes.",
    ),
    Claim(
        "No norm exceeds √(min(N, d)/N)",
        AtMost("ladder_norm_over_bound", 1),
        where="Cauchy-Schwarz",
        origin="theory",
    ),
)

CLAIMS = _SPEED + _GEOMETRY + _TEXTS + _SIZES
