"""The order in which classes are laid into tiles, so that likely ones share tiles."""

from __future__ import annotations

from collections.abc import Iterator

import torch

__all__ = ["class_order"]

_SAMPLE = 128
_LOGITS_AT_ONCE = 2**21
_SIDE = 128


def class_order(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    rows: torch.Tensor,
    softcap: float | None,
    *,
    eps: float,
) -> torch.Tensor:
    """Classes by average logit or as they are, whichever leaves fewer tiles alive on a sample of the rows.

    Half of an even sample makes the averages and the other half decides, so that an order is not judged by the tokens
    that made it. Neither is always better: classes that are sorted by frequency may already lie well.
    """
    natural = torch.arange(len(weight), device=weight.device)
    if len(rows) < 2 or len(weight) <= _SIDE:
        return natural
    sample = rows[:: max(1, len(rows) // (2 * _SAMPLE))][: 2 * _SAMPLE]
    mean = torch.cat([z.mean(0) for z in _logits(input[sample[::2]], weight, bias, softcap)])
    by_mean = mean.argsort(stable=True)
    judges = input[sample[1::2]]
    lse = torch.stack([z.logsumexp(1) for z in _logits(judges, weight, bias, softcap)]).logsumexp(0)
    peak = torch.cat([(z - lse[:, None]).amax(0) for z in _logits(judges, weight, bias, softcap)]).exp()
    better = _live_share(peak[by_mean], eps) < _live_share(peak, eps)
    return torch.where(better, by_mean, natural)


def _logits(
    states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, softcap: float | None
) -> Iterator[torch.Tensor]:
    """Logits of all states for some classes at a time."""
    step = max(1, _LOGITS_AT_ONCE // len(states))
    for start in range(0, len(weight), step):
        part = None if bias is None else bias[start : start + step]
        z = torch.nn.functional.linear(states, weight[start : start + step], part).float()
        yield z if softcap is None else softcap * torch.tanh(z / softcap)


def _live_share(peak: torch.Tensor, eps: float) -> torch.Tensor:
    """Share of tiles in which a class is given a probability that reaches epsilon."""
    padded = torch.nn.functional.pad(peak, (0, -len(peak) % _SIDE))
    return (padded.view(-1, _SIDE).amax(1) >= eps).float().mean()
