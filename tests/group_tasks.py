"""What the two processes of a group are asked to do; they import it by name."""

from __future__ import annotations

from typing import Any

from matropy import evaluate, load_model
from matropy.lm import generate_responses


def evaluate_together(folder: str, texts: list[str], options: dict[str, Any]) -> Any:
    """The evaluation, or what was wrong."""
    try:
        return evaluate(load_model(folder, device="cpu"), texts, **options).to_dict()
    except ValueError as error:
        return str(error)


def answer_together(folder: str, prompts: list[str], output: str, options: dict[str, Any]) -> Any:
    """The answers and all that the corpus of them says of itself, or what was wrong."""
    try:
        answers = generate_responses(
            load_model(folder, device="cpu"), prompts, output, chat_template=False, **options
        )
    except ValueError as error:
        return str(error)
    return [*answers], answers.sha256, answers.made
