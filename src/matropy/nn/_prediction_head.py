"""From the last hidden state of a causal language model to its logits, as numbers instead of a module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matropy._core._errors import InputError

if TYPE_CHECKING:
    import torch

__all__ = ["PredictionHead", "prediction_head"]

# What configurations call a factor of the logits, and what they call the softcap.
_FACTORS = ("logit_scale", "lm_head_multiplier", "output_multiplier")
_DIVISOR = "logits_scaling"
_SOFTCAPS = ("final_logit_softcapping", "logits_soft_cap")


@dataclass(frozen=True)
class PredictionHead:
    r"""The map :math:`z = s\tanh(a(Ce + b)/s)` from states :math:`e` to logits.

    Attributes
    ----------
    weight : Tensor, shape (V, D)
        The classifier :math:`C`.
    bias : Tensor of shape (V,), or None
        :math:`b`.
    softcap : float or None
        :math:`s`; None leaves logits as they are.
    scale : float
        :math:`a`.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    softcap: float | None
    scale: float

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """Logits ``(..., V)`` of states ``(..., D)``."""
        import torch

        logits = torch.nn.functional.linear(states, self.weight, self.bias)
        if self.scale != 1:
            logits = logits * self.scale
        return self.softcap * torch.tanh(logits / self.softcap) if self.softcap else logits

    def scaled(self, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """States and bias with the factor in them, for functions that take a weight and know of none."""
        if self.scale == 1:
            return states, self.bias
        return states * self.scale, None if self.bias is None else self.bias * self.scale

    def check(self, states: torch.Tensor, logits: torch.Tensor, model: Any) -> None:
        """Raise ``ValueError`` unless these are the logits that the model itself makes of these states.

        NaN on either side is not this check's business: it is told where it is measured.
        """
        own, ours = logits.float(), self(states).float()
        if (own - ours).nan_to_num(0.0).abs().max() > 0.02 * own.nan_to_num(0.0).abs().max():
            raise InputError(f"{type(model).__name__} makes its logits in a way that is not supported")


def prediction_head(model: Any) -> PredictionHead:
    """Read the head of a Hugging Face causal language model: its output layer, and what its configuration names.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        With ``get_output_embeddings()``.

    Raises
    ------
    ValueError
        If its output layer is not a plain linear one.
    """
    import torch

    output = model.get_output_embeddings()
    if not isinstance(output, torch.nn.Linear) or type(output).forward is not torch.nn.Linear.forward:
        raise InputError(
            f"the output layer of {type(model).__name__} must be a torch.nn.Linear, got {type(output).__name__}"
        )
    config = model.config.get_text_config()
    scale = 1.0
    for name in _FACTORS:
        scale *= float(getattr(config, name, None) or 1)
    divisor = float(getattr(config, _DIVISOR, None) or 1)
    # HyperCLOVA X means a factor by the name that others use for a divisor.
    scale = scale * divisor if config.model_type.startswith("hyperclovax") else scale / divisor
    caps = (getattr(config, name, None) for name in _SOFTCAPS)
    return PredictionHead(output.weight, output.bias, next((cap for cap in caps if cap), None), scale)
