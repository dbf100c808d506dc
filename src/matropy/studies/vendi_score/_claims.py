"""What is claimed, and when it holds; written before anything is measured."""

from __future__ import annotations

from matropy.studies._contract import Claim
from matropy.studies._criteria import AtLeast, AtMost, Close, Ordered, Within

_NOTEBOOK = "the authors' molecule notebook"
_MODELS = (
    "Character models trained on MOSES for this comparison instead of the authors' eight generators, whose samples are not"
    " available."
)
_DIGITS = "Digit classes of MNIST instead of genres of MultiNLI; mean of five draws."
_KERNEL = "Gaussian kernel of 5000 digits"

_PROPERTIES = (
    Claim(
        "n items that are all unlike have score n",
        AtMost("unlike_deviation", 1e-9),
        where="effective number",
    ),
    Claim("Items that are all alike have score 1", AtMost("alike_deviation", 1e-9), where="effective number"),
    Claim(
        "Repeated items equal the distinct ones weighted by their frequencies",
        AtMost("duplicates_deviation", 1e-9),
        where="identical elements",
    ),
    Claim(
        "The order of the items does not matter", AtMost("order_of_items_deviation", 1e-9), where="symmetry"
    ),
    Claim(
        "For dissimilar groups, ln VS is the entropy of their shares plus the mean of theirs",
        AtMost("partition_deviation", 1e-9),
        where="partitioning",
    ),
    Claim(
        "The score does not rise with its order",
        AtMost("rise_with_order_deviation", 1e-9),
        where="Hill numbers; Pasarkar and Dieng, 2024",
        origin="theory",
    ),
    Claim(
        "Three items, two of them alike to 0.9",
        Close("toy", 2.1573, atol=5e-5),
        published=2.1573,
        where="README",
    ),
    Claim(
        "Five sentences about Spot, words and pairs of words",
        Close("sentences", 3.91, atol=5e-3),
        published=3.91,
        where="README",
    ),
)

_MOLECULES = (
    Claim(
        "Vendi score of the first 1500 MOSES test molecules",
        Within("real_vendi", 403.92, 403.94),
        published=403.93,
        where=_NOTEBOOK,
    ),
    Claim(
        "Their internal diversity",
        Close("real_diversity", 0.8551, atol=5e-5),
        published=0.8551,
        where=_NOTEBOOK,
    ),
    Claim(
        "The Vendi score ranks the sets by how much of the language of molecules their model has learned",
        Ordered("char3_vendi", "char5_vendi", "char10_vendi", "real_vendi"),
        published="HMM 250.89 far below the others, 475 to 537",
        where=_NOTEBOOK,
        departs=_MODELS,
    ),
    Claim(
        "Internal diversity ranks them the other way round",
        Ordered("real_diversity", "char10_diversity", "char5_diversity", "char3_diversity"),
        published="HMM .8707, above six of the others",
        where=_NOTEBOOK,
        departs=_MODELS,
    ),
    *(
        Claim(
            f"The score of order 0 counts the distinct fingerprints of {label}",
            Close(f"{name}_rank", distinct, atol=0.5),
            published=distinct,
            where="numpy.unique",
            origin="own",
        )
        for name, label, distinct in (
            ("real", "MOSES", 1500),
            ("char3", "the model of order 3", 784),
            ("char5", "the model of order 5", 900),
            ("char10", "the model of order 10", 1354),
        )
    ),
    Claim(
        "Small orders see rare molecules and no rounding: order 0.1 of the model of order 3",
        Close("char3_order_tenth", 713.33, atol=0.05),
        published=713.33,
        where="an earlier measurement; vendi-score 0.0.3 counts noise and gives 724.4",
        origin="own",
    ),
    Claim(
        "At order 2, where common motifs decide, the model of the longest contexts comes before MOSES",
        Ordered("char3_order_2", "char5_order_2", "real_order_2", "char10_order_2"),
        published="24.20, 38.75, 40.75, 43.99",
        where="an earlier measurement",
        origin="own",
    ),
)

_MODES = (
    Claim(
        "Vendi scores of the ten classes of MNIST test digits, each to two digits",
        AtMost("digits_largest_difference", 0.00505),
        published="7.68 5.31 12.18 9.97 11.10 13.51 9.06 9.58 9.69 8.56",
        where="README",
    ),
    Claim(
        "The Vendi score follows the number of classes in a set of 500 more closely than internal diversity does",
        Ordered("modes_diversity_spearman", "modes_vendi_spearman"),
        published="rank correlation 1.00 against .939",
        where="the authors' notebook on mode dropping",
        departs=_DIGITS,
    ),
)

_ESTIMATES = (
    Claim(
        "Lanczos quadrature is within 1 % of all eigenvalues",
        AtMost("slq_error", 0.01),
        where=f"{_KERNEL}, worst of three seeds",
        origin="own",
    ),
    Claim(
        "Its errors are within four of its standard errors",
        AtMost("slq_largest_standard_errors", 4.0),
        where=f"{_KERNEL}, worst of three seeds",
        origin="own",
    ),
    Claim(
        "Its standard error is at most 1 %", AtMost("slq_standard_error", 0.01), where=_KERNEL, origin="own"
    ),
    Claim(
        "It is at least five times faster than all eigenvalues",
        AtLeast("slq_speedup", 5.0),
        published=9.5,
        where=f"{_KERNEL}; an earlier measurement, one core",
        origin="own",
    ),
    Claim(
        "The score of Fourier features is low",
        AtMost("rff_largest_signed_error", 0.0),
        where="2048 frequencies",
        origin="own",
    ),
    Claim(
        "Extrapolation in one over their number takes out more than half of the error",
        AtLeast("extrapolation_gain", 2.0),
        where=f"{_KERNEL}, 2048 frequencies, mean of three seeds",
        origin="own",
    ),
    Claim(
        "The truncated score is below the exact one",
        AtMost("truncated_largest_signed_error", 0.0),
        where="the tail is made flat over as many directions as were kept",
        origin="theory",
    ),
    Claim(
        "Landmarks tend to the truncated score",
        AtMost("landmarks_off_truncated", 0.05),
        published="within 5 %",
        where="Ospanov and Farnia, 2025; 2048 landmarks",
        origin="own",
    ),
)

CLAIMS = (*_PROPERTIES, *_MOLECULES, *_MODES, *_ESTIMATES)
