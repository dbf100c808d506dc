"""How tokens are said to have been drawn from a model's distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from array_api_compat import device

from matropy._core._validation import Array, check_array, check_integer

__all__ = ["FULL_LAW", "Decoding", "Support", "check_logits"]


@dataclass(frozen=True)
class Decoding:
    r"""The law that tokens were drawn from: temperature, then top-k, then top-p, as ``transformers`` applies them.

    .. math::
        p(v)\propto e^{\ell_v/T}\,[v\in S],\qquad
        S=\{v:\ell_v\ge\ell_{(k)}\}\text{, then the smallest set of likeliest tokens of mass at least }P .

    Tokens that tie with the last of either set stay. (Which of those at the edge of the mass P a sampler drops is left
    to its sort, and a token that it may draw must not count as impossible.)

    Parameters
    ----------
    temperature : float
        :math:`T>0`; dimensionless.
    top_k : int, optional
        How many of the likeliest tokens stay, at least 1; None keeps all.
    top_p : float, optional
        The mass P that has to stay, in (0, 1]; None keeps all.

    Raises
    ------
    ValueError
        For a number out of range.
    TypeError
        For something that is no number.

    References
    ----------
    A. Fan, M. Lewis, Y. Dauphin, 2018 (top-k); A. Holtzman et al., 2020 (top-p).

    Examples
    --------
    >>> from matropy.information import Decoding
    >>> print(Decoding(temperature=0.7, top_k=40))
    temperature 0.7, top-k 40
    >>> Decoding(top_k=2).apply([0.0, 1.0, 2.0, 1.0]).tolist()
    [-inf, 1.0, 2.0, 1.0]
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "temperature", _number(self.temperature, "temperature"))
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be a positive number, got {self.temperature!r}")
        if self.top_k is not None:
            object.__setattr__(self, "top_k", check_integer(self.top_k, "top_k", low=1))
        if self.top_p is not None:
            object.__setattr__(self, "top_p", _number(self.top_p, "top_p"))
            if not 0 < self.top_p <= 1:
                raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p!r}")

    def apply(self, logits: Array) -> Array:
        """Logits of the law: divided by the temperature, and -inf where it allows no token.

        Parameters
        ----------
        logits : array, shape (..., V)
            Of the full law; -inf is a token that it forbids. NumPy or torch.

        Returns
        -------
        array, shape (..., V)

        Raises
        ------
        ValueError
            For NaN or +inf, or a row that forbids every token.
        """
        x, xp = check_array(logits, "logits")
        check_logits(xp.max(x, axis=-1), xp)
        x = x / self.temperature
        rows = xp.reshape(x, (-1, x.shape[-1]))
        support = self.support(rows, xp)
        if support is None:
            return x
        return xp.reshape(xp.where(rows >= support.edge, rows, xp.full_like(rows, -math.inf)), x.shape)

    def support(self, x: Array, xp: Any) -> Support | None:
        """Which tokens the law allows, from logits (n, V) divided by the temperature; None for all of them."""
        vocabulary = x.shape[-1]
        cut = self.top_k if self.top_k is not None and self.top_k < vocabulary else None
        mass = self.top_p if self.top_p is not None and self.top_p < 1 else None
        if not (cut or mass or bool(xp.any(xp.min(x, axis=-1) == -math.inf))):
            return None
        falling = _largest(x, cut or vocabulary, xp)
        if cut is not None:
            edge = falling[:, -1:]
            ties = int(xp.max(xp.count_nonzero(x >= edge, axis=-1)))
            # Where fewer than k are allowed, the edge is -inf and the rest of the vocabulary ties with it.
            falling = falling if ties == cut else _largest(x, ties, xp)
            falling = xp.where(falling >= edge, falling, xp.full_like(falling, -math.inf))
        edge = _edge(falling, mass or 1.0, xp)
        size = xp.count_nonzero(x >= edge, axis=-1)
        return Support(falling[:, : int(xp.max(size))], size, edge)

    def __str__(self) -> str:
        parts = [f"temperature {self.temperature:g}"]
        if self.top_k is not None:
            parts.append(f"top-k {self.top_k}")
        if self.top_p is not None:
            parts.append(f"top-p {self.top_p:g}")
        return ", ".join(parts if len(parts) > 1 else [*parts, "full vocabulary"])


@dataclass(frozen=True)
class Support:
    """Tokens that a law allows: in each row, all whose logit is at least the edge.

    Attributes
    ----------
    falling : array, shape (n, W)
        Their logits, falling; W is the most that any row allows, and of a row the first ``size`` count.
    size : array of int, shape (n,)
    edge : array, shape (n, 1)
    """

    falling: Array
    size: Array
    edge: Array


def check_logits(largest: Array, xp: Any) -> None:
    """Raise ``ValueError`` unless the largest logit of every row is a number."""
    if bool(xp.all(xp.isfinite(largest))):
        return
    if bool(xp.any(xp.isnan(largest))):
        raise ValueError("logits hold NaN")
    if bool(xp.any(largest > 0)):
        raise ValueError("logits hold +inf; allowed are numbers, and -inf for a token that is forbidden")
    raise ValueError("logits forbid every token in some row: all of them are -inf")


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    return float(value)


def _largest(x: Array, count: int, xp: Any) -> Array:
    """The ``count`` largest of each row, falling."""
    vocabulary = x.shape[-1]
    if hasattr(xp, "topk"):
        if count < vocabulary // 4:
            return xp.topk(x, count, dim=-1).values
        if str(device(x)) != "cpu":
            return xp.sort(x, dim=-1, descending=True).values[:, :count]
        # NumPy sorts numbers without their places, which is many times faster.
        return xp.from_numpy(np.sort(x.detach().numpy(), axis=-1)).flip(-1)[:, :count]
    if count < vocabulary:
        x = np.partition(x, vocabulary - count, axis=-1)[:, vocabulary - count :]
    return np.sort(x, axis=-1)[:, ::-1]


def _edge(falling: Array, mass: float, xp: Any) -> Array:
    """The smallest logit of each falling row that is needed to hold ``mass``, or that is allowed at all."""
    last = xp.count_nonzero(falling > -math.inf, axis=-1)
    if mass < 1:
        p = xp.exp(falling - falling[:, :1])
        p = p / xp.sum(p, axis=-1, keepdims=True)
        tail = xp.cumulative_sum(xp.flip(p, axis=-1), axis=-1)
        needed = falling.shape[-1] - xp.count_nonzero(tail[:, :-1] <= 1 - mass, axis=-1)
        last = xp.where(needed < last, needed, last)
    return falling[xp.arange(len(falling), device=device(falling)), last - 1][:, None]


FULL_LAW = Decoding()
