"""How many tokens fit into a training step, with the logits in memory and without."""

from __future__ import annotations

import math
from dataclasses import dataclass

from matropy._core._errors import InputError
from matropy._core._validation import check_integer

__all__ = ["BatchPlan", "max_batch_tokens"]

_BYTES_PER_PARAMETER = 8
_BYTES_PER_LOG_PROBABILITY = 4
_BYTES_PER_CHECKPOINT = 2


@dataclass(frozen=True)
class BatchPlan:
    """The largest batch of a training step.

    Attributes
    ----------
    tokens_before : int
        Where the log-probabilities of all tokens are in memory.
    tokens_after : int
        Where they are not.
    gain : float
        How many times larger the second is.
    """

    tokens_before: int
    tokens_after: int
    gain: float


def max_batch_tokens(
    vocab: int, layers: int, hidden: int, parameters: int, gpus: int = 16, gib: float = 75.0
) -> BatchPlan:
    r"""Tokens that fit into the memory of several GPUs over which a model is sharded.

    .. math:: N = \frac{\text{gpus}\cdot\text{gib}\cdot2^{30} - 8P}{4V + 2LD}

    Weights, gradients and two moments of :math:`P` parameters take 8 bytes each; a token takes the :math:`4V` bytes
    of its log-probabilities, which the second figure leaves out, and the :math:`2LD` bytes of one checkpoint a layer.

    Parameters
    ----------
    vocab, layers, hidden, parameters : int
        :math:`V`, :math:`L`, :math:`D` and :math:`P`.
    gpus : int
    gib : float
        Memory of one that can be used, GiB.

    Returns
    -------
    BatchPlan

    Raises
    ------
    ValueError
        If the parameters alone do not fit, or a number is not positive.

    References
    ----------
    Wijmans, Huval, Hertzberg, Koltun and Krähenbühl, *Cut Your Losses in Large-Vocabulary Language Models*, 2025,
    table of memory use and batch sizes.

    Examples
    --------
    >>> from matropy.nn import max_batch_tokens
    >>> plan = max_batch_tokens(vocab=256_000, layers=26, hidden=2304, parameters=2_614_341_888)
    >>> plan.tokens_before, plan.tokens_after, round(plan.gain, 1)
    (1108206, 10580056, 9.5)
    """
    sizes = {"vocab": vocab, "layers": layers, "hidden": hidden, "parameters": parameters, "gpus": gpus}
    vocab, layers, hidden, parameters, gpus = (
        check_integer(size, name, low=1) for name, size in sizes.items()
    )
    if not (math.isfinite(gib) and gib > 0):
        raise InputError(f"gib must be a positive number, got {gib!r}")
    free = gpus * gib * 2**30 - _BYTES_PER_PARAMETER * parameters
    checkpoints = _BYTES_PER_CHECKPOINT * layers * hidden
    before = int(free // (_BYTES_PER_LOG_PROBABILITY * vocab + checkpoints))
    if before < 1:
        raise InputError(
            f"{parameters} parameters take {_BYTES_PER_PARAMETER * parameters / 2**30:.4g} GiB in training, and"
            f" {gpus} times {gib:g} GiB leave no room for a token"
        )
    after = int(free // checkpoints)
    return BatchPlan(before, after, after / before)
