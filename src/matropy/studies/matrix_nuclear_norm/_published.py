"""Figures of the paper that the study sets its own beside."""

from __future__ import annotations

CEREBRAS_WIDTHS = (768, 1088, 1536, 2048, 2560, 4096, 5120)
"""Hidden sizes of Cerebras-GPT 111M, 256M, 590M, 1.3B, 2.7B, 6.7B, 13B."""

CEREBRAS_SPEEDUP = (8.58, 10.94, 16.02, 17.84, 16.49, 24.27, 19.78)
"""Seconds for matrix entropy over seconds for matrix nuclear-norm, model loading and forward passes included."""

CEREBRAS_NORM = {
    "Dolly-15k": (0.6207, 0.5565, 0.5063, 0.4553, 0.4639, 0.3904, 0.4859),
    "Wikipedia": (0.6744, 0.6422, 0.6094, 0.5639, 0.5438, 0.4660, 0.4708),
    "OpenWebText2": (0.7147, 0.7066, 0.6823, 0.6363, 0.6017, 0.5133, 0.4991),
    "HH-RLHF": (0.6309, 0.5716, 0.5307, 0.4771, 0.4959, 0.4277, 0.4518),
}
"""Matrix nuclear-norm of the same models, by data set."""

CEREBRAS_LENGTHS = {64: 0.4574, 128: 0.5293, 512: 0.7883, 1024: 0.9132}
"""Matrix nuclear-norm of Cerebras-GPT 111M by the largest length of a text, in tokens."""
