"""The loss of a token as a function of three numbers, and its slopes."""

from __future__ import annotations

from typing import NamedTuple

import torch

__all__ = ["Criterion", "LogitSums", "divide", "sum_dtype"]


class LogitSums(NamedTuple):
    r"""What a loss needs to know about the logits :math:`z`; every field has one value a token.

    ``lse`` is :math:`\log\sum_v e^{z_v}`, ``target_logit`` :math:`z_x`, and ``logit_sum`` :math:`\sum_v\omega_vz_v`,
    which is zero where labels are not smoothed.
    """

    lse: torch.Tensor
    target_logit: torch.Tensor
    logit_sum: torch.Tensor


class Criterion(NamedTuple):
    r"""The part of the loss that knows nothing of the classifier.

    With class weights :math:`\omega`, smoothing :math:`a` and z-loss :math:`\zeta`,

    .. math::

        \ell = (1-a)\,\omega_x(\mathrm{LSE}-z_x) + \frac aV\sum_v\omega_v(\mathrm{LSE}-z_v) + \zeta\,\mathrm{LSE}^2 .
    """

    class_weight: torch.Tensor
    label_smoothing: float
    z_loss: float

    @property
    def sum_weight(self) -> torch.Tensor | None:
        """Weights of ``logit_sum``; None where it is not needed."""
        return self.class_weight if self.label_smoothing else None

    def cross_entropy(self, sums: LogitSums, target: torch.Tensor) -> torch.Tensor:
        """All but the z-loss."""
        if not self.label_smoothing:
            return self.class_weight[target] * (sums.lse - sums.target_logit)
        loss = self.lse_slope(target) * sums.lse + self.target_slope(target) * sums.target_logit
        return loss + self.sum_slope * sums.logit_sum

    def z_penalty(self, sums: LogitSums) -> torch.Tensor:
        """The z-loss."""
        return self.z_loss * sums.lse.square()

    def lse_slope(self, target: torch.Tensor) -> torch.Tensor:
        """Derivative of the cross-entropy by the log-sum-exp."""
        own = (1 - self.label_smoothing) * self.class_weight[target]
        return own - self.sum_slope * self.class_weight.sum() if self.label_smoothing else own

    def target_slope(self, target: torch.Tensor) -> torch.Tensor:
        """Derivative of the cross-entropy by the logit of the target."""
        return (self.label_smoothing - 1) * self.class_weight[target]

    @property
    def sum_slope(self) -> float:
        """Derivative of the cross-entropy by ``logit_sum``."""
        return -self.label_smoothing / len(self.class_weight)


def divide(total: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    """Divide, where nothing over nothing is nothing."""
    return total / by.masked_fill(by == 0, 1)


def sum_dtype(like: torch.Tensor) -> torch.dtype:
    """What losses of many tokens are summed in: double precision, where the device has it."""
    return torch.float32 if like.device.type == "mps" else torch.float64
