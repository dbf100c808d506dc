"""What the two processes of a group are asked to do; they import it by name."""

from __future__ import annotations

from typing import Any

from matropy import evaluate, load_model


def evaluate_together(folder: str, texts: list[str], options: dict[str, Any]) -> Any:
    """The evaluation, or what was wrong."""
    try:
        return evaluate(load_model(folder, device="cpu"), texts, **options).to_dict()
    except ValueError as error:
        return str(error)
