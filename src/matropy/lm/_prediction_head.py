"""The prediction head of a language model, checked against the model's own logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matropy.nn import PredictionHead, prediction_head

if TYPE_CHECKING:
    from matropy.lm._model import LanguageModel

__all__ = ["checked_prediction_head"]


def checked_prediction_head(model: LanguageModel) -> PredictionHead:
    """Read the head of a model and try it on a few tokens.

    Raises
    ------
    ValueError
        If the model's logits are not what its output layer (with the scalings that its configuration names) gives.
    """
    import torch

    head = prediction_head(model.model)
    with torch.inference_mode():
        probe = torch.arange(8, device=model.device)[None] % model.vocabulary
        logits = model.model(input_ids=probe, use_cache=False).logits
        states = model.model.base_model(input_ids=probe, use_cache=False).last_hidden_state
        head.check(states, logits, model.model)
    return head
