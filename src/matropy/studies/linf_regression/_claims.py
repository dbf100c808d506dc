"""What is claimed, and when it holds; written before anything is measured."""

from __future__ import annotations

from matropy.studies._contract import Claim
from matropy.studies._criteria import AtLeast, AtMost, Close, Ordered, Within

_NO_EXPERIMENTS = "The paper has no experiments; this instance and these sizes are ours."
_STREAMED = "Rows in chunks of 8192, the Hadamard matrix virtual; m = 1024."
_ROWS_LAW = "exact for a Gaussian sketch"

_NECESSITY = (
    Claim(
        "A dense sketch keeps every coefficient accurate: signs and a Hadamard matrix",
        AtMost("srht_error", 4),
        where="abstract",
        departs=_NO_EXPERIMENTS,
    ),
    Claim(
        "A sparse sketch cannot: the largest error of a count sketch is more than twice as large",
        AtLeast("countsketch_over_srht", 2),
        where="abstract: a dense sketch is necessary",
        departs=_NO_EXPERIMENTS,
    ),
    Claim(
        "One collision puts a coefficient of the count sketch off by √(d/3m)",
        Close("countsketch_over_collision", 1.0, atol=0.002),
        published=1,
        where="√m times the error is √(d/3) = 9.24 for d = 256",
        origin="theory",
    ),
    Claim(
        "Two nonzeros a column do not help: OSNAP is off by as much, on a residual chosen for it",
        Close("osnap2_over_collision", 1.0, atol=0.03),
        where="a residual on a quarter as many rows",
        origin="theory",
    ),
    Claim(
        "The intervals of the Hadamard sketch hold at once in nearly all draws, where those of sparse ones do not",
        AtMost("srht_miss_share", 0.15),
        where="95 % simultaneous intervals",
        origin="own",
    ),
    Claim(
        "The intervals of the pooled sketch hold at once in nearly all draws, where those of sparse ones do not",
        AtMost("pooled_miss_share", 0.15),
        where="95 % simultaneous intervals",
        origin="theory",
    ),
    Claim(
        "The simultaneous intervals of the count sketch miss in nearly all draws where few rows decide",
        AtLeast("countsketch_miss_share", 0.85),
        where="the residual is not spread over the sketch",
        origin="theory",
    ),
)

_LAW = tuple(
    Claim(
        f"The error of a coefficient follows Student's t law: {kind}",
        AtMost(f"ks_{kind}", 0.03),
        published="0.021 is the 5 % point of the statistic for 4000 draws",
        where=_ROWS_LAW if kind == "gaussian" else "to sampling accuracy",
        origin="theory" if kind == "gaussian" else "own",
    )
    for kind in ("gaussian", "srht", "pooled")
)

_SCALING = (
    Claim(
        "Rows in proportion to d/ε² suffice: the largest coefficient error falls as √(d/m)",
        Within("srht_largest_slope", -0.58, -0.45),
        published="−1/2",
        where="abstract: ε⁻² d log³(n/δ) rows",
        departs=_NO_EXPERIMENTS,
    ),
    Claim(
        "With Gaussian pooling the largest coefficient error falls as √(d/m)",
        Within("pooled_largest_slope", -0.58, -0.45),
        published="−1/2",
        where="Song and Zhang, 2026",
        origin="peer",
    ),
    Claim(
        "The mean squared prediction error of the Hadamard sketch is ‖r‖² d/(m − d − 1)",
        Within("srht_over_law", 0.96, 1.04),
        where=_ROWS_LAW,
        origin="own",
    ),
    Claim(
        "That of the pooled sketch is 1 + 1/b times ‖r‖² d/(m − d − 1) when a row sums b coordinates",
        Within("pooled_over_law", 0.96, 1.04),
        where="the variance of an inner product of a sum over b mixed coordinates; b is at least 16",
        origin="theory",
    ),
    Claim(
        "The exact law asks for hundreds of times fewer rows than the paper's order with constant 1",
        AtLeast("rows_saved", 100),
        published="1.9 million for d = 100, ε = 1/2, δ = 0.05 and a million rows",
        where="rows_needed: 4,952",
        origin="theory",
    ),
)

_REAL = (
    Claim(
        "95 % intervals cover the coefficients of all flights: Hadamard",
        Within("coverage_srht", 0.87, 1.0),
        where="mean over 153 coefficients; draws have a standard deviation of 0.12 to 0.18",
        origin="own",
    ),
    Claim(
        "95 % intervals cover the coefficients of all flights: pooled",
        Within("coverage_pooled", 0.87, 1.0),
        where="mean over 153 coefficients; draws have a standard deviation of 0.12 to 0.18",
        origin="theory",
    ),
    Claim(
        "Simultaneous intervals miss in few of 40 draws: Hadamard",
        AtMost("simultaneous_misses_srht", 5),
        published=2,
        where="5 % of 40",
        origin="own",
    ),
    Claim(
        "Simultaneous intervals miss in few of 40 draws: pooled",
        AtMost("simultaneous_misses_pooled", 5),
        published=2,
        where="5 % of 40",
        origin="theory",
    ),
    Claim(
        "A sample of as many rows loses coefficients: its simultaneous intervals always miss",
        AtLeast("simultaneous_misses_row_sampling", 40),
        where="one destination has a single flight",
        origin="own",
    ),
)

_COST = (
    Claim(
        "Time is nearly linear in the number of rows",
        Within("time_by_rows", 0.8, 1.2),
        published="O(nd log n)",
        where="abstract",
        departs=_STREAMED,
    ),
    Claim(
        "Time is nearly linear in the number of columns",
        Within("time_by_columns", 0.8, 1.2),
        published="O(nd log n)",
        where="abstract",
        departs=_STREAMED,
    ),
    Claim(
        "The guarantee extends to tensor products: inner products of vectors orthogonal in both factors are as accurate",
        Close("tensor_both", 1.0, atol=0.06),
        where="abstract; √m times the standard deviation is 1 for a dense sketch",
        departs=_NO_EXPERIMENTS,
    ),
    Claim(
        "Inner products of tensor products that share a factor are less accurate, but within √3",
        Within("tensor_one", 1.06, 1.7321),
        where="an earlier measurement",
        origin="own",
    ),
)

_PROOF = (
    Claim(
        "An embedding of the subspace and of fixed pairs of vectors bounds every coefficient",
        Ordered("gap_coefficient", "gap_fixed_vectors"),
        where="the step of the proof from fixed vectors to a row of the inverse, which depends on the sketch",
        departs="The counterexample of Song and Zhang, 2026. So the paper's number of rows is not proved for Hadamard rows.",
        expected=False,
    ),
    Claim(
        "In the counterexample the coefficient is off by αρ/(1 − ρ²)",
        Close("gap_coefficient", 0.00250627, atol=1e-8),
        published=0.00250627,
        where="Song and Zhang, 2026",
        origin="theory",
    ),
)

CLAIMS = (*_NECESSITY, *_LAW, *_SCALING, *_REAL, *_COST, *_PROOF)
