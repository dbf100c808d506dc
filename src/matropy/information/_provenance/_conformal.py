"""Accusation: a text beside texts that people are known to have written."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real

import numpy as np

from matropy.information._provenance._decision import standard_score
from matropy.information._provenance._decoding import Decoding
from matropy.information._provenance._record import TokenRecord

__all__ = ["ConformalAccuser"]

_LIKE = 2
"""Lengths by a larger factor apart are not alike."""


class ConformalAccuser:
    r"""P-value of the null "a person of the reference set's kind wrote this".

    .. math::
        p=\frac{1+\#\{i:r_i\ge r(x)\}}{n+1}

    over the scores :math:`r_i` of n reference texts. If the text is exchangeable with them (like genre, like length,
    like time), :math:`P(p\le\alpha)\le\alpha`, whatever the score. No test of a model's own law says anything about the chance of
    accusing a person, so without a reference set there is no p-value.

    Parameters
    ----------
    scores : iterable of float or of TokenRecord
        Of the reference texts. The score of a record is :math:`-z`: large for text that is less surprising than its
        law. Records must have one decoding, and lengths within a factor of two, because z drifts with the length
        (``record[:n]`` cuts them to one, which is better).

    Raises
    ------
    ValueError
        Without a reference text, for a NaN, or for records of different decodings or unlike lengths.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer, 2005, section 2.2.

    Examples
    --------
    >>> from matropy.information import ConformalAccuser
    >>> ConformalAccuser(range(39)).p_value(50.0)
    0.025
    """

    def __init__(self, scores: Iterable[float | TokenRecord]) -> None:
        self._declared: tuple[Decoding, int] | None = None
        reference = [self._score(value) for value in scores]
        if not reference:
            raise ValueError(
                "an accusation needs reference texts by people, of like genre and length; there are none, and nothing"
                " else bounds the chance of accusing a person"
            )
        self.scores = np.sort(np.array(reference))

    def p_value(self, record: float | TokenRecord) -> float:
        """The p-value of a text, from its record or its score; never below 1 / (n + 1).

        Raises
        ------
        ValueError
            For NaN, or a record of another decoding or an unlike length.
        """
        score = self._score(record)
        at_least = len(self.scores) - int(np.searchsorted(self.scores, score, side="left"))
        return (1 + at_least) / (len(self.scores) + 1)

    def _score(self, value: float | TokenRecord) -> float:
        if isinstance(value, TokenRecord):
            if self._declared is None:
                self._declared = (value.decoding, len(value))
            wanted, length = self._declared
            if value.decoding != wanted or not length <= _LIKE * len(value) <= _LIKE**2 * length:
                raise ValueError(
                    f"records must have one decoding and like lengths: {length} tokens at {wanted}, and"
                    f" {len(value)} at {value.decoding}"
                )
            return -standard_score(value)
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"a score must be a number or a TokenRecord, got {type(value).__name__}")
        if math.isnan(value):
            raise ValueError("a score is NaN")
        return float(value)
