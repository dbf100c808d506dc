"""Which of several known models a text came from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from matropy._core._files import to_json
from matropy.information._provenance._decision import FEWEST_TOKENS
from matropy.information._provenance._e_process import check_alpha
from matropy.information._provenance._record import TokenRecord

if TYPE_CHECKING:
    import rich.table

__all__ = ["Attribution", "attribute"]


@dataclass(frozen=True, eq=False)
class Attribution:
    """Evidence for and against each of several models.

    Attributes
    ----------
    log_likelihood : dict of str to float
        Of the whole text, nats; -inf where a model does not allow one of its tokens.
    log_e : dict of str to float
        Logarithm of the e-value against "this model wrote it": the uniform mixture of the other models over it.
        Infinite for a model that does not allow the text.
    log_e_path : dict of str to array, or None
        The same after every token, where tokens were compared.
    best : str or None
        The model of the largest likelihood; None where no model allows the text.
    rejected : tuple of str
        Models with an e-value of at least ``1 / alpha``.
    alpha : float
    verdict : str
        One sentence.
    """

    log_likelihood: dict[str, float]
    log_e: dict[str, float]
    log_e_path: dict[str, NDArray[np.float64]] | None
    best: str | None
    rejected: tuple[str, ...]
    alpha: float
    verdict: str

    def table(self) -> rich.table.Table:
        """One row a model, for the terminal."""
        from matropy.reporting import Column, Table

        return Table(
            "",
            (
                Column("Model"),
                Column("Log-likelihood", "nats"),
                Column("log10 E against it"),
                Column("Rejected"),
            ),
            tuple(
                (name, self.log_likelihood[name], self.log_e[name] / math.log(10), name in self.rejected)
                for name in self.log_likelihood
            ),
            caption=self.verdict,
        ).to_rich()

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists: None instead of infinity."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if self.log_e_path is not None:
            plain["log_e_path"] = {name: path.tolist() for name, path in self.log_e_path.items()}
        back: dict[str, Any] = msgspec.json.decode(to_json(plain))
        return back


def attribute(records: Mapping[str, TokenRecord], *, alpha: float = 0.05, total: bool = True) -> Attribution:
    r"""Compare known models by the likelihood of the same text.

    .. math::
        E_B=\frac{\frac1{k-1}\sum_{A\ne B}\prod_tp_A(y_t)}{\prod_tp_B(y_t)}

    has mean at most one if B wrote the text, so a B with :math:`E_B\ge1/\alpha` can be rejected at level
    :math:`\alpha`. Totals are compared, because the mean over tokens is that of other pieces of text for every tokenizer. The
    guarantee is exact where all models have the same tokens. Where they do not, it is as good as the assumption that
    B's text is tokenized again as it was written and ends where another tokenizer may end too.

    Parameters
    ----------
    records : mapping of str to TokenRecord
        For two or more models, the record of the same bytes, each under the decoding declared for that model.
    alpha : float
        Chance of rejecting a model that did write the text, in (0, 1).
    total : bool
        False compares token by token: it demands the same tokens in all records, and gives the path of each e-value.

    Returns
    -------
    Attribution

    Raises
    ------
    ValueError
        For fewer than two models, a record of fewer than eight tokens, ``alpha`` outside (0, 1), or, with
        ``total=False``, records of different tokens.

    References
    ----------
    T. Radvand, M. Abdolmaleki, M. Mostagir, A. Tewari, 2025 (A or B); L. Wasserman, A. Ramdas, S. Balakrishnan, 2020
    (likelihood ratios as e-values).

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.information import TokenRecord, attribute
    >>> rows, tokens = np.log([[0.9, 0.1]] * 20), [0] * 20
    >>> records = {
    ...     "loaded": TokenRecord.from_logits(rows, tokens),
    ...     "fair": TokenRecord.from_logits(np.log(np.full((20, 2), 0.5)), tokens),
    ... }
    >>> found = attribute(records)
    >>> found.best, found.rejected, round(np.exp(found.log_e["fair"]))
    ('loaded', ('fair',), 127482)
    """
    alpha = check_alpha(alpha)
    if len(records) < 2:
        raise ValueError(f"attribution needs the records of two or more models, got {len(records)}")
    for name, record in records.items():
        if len(record) < FEWEST_TOKENS:
            raise ValueError(
                f"a test needs at least {FEWEST_TOKENS} scored tokens, got {len(record)} under {name!r}"
            )
    if not total:
        _check_same_tokens(records)
    likelihood = {name: record.log_likelihood for name, record in records.items()}
    log_e = {name: float(value) for name, value in _against_each(likelihood).items()}
    best = max(likelihood, key=lambda name: likelihood[name])
    rejected = tuple(name for name, value in log_e.items() if value >= -math.log(alpha))
    paths = None
    if not total:
        paths = _against_each({name: -np.cumsum(record.surprise) for name, record in records.items()})
    return Attribution(
        log_likelihood=likelihood,
        log_e=log_e,
        log_e_path=paths,
        best=best if likelihood[best] > -math.inf else None,
        rejected=rejected,
        alpha=alpha,
        verdict=_verdict(records, rejected, alpha),
    )


def _against_each(likelihood: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
    """Logarithm of the mean likelihood of the others over that of each, for numbers or paths."""
    against = {}
    for name, own in likelihood.items():
        others = np.array([value for other, value in likelihood.items() if other != name])
        mixture = np.logaddexp.reduce(others, axis=0) - math.log(len(others))
        impossible = np.isneginf(own)
        against[name] = np.where(impossible, math.inf, mixture - np.where(impossible, 0.0, own))
    return against


def _check_same_tokens(records: Mapping[str, TokenRecord]) -> None:
    (first, reference), *others = records.items()
    for name, record in others:
        if not np.array_equal(record.tokens, reference.tokens):
            raise ValueError(
                f"{first!r} and {name!r} were given different tokens; models with different tokenizers can be compared"
                " by totals only (total=True)"
            )


def _verdict(records: Mapping[str, TokenRecord], rejected: tuple[str, ...], alpha: float) -> str:
    def law(name: str) -> str:
        return f"{name} at {records[name].decoding}"

    kept = [law(name) for name in records if name not in rejected]
    start = f"Of these models, at level {alpha:g}, the text is"
    if not kept:
        return f"{start} rejected as a sample of every one."
    consistent = f"{start} consistent with {' and with '.join(kept)}"
    if not rejected:
        return f"{consistent}: it does not tell them apart."
    return f"{consistent}, and rejected as a sample of {' and of '.join(map(law, rejected))}."
