"""What a law says about each token, a few rows of logits at a time in buffers that are used again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from array_api_compat import array_namespace, device

from matropy._core._validation import Array
from matropy.information._provenance._decoding import Decoding, check_logits

__all__ = ["LAMBDAS", "TokenStatistics", "token_statistics"]

LAMBDAS = (-0.5, -0.25, -0.1, 0.05, 0.1, 0.2)

# Stands for -inf, because 0 * -inf has to be 0; its square is still finite in float32.
_FORBIDDEN = -1e15
_ELEMENTS_AT_ONCE = 2**18
_ELEMENTS_ON_ACCELERATOR = 2**24
_SUMMED_TOGETHER = 256
_EXP_IN_PRODUCTS = 6


@dataclass(frozen=True)
class TokenStatistics:
    """Arrays of the library of the logits, float64 but for ``rank``; as :class:`TokenRecord` names them."""

    surprise: Array
    entropy: Array
    variance: Array
    cumulant: Array
    rank: Array


def token_statistics(
    logits: Array, tokens: Array, decoding: Decoding, lambdas: tuple[float, ...], *, block: int | None = None
) -> TokenStatistics:
    """Statistics of ``tokens`` (n,) under the rows of ``logits`` (n, V), float32 or float64.

    Exponentials are taken in the precision of the logits, relative to the largest of the row. Sums are formed over
    ``_SUMMED_TOGETHER`` neighbours, then in float64, whatever the block, so blocks of any size (and a stream of single
    rows) give the same bits.
    """
    xp = array_namespace(logits)
    n, vocabulary = logits.shape
    elements = _ELEMENTS_AT_ONCE if _on_cpu(logits) else _ELEMENTS_ON_ACCELERATOR
    rows = max(1, min(n, block or n, elements // vocabulary))
    plan = _plan(lambdas)
    together = min(vocabulary, _SUMMED_TOGETHER)
    buffers = _Buffers.of(rows, vocabulary, together, plan, logits, xp)
    found = xp.empty((4 + len(lambdas), n), dtype=xp.float64, device=device(logits))
    for start in range(0, n, rows):
        at = slice(start, min(n, start + rows))
        _measure(logits[at], tokens[at], decoding, plan, buffers.first(at.stop - start), found[:, at], xp)
    return TokenStatistics(found[0], found[1], found[2], found[4:].T, xp.astype(found[3], xp.int64))


def _measure(
    logits: Array,
    tokens: Array,
    decoding: Decoding,
    plan: _Plan,
    buffers: _Buffers,
    found: Array,
    xp: Any,
) -> None:
    """Fill the columns of one block: surprise, entropy, variance, rank, cumulants."""
    largest = xp.max(logits, axis=-1, keepdims=True)
    check_logits(largest, xp)
    own = logits[xp.arange(len(tokens), device=device(logits)), tokens]
    found[3] = buffers.count(logits, own[:, None])
    x = buffers.x[:, : logits.shape[-1]]
    xp.subtract(logits, largest, out=x)
    if decoding.temperature != 1:
        xp.divide(x, decoding.temperature, out=x)
    distance = (xp.astype(own, xp.float64) - xp.astype(largest[:, 0], xp.float64)) / decoding.temperature
    support = decoding.support(x, xp)
    if support is not None:
        allowed = x[xp.arange(len(tokens), device=device(x)), tokens] >= support.edge[:, 0]
        distance = xp.where(allowed, distance, xp.full_like(distance, -math.inf))
        buffers = buffers.holding(support.falling, support.size, plan)
    buffers.forbid_padding()

    x, weight, product = buffers.x, buffers.weight, buffers.product
    xp.exp(x, out=weight)
    total = buffers.sum(weight)
    log_total = xp.log(total)
    found[0] = log_total - distance
    for index, tempered in _tempered(buffers, plan):
        found[4 + index] = xp.log(tempered) - plan.exponents[index] * log_total

    xp.multiply(x, weight, out=product)
    # The second moment is taken about the mean as rounded to the precision of the logits: about zero, digits would
    # be lost. The first moment about it then corrects both.
    near = xp.astype(buffers.sum(product) / total, x.dtype)
    xp.subtract(x, near[:, None], out=x)
    xp.multiply(x, weight, out=product)
    correction = buffers.sum(product) / total
    xp.multiply(x, product, out=product)
    spread = buffers.sum(product) / total - correction**2
    found[1] = log_total - (xp.astype(near, xp.float64) + correction)
    found[2] = xp.where(spread > 0, spread, xp.zeros_like(spread))


def _tempered(buffers: _Buffers, plan: _Plan) -> Iterator[tuple[int, Array]]:
    """The sum of :math:`e^{ax}` over the law for each exponent a of the plan, with its index."""
    xp, x, product = buffers.xp, buffers.x, buffers.product
    if plan.step:
        single, double = buffers.climbers
        xp.multiply(x, plan.step, out=single)
        xp.exp(single, out=single)
        xp.multiply(single, single, out=double)
    for anchor, climbs in plan.chains:
        if anchor == 1:
            product[...] = buffers.weight
        else:
            xp.multiply(x, anchor, out=product)
            xp.exp(product, out=product)
        for index, steps in climbs:
            for _ in range(steps // 2):
                xp.multiply(product, double, out=product)
            if steps % 2:
                xp.multiply(product, single, out=product)
            yield index, buffers.sum(product)


@dataclass(frozen=True)
class _Buffers:
    """Rows of one width that are used again, padded with forbidden tokens to whole groups of ``together``."""

    x: Array
    weight: Array
    product: Array
    climbers: tuple[Array, ...]
    width: int
    together: int
    xp: Any

    @classmethod
    def of(cls, rows: int, width: int, together: int, plan: _Plan, like: Array, xp: Any) -> _Buffers:
        padded = -(-width // together) * together
        arrays = [
            xp.empty((rows, padded), dtype=like.dtype, device=device(like))
            for _ in range(5 if plan.step else 3)
        ]
        return cls(arrays[0], arrays[1], arrays[2], tuple(arrays[3:]), width, together, xp)

    def first(self, rows: int) -> _Buffers:
        """The same for a block of fewer rows."""
        x, weight, product, *climbers = (
            array[:rows] for array in (self.x, self.weight, self.product, *self.climbers)
        )
        return _Buffers(x, weight, product, tuple(climbers), self.width, self.together, self.xp)

    def holding(self, falling: Array, size: Array, plan: _Plan) -> _Buffers:
        """New ones that hold what the law allows, of which a row may have fewer than another."""
        xp = self.xp
        rows, width = falling.shape
        narrow = _Buffers.of(rows, width, self.together, plan, falling, xp)
        within = xp.arange(falling.shape[-1], device=device(falling)) < size[:, None]
        narrow.x[:, : narrow.width] = xp.where(within, falling, xp.full_like(falling, _FORBIDDEN))
        return narrow

    def forbid_padding(self) -> None:
        self.x[:, self.width :] = _FORBIDDEN

    def count(self, logits: Array, level: Array) -> Array:
        """How many logits of each row exceed ``level``."""
        self.product[:, self.width :] = 0
        self.xp.greater(logits, level, out=self.product[:, : self.width])
        return self.sum(self.product)

    def sum(self, x: Array) -> Array:
        groups = x.reshape(len(x), -1, self.together).sum(-1)
        return groups.sum(-1, dtype=self.xp.float64)


@dataclass(frozen=True)
class _Plan:
    r"""How to form :math:`e^{ax}` for the exponents :math:`a=1-\lambda`.

    Each chain starts from one exponential, at its anchor, and climbs by products with :math:`e^{\delta x}`, where
    :math:`\delta` is the ``step`` that all exponents share; without a step every exponent is an anchor.
    """

    exponents: tuple[float, ...]
    step: float | None
    chains: tuple[tuple[float, tuple[tuple[int, int], ...]], ...]


@lru_cache(maxsize=32)
def _plan(lambdas: tuple[float, ...]) -> _Plan:
    exponents = tuple(1 - value for value in lambdas)
    direct = _Plan(exponents, None, tuple((a, ((index, 0),)) for index, a in enumerate(exponents)))
    fractions = [Fraction(value).limit_denominator(1000) for value in lambdas]
    if len(lambdas) < 3 or any(
        abs(float(fraction) - value) > 1e-15 for fraction, value in zip(fractions, lambdas, strict=True)
    ):
        return direct
    divisor = math.lcm(*(fraction.denominator for fraction in fractions))
    step = Fraction(math.gcd(*(int(fraction * divisor) for fraction in fractions)), divisor)
    rising = sorted(range(len(lambdas)), key=lambda index: exponents[index])
    chains, products = [], 0
    for part in (
        [index for index in rising if exponents[index] < 1],
        [index for index in rising if exponents[index] > 1],
    ):
        if not part:
            continue
        here = 1 - fractions[part[0]] if exponents[part[0]] < 1 else Fraction(1)
        anchor, climbs = float(here), []
        for index in part:
            steps = int((1 - fractions[index] - here) / step)
            climbs.append((index, steps))
            products += steps // 2 + steps % 2
            here = 1 - fractions[index]
        chains.append((anchor, tuple(climbs)))
    climbing = _EXP_IN_PRODUCTS * (1 + sum(anchor != 1 for anchor, _ in chains)) + products
    if climbing >= _EXP_IN_PRODUCTS * len(lambdas):
        return direct
    return _Plan(exponents, float(step), tuple(chains))


def _on_cpu(x: Array) -> bool:
    return str(device(x)).partition(":")[0] == "cpu"
