"""Sources whose every law is known: exactness by enumeration, levels and power by simulation."""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from matropy.information import Decoding, TokenRecord, provenance_test
from matropy.reporting import Column, Figure, Series, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run

ALPHA = 0.05
_BETS = (-1, -0.5, -0.25, -0.1, 0.1, 0.2, 0.35, 0.5)
_LENGTHS = (50, 100, 200, 500)
_STRINGS = {"smoke": 200, "quick": 20_000, "full": 20_000}
_SYMBOLS = 50
_DECODINGS = (Decoding(), Decoding(0.6), Decoding(top_k=2), Decoding(top_p=0.7), Decoding(0.8, 2, 0.9))
_METHODS = ("e", "z", "bound")


def measure_synthetic(run: Run) -> Measured:
    """Measure what needs no language model."""
    values = {
        "enumeration_error": max(_enumeration_error(decoding) for decoding in _DECODINGS),
        "variance_over_bound": _variance_over_bound(),
        "fast_detectgpt_difference": _fast_detectgpt_difference(),
    }
    rates = {
        length: run.step(f"markov-{length}", partial(_markov, length, _STRINGS[run.scale], run.seed))
        for length in _LENGTHS
    }
    for length, found in rates.items():
        values |= {f"markov_{name}_{length}": value for name, value in found.items()}
        values[f"markov_missed_z_{length}"] = 1 - found["power_mixing_z"]
    longest = rates[_LENGTHS[-1]]
    values |= {
        "markov_false_alarms": max(found["alarms_e"] for found in rates.values()),
        "markov_z_tail": longest["alarms_z"],
        "markov_bound_alarms": max(found["alarms_bound"] for found in rates.values()),
        "markov_power_mixing": longest["power_mixing_e"],
        "markov_power_warm": longest["power_warm_e"],
    }
    return Measured(values, (_level_table(rates),), (_level_figure(rates), _miss_figure(rates)))


def _enumeration_error(decoding: Decoding) -> float:
    r"""How far :math:`\sum_yp(y)M_8(\lambda)` over all 6,561 strings of eight symbols is from one."""
    rng = np.random.default_rng(3)
    strings = np.array(list(itertools.product(range(3), repeat=8)))
    log_p = np.zeros(len(strings))
    log_bets: NDArray[np.float64] | float = 0.0
    for t in range(8):
        laws = 2 * rng.standard_normal((3**t, 3))
        prefix = strings[:, :t] @ 3 ** np.arange(t)[::-1]
        record = TokenRecord.from_logits(laws[prefix], strings[:, t], decoding=decoding)
        log_p -= record.surprise
        finite = np.where(np.isfinite(record.surprise), record.surprise, 0)
        log_bets = log_bets + finite[:, None] * np.array(record.lambdas) - record.cumulant
    return float(np.abs(np.exp(log_p) @ np.exp(log_bets) - 1).max())


def _variance_over_bound() -> float:
    """The largest variance of the surprise under one token against the rest, over the a priori bound."""
    p = np.linspace(1e-6, 1 - 1e-6, 20_001)
    worst = 0.0
    for vocabulary in (2, 3, 10, 50, 1000, 49_152, 262_144):
        variance = p * (1 - p) * np.log(p * (vocabulary - 1) / (1 - p)) ** 2
        worst = max(worst, float(variance.max()) / (math.log(vocabulary - 1) ** 2 / 4 + 1))
    return worst


def _fast_detectgpt_difference() -> float:
    """Minus z beside the analytic statistic, which is re-implemented from its formula; shared logits."""
    rng = np.random.default_rng(0)
    logits = 3 * rng.standard_normal((64, 5000)).astype(np.float32)
    tokens = rng.integers(5000, size=64)
    log_p = logits.astype(np.float64)
    log_p -= np.logaddexp.reduce(log_p, axis=1, keepdims=True)
    p = np.exp(log_p)
    mean = (p * log_p).sum(1)
    variance = (p * log_p**2).sum(1) - mean**2
    theirs = (log_p[np.arange(64), tokens] - mean).sum() / math.sqrt(variance.sum())
    return abs(float(theirs) + provenance_test(TokenRecord.from_logits(logits, tokens)).z)


def _markov(length: int, count: int, seed: int) -> dict[str, float]:
    """Rejection rates of the three tests: of own strings, of strings mixed with noise, of warmer strings."""
    rng = np.random.default_rng([seed, length])
    rows = np.random.default_rng(0).dirichlet(np.full(_SYMBOLS, 0.3), size=_SYMBOLS)
    state, token = np.divmod(np.arange(_SYMBOLS**2), _SYMBOLS)
    pairs = TokenRecord.from_logits(np.log(rows[state]), token, lambdas=_BETS)
    warm = rows ** (1 / 1.15)
    sources = {
        "alarms": (rows, count),
        "power_mixing": (0.9 * rows + 0.1 / _SYMBOLS, max(100, count // 10)),
        "power_warm": (warm / warm.sum(1, keepdims=True), max(100, count // 10)),
    }
    rates: dict[str, float] = {}
    for name, (law, strings) in sources.items():
        visited = _strings(law, strings, length, rng)
        rejected = _rejected(pairs, visited[:, :-1] * _SYMBOLS + visited[:, 1:])
        rates |= {f"{name}_{method}": share for method, share in rejected.items()}
    return rates


def _strings(
    law: NDArray[np.float64], count: int, length: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    cumulative = np.cumsum(law, axis=1)
    cumulative /= cumulative[:, -1:]
    visited = np.empty((count, length + 1), dtype=np.int64)
    visited[:, 0] = rng.integers(_SYMBOLS, size=count)
    for step in range(length):
        uniform = rng.random((count, 1))
        visited[:, step + 1] = (cumulative[visited[:, step]] < uniform).sum(1)
    return visited


def _rejected(pairs: TokenRecord, index: NDArray[np.int64]) -> dict[str, float]:
    """Shares of strings rejected at the level; all strings at once, by the definitions that the tests share."""
    length = index.shape[1]
    paths = [
        np.cumsum(value * pairs.surprise[index] - pairs.cumulant[index, column], axis=1)
        for column, value in enumerate(pairs.lambdas)
    ]
    largest = np.logaddexp.reduce(paths).max(axis=1) - math.log(len(paths))
    excess = (pairs.surprise - pairs.entropy)[index].sum(1)
    z = excess / np.sqrt(pairs.variance[index].sum(1))
    bound = math.log(_SYMBOLS - 1) ** 2 / 4 + 1
    epsilon = np.abs(excess) / length
    inside = np.minimum(epsilon, bound * (1 - 1e-12))
    p_bound = np.exp(-length * (epsilon - bound * np.log1p(epsilon / bound))) + np.exp(
        length * (inside + bound * np.log1p(-inside / bound))
    )
    return {
        "e": float((largest >= -math.log(ALPHA)).mean()),
        "z": float((np.abs(z) > norm.ppf(1 - ALPHA / 2)).mean()),
        "bound": float((p_bound <= ALPHA).mean()),
    }


def _level_table(rates: dict[int, dict[str, float]]) -> Table:
    return Table(
        f"Claimed level {ALPHA:g} beside measured false alarms, and power",
        (
            Column("Tokens"),
            Column("Alarms, e-process", help="At any token up to there"),
            Column("Alarms, z"),
            Column("Alarms, a priori bound"),
            Column("Noise found, e-process", help="One symbol in ten is uniform noise"),
            Column("Noise found, z"),
            Column("Noise found, bound"),
            Column("Temperature 1.15 found, e-process"),
        ),
        tuple(
            (
                length,
                *(found[f"alarms_{method}"] for method in _METHODS),
                *(found[f"power_mixing_{method}"] for method in _METHODS),
                found["power_warm_e"],
            )
            for length, found in rates.items()
        ),
        caption=f"A Markov chain of {_SYMBOLS} symbols. The bound is safe for every law and loose for this one.",
    )


def _level_figure(rates: dict[int, dict[str, float]]) -> Figure:
    lengths = list(rates)
    return Figure(
        "False alarms of the three tests",
        "tokens",
        "share of own strings rejected",
        (
            *(
                Series(name, lengths, [rates[n][f"alarms_{method}"] for n in lengths])
                for method, name in (("e", "e-process"), ("z", "z"), ("bound", "a priori bound"))
            ),
            Series("claimed level", lengths, [ALPHA] * len(lengths), kind="reference"),
        ),
        caption="The e-process counts an alarm at any token up to there; its level is claimed for all lengths at once.",
        x_scale="log",
    )


def _miss_figure(rates: dict[int, dict[str, float]]) -> Figure:
    series = []
    for method, name in (("e", "e-process"), ("z", "z")):
        missed = [(n, 1 - found[f"power_mixing_{method}"]) for n, found in rates.items()]
        seen = [(n, share) for n, share in missed if share > 0]
        if seen:
            series.append(Series(name, [n for n, _ in seen], [share for _, share in seen]))
    return Figure(
        "Strings with one symbol of noise in ten that are missed",
        "tokens",
        "share missed",
        tuple(series) or (Series("e-process", [1], [None]),),
        caption="A straight line is an exponential fall. Where none is missed there is no point.",
        y_scale="log",
    )
