"""The test while the text is being written."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from matropy._core._validation import Array, check_integer
from matropy.information._provenance._decision import standardized
from matropy.information._provenance._decoding import FULL_LAW, Decoding
from matropy.information._provenance._e_process import check_alpha
from matropy.information._provenance._record import TokenRecord, check_lambdas
from matropy.information._provenance._token_statistics import LAMBDAS

__all__ = ["ProvenanceStream"]


class ProvenanceStream:
    r"""The e-process of :func:`provenance_test`, token by token, in memory that does not grow.

    Parameters
    ----------
    decoding : Decoding
        The declared law.
    alpha : float
        Level, in (0, 1).
    lambdas : sequence of float
        The bets; see :class:`TokenRecord`.

    Attributes
    ----------
    count : int
        Tokens so far.
    log_e : float
        :math:`\ln E_n`; 0 before the first token.
    first_rejection : int or None
        Index, from 0, of the token at which :math:`E_n\ge1/\alpha` first held.

    Raises
    ------
    ValueError
        For ``alpha`` or ``lambdas`` out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.information import ProvenanceStream
    >>> stream = ProvenanceStream(alpha=0.01)
    >>> for _ in range(40):
    ...     stream.update(np.log([0.9, 0.1]), 1)
    ...     if stream.reject:
    ...         break
    >>> stream.count, stream.first_rejection
    (17, 16)
    """

    def __init__(
        self, decoding: Decoding = FULL_LAW, *, alpha: float = 0.05, lambdas: Sequence[float] = LAMBDAS
    ) -> None:
        self.decoding = decoding
        self.alpha = check_alpha(alpha)
        self.lambdas = check_lambdas(lambdas)
        self.count = 0
        self.log_e = 0.0
        self.first_rejection: int | None = None
        self._largest = 0.0
        self._paths = np.zeros(len(self.lambdas))
        self._excess = 0.0
        self._variance = 0.0

    def update(self, logits: Array, token: int) -> None:
        """Take the next token.

        Parameters
        ----------
        logits : array, shape (V,)
            The full law before the token; NumPy or torch.
        token : int
            The token that came.

        Raises
        ------
        ValueError
            For NaN logits or a token id outside the vocabulary; nothing is taken then.
        """
        row = logits[None] if hasattr(logits, "shape") else [logits]
        record = TokenRecord.from_logits(
            row, [check_integer(token, "token", low=0)], decoding=self.decoding, lambdas=self.lambdas
        )
        surprise = float(record.surprise[0])
        self._excess += surprise - float(record.entropy[0])
        self._variance += float(record.variance[0])
        if math.isinf(self._excess):
            self.log_e = math.inf
        else:
            self._paths += surprise * np.array(self.lambdas) - record.cumulant[0]
            self.log_e = float(np.logaddexp.reduce(self._paths)) - math.log(len(self.lambdas))
        self._largest = max(self._largest, self.log_e)
        if self.first_rejection is None and self.log_e >= -math.log(self.alpha):
            self.first_rejection = self.count
        self.count += 1

    @property
    def p_value(self) -> float:
        r"""Anytime p-value, :math:`\min(1,1/\max_nE_n)`."""
        return math.exp(-self._largest)

    @property
    def reject(self) -> bool:
        """Whether the null was ever rejected."""
        return self.first_rejection is not None

    @property
    def D(self) -> float:
        """Log-perplexity minus mean entropy so far, nats a token; NaN before the first token."""
        return self._excess / self.count if self.count else math.nan

    @property
    def z(self) -> float:
        """Standard score so far; 0 before the first token."""
        return standardized(self._excess, self._variance)
