"""Passages by people, and a model's own text with its decoding known to the token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matropy.information import Decoding

__all__ = ["passages", "sample"]

Ids = list[list[int]]


def passages(folder: Path, tokenizer: Any, count: int, tokens: int, *, offset: float) -> Ids:
    """``count`` passages of ``tokens`` tokens, evenly from all files; ``offset`` in [0, 1) moves them within a file."""
    files = sorted(folder.glob("*.txt"))
    each = -(-count // len(files))
    found: list[Ids] = []
    for file in files:
        paragraphs = [part for part in file.read_text().split("\n\n") if not part.startswith("## ")]
        starts = [int(len(paragraphs) * (place + offset) / each) for place in range(each)]
        found.append(
            [
                tokenizer("\n\n".join(paragraphs[start:])[: 12 * tokens], verbose=False)["input_ids"][:tokens]
                for start in starts
            ]
        )
    in_turn = [own[place] for place in range(each) for own in found]
    return [ids for ids in in_turn if len(ids) == tokens][:count]


def sample(
    model: Any,
    prompts: Ids,
    decoding: Decoding,
    tokens: int,
    seed: int,
    *,
    batch: int = 32,
    done: Callable[[int], None] = lambda _: None,
) -> Ids:
    """Continue each prompt (all of one length) by ``tokens`` draws from the declared law; nothing ends a text."""
    import torch

    generator = torch.Generator(model.device).manual_seed(seed)
    texts: Ids = []
    for start in range(0, len(prompts), batch):
        ids = torch.tensor(prompts[start : start + batch], device=model.device)
        drawn, cache = [ids], None
        with torch.inference_mode():
            for _ in range(tokens):
                output = model(drawn[-1], past_key_values=cache, use_cache=True, logits_to_keep=1)
                cache = output.past_key_values
                law = decoding.apply(output.logits[:, -1].float())
                drawn.append(torch.multinomial(law.softmax(-1), 1, generator=generator))
        texts += torch.cat(drawn, dim=1).tolist()
        done(len(ids))
    return texts
