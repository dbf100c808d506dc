"""From a record to a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from matropy._core._files import to_json
from matropy._core._validation import check_choice
from matropy.information._provenance._decoding import Decoding
from matropy.information._provenance._e_process import Side, bets, check_alpha, log_bets, log_mixture
from matropy.information._provenance._record import TokenRecord

if TYPE_CHECKING:
    import rich.table
    from matplotlib.axes import Axes

__all__ = ["FEWEST_TOKENS", "ProvenanceResult", "mean_excess", "provenance_test", "standard_score"]

FEWEST_TOKENS = 8
Method = Literal["e", "z", "bound"]
_METHODS = {"e": "e-process", "z": "normal approximation", "bound": "a priori bound"}


@dataclass(frozen=True, eq=False)
class ProvenanceResult:
    r"""Verdict on one text.

    Attributes
    ----------
    reject : bool
        Whether the null is rejected at level ``alpha``: ``p_value`` is at most that.
    p_value : float
        Of the method asked for. That of the e-process, :math:`\min(1,1/\max_nE_n)`, holds at any time at which one
        stops.
    e_value : float
        :math:`E_N` after the last token; infinite after a token that the law does not allow.
    log_e_path : array, shape (n,)
        :math:`\ln E_n` after each token.
    first_rejection : int or None
        Index into the path, from 0, at which :math:`E_n\ge1/\alpha` first holds.
    D : float
        :math:`\frac1N\sum_t(s_t-h_t)`: log-perplexity minus mean entropy; nats a token.
    z : float
        :math:`\sum_t(s_t-h_t)/\sqrt{\sum_tv_t}`.
    growth : float
        :math:`g=\max_\lambda\frac1N\ln M_N(\lambda)`: what the best single bet won; nats a token.
    expected_tokens : float
        :math:`\ln(m/\alpha)/g`, about how many tokens such text takes to a rejection; infinite for :math:`g\le0`.
    verdict : str
        One sentence that names the null and the level.
    alpha : float
    method : {"e", "z", "bound"}
    side : {"two", "greater", "less"}
    decoding : Decoding
        The null.
    """

    reject: bool
    p_value: float
    e_value: float
    log_e_path: NDArray[np.float64]
    first_rejection: int | None
    D: float
    z: float
    growth: float
    expected_tokens: float
    verdict: str
    alpha: float
    method: Method
    side: Side
    decoding: Decoding

    def __len__(self) -> int:
        return len(self.log_e_path)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the e-process over the tokens with its threshold; an axis of matplotlib comes back."""
        from matropy._core._errors import require

        if ax is None:
            ax = require("matplotlib.pyplot", extra="plot", purpose="plotting").gca()
        ax.plot(
            np.arange(1, len(self) + 1), self.log_e_path / math.log(10), label="evidence against the null"
        )
        threshold = -math.log10(self.alpha)
        ax.axhline(threshold, linestyle="--", color="0.4", label=f"rejection at level {self.alpha:g}")
        ax.set(xlabel="tokens", ylabel="log10 E")
        ax.legend()
        return ax

    def table(self) -> rich.table.Table:
        """The figures, for the terminal."""
        from matropy.reporting import Column, Table

        rows = (
            ("Tokens", len(self)),
            ("Log-perplexity minus mean entropy, D", self.D),
            ("z", self.z),
            ("E after the last token", self.e_value),
            (f"p-value ({_METHODS[self.method]})", self.p_value),
            ("Growth g, nats a token", self.growth),
            ("Tokens to a rejection at this growth", self.expected_tokens),
        )
        return Table("", (Column("Figure"), Column("Value")), rows, caption=self.verdict).to_rich()

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists: None instead of infinity."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["log_e_path"] = self.log_e_path.tolist()
        back: dict[str, Any] = msgspec.json.decode(to_json(plain))
        return back


def provenance_test(
    record: TokenRecord, *, alpha: float = 0.05, method: Method = "e", side: Side = "two"
) -> ProvenanceResult:
    r"""Test the null "these tokens were drawn from the declared law of this model".

    Three tests of one record. Under the null :math:`s_t-h_t` has mean zero, whatever came before.

    ``"e"``, exact and valid at any stopping time: :math:`E_n=\frac1m\sum_\lambda\exp\sum_{t\le n}[\lambda
    s_t-K_t(\lambda)]`, rejected when it ever reaches :math:`1/\alpha`.

    ``"z"``, for a length fixed in advance: :math:`z=\sum_t(s_t-h_t)/\sqrt{\sum_tv_t}`, which is about normal for
    long texts; below a hundred tokens prefer ``"e"``. (:math:`-z` is the analytic statistic of Fast-DetectGPT with one model.)

    ``"bound"``, from the size V of the vocabulary alone: with :math:`B=\frac14\ln^2(V-1)+1`,

    .. math::
        P(D_N\ge\epsilon)\le e^{-N[\epsilon-B\ln(1+\epsilon/B)]},\qquad
        P(D_N\le-\epsilon)\le e^{N[\epsilon+B\ln(1-\epsilon/B)]}\ (\epsilon<B).

    Not rejecting is no proof of authorship: any text may be too short to tell.

    Parameters
    ----------
    record : TokenRecord
        At least eight tokens.
    alpha : float
        Chance of rejecting text of this law, in (0, 1).
    method : {"e", "z", "bound"}
    side : {"two", "greater", "less"}
        ``"greater"`` looks only for text that is more surprising than its law (:math:`D>0`, bets
        :math:`\lambda>0`), ``"less"`` for text that is less surprising.

    Returns
    -------
    ProvenanceResult
        A token that the law does not allow rejects it outright, by every method and side: p-value 0.

    Raises
    ------
    ValueError
        For fewer than eight tokens, ``alpha`` outside (0, 1), another method or side, or a side without a bet.

    References
    ----------
    T. Radvand, M. Abdolmaleki, M. Mostagir, A. Tewari, 2025 (the statistic D and its concentration); J. Ville, 1939
    (the e-process); D. Reeb, M. Wolf, 2015 (B bounds the variance of the surprise).

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.information import TokenRecord, provenance_test
    >>> rng = np.random.default_rng(0)
    >>> law = rng.dirichlet(np.full(50, 0.3), size=400)
    >>> own = np.array([rng.choice(50, p=p) for p in law])
    >>> other = rng.integers(50, size=400)
    >>> [provenance_test(TokenRecord.from_logits(np.log(law), text)).reject for text in (own, other)]
    [False, True]
    """
    alpha = check_alpha(alpha)
    check_choice(method, "method", tuple(_METHODS))
    if len(record) < FEWEST_TOKENS:
        raise ValueError(f"a test needs at least {FEWEST_TOKENS} scored tokens, got {len(record)}")
    chosen = bets(record.lambdas, side)
    paths = log_bets(record, chosen)
    path = log_mixture(paths, record.surprise)
    crossed = np.flatnonzero(path >= -math.log(alpha))
    impossible = bool(np.isinf(record.surprise).any())
    D, z = mean_excess(record), standard_score(record)
    if impossible:
        p_value, growth = 0.0, math.inf
    else:
        growth = float(paths[-1].max()) / len(record)
        p_value = {"e": _anytime, "z": _normal, "bound": _a_priori}[method](record, path, side)
    reject = bool(len(crossed)) if method == "e" else p_value <= alpha
    with np.errstate(over="ignore"):
        e_value = float(np.exp(path[-1]))
    return ProvenanceResult(
        reject=reject,
        p_value=p_value,
        e_value=e_value,
        log_e_path=path,
        first_rejection=int(crossed[0]) if len(crossed) else None,
        D=D,
        z=z,
        growth=growth,
        expected_tokens=math.log(len(chosen) / alpha) / growth if growth > 0 else math.inf,
        verdict=_verdict(record, method, alpha, p_value, reject, D),
        alpha=alpha,
        method=method,
        side=side,
        decoding=record.decoding,
    )


def mean_excess(record: TokenRecord) -> float:
    """Log-perplexity minus mean entropy, the paper's statistic."""
    return float(np.mean(record.surprise - record.entropy))


def standard_score(record: TokenRecord) -> float:
    """The sum of excesses over its standard deviation under the null; 0 where nothing was left to chance."""
    return standardized(float(np.sum(record.surprise - record.entropy)), float(np.sum(record.variance)))


def standardized(excess: float, variance: float) -> float:
    """``excess / sqrt(variance)``; a certain token has no excess."""
    if math.isinf(excess):
        return excess
    return excess / math.sqrt(variance) if variance > 0 else 0.0


def _anytime(record: TokenRecord, path: NDArray[np.float64], side: Side) -> float:
    return float(np.exp(min(0.0, -float(path.max()))))


def _normal(record: TokenRecord, path: NDArray[np.float64], side: Side) -> float:
    z = standard_score(record)
    if side == "two":
        return float(2 * norm.sf(abs(z)))
    return float(norm.sf(z if side == "greater" else -z))


def _a_priori(record: TokenRecord, path: NDArray[np.float64], side: Side) -> float:
    n, epsilon = len(record), mean_excess(record)
    bound = math.log(record.vocabulary - 1) ** 2 / 4 + 1
    if side == "two":
        return min(1.0, _upper(abs(epsilon), n, bound) + _lower(abs(epsilon), n, bound))
    return _upper(epsilon, n, bound) if side == "greater" else _lower(-epsilon, n, bound)


def _upper(epsilon: float, n: int, bound: float) -> float:
    if epsilon <= 0:
        return 1.0
    return math.exp(-n * (epsilon - bound * math.log1p(epsilon / bound)))


def _lower(epsilon: float, n: int, bound: float) -> float:
    if epsilon <= 0:
        return 1.0
    if epsilon >= bound:  # more than any entropy
        return 0.0
    return math.exp(n * (epsilon + bound * math.log1p(-epsilon / bound)))


def _verdict(
    record: TokenRecord, method: Method, alpha: float, p_value: float, reject: bool, excess: float
) -> str:
    law = f"{record.model or 'the declared model'} at {record.decoding}"
    level = f"level {alpha:g}, {_METHODS[method]}, p = {p_value:.2g}"
    start = f"Over {len(record)} tokens the text"
    if not reject:
        return f"{start} is consistent with {law} ({level})."
    if math.isinf(excess):
        token = int(np.flatnonzero(np.isinf(record.surprise))[0])
        why = f"scored token {token + 1} cannot occur under it"
    elif excess > 0:
        why = "its tokens are more surprising than that law makes them"
    else:
        why = (
            "its tokens are less surprising than that law makes them, as at a lower temperature, under a narrower"
            " decoding or in memorized text"
        )
    return f"{start} is rejected as a sample of {law} ({level}): {why}."
