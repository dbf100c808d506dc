"""A record of a text, from one pass of a model over it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matropy._core._errors import InputError
from matropy._core._validation import Array, check_integer
from matropy.information._provenance._decision import FEWEST_TOKENS
from matropy.information._provenance._decoding import FULL_LAW, Decoding
from matropy.information._provenance._record import TokenRecord, check_lambdas, check_tokens
from matropy.information._provenance._token_statistics import LAMBDAS

__all__ = ["token_record"]

_LOGITS_AT_ONCE = 2**22


def token_record(
    model: Any,
    input_ids: Array,
    *,
    context: int = 32,
    decoding: Decoding = FULL_LAW,
    lambdas: Sequence[float] = LAMBDAS,
    block: int | None = None,
) -> TokenRecord:
    """Run a model over a text once and record what its law says about every token.

    The logits of a causal model of ``transformers`` are formed from its last hidden states a few rows at a time, so
    those of a long text are never held together.

    Parameters
    ----------
    model : LanguageModel, transformers causal model or callable
        A callable takes ids of shape (1, n), a torch tensor where torch is installed, and gives logits (1, n, V), or an object
        that has them as ``.logits``: row t is the law of the token at t + 1. It holds them all.
    input_ids : array of int, shape (n,) or (1, n)
        The text with what stands before it: a prompt, a chat template, a first special token. They must be the ids as
        the generator had them.
    context : int
        The tokens from here on are scored; at least 1. Where the prompt is known it is the prompt's length; the first
        32 tokens of a text stand in for a prompt that is not known.
    decoding : Decoding
        The law that the tokens are said to have been drawn from. Scoring text that was drawn with top-k, top-p or at a low
        temperature against the full law rejects a model's own text with certainty.
    lambdas : sequence of float
        The bets of the e-process; see :class:`TokenRecord`.
    block : int, optional
        Rows of logits that are held at once; by default about 16 MB of them.

    Returns
    -------
    TokenRecord

    Raises
    ------
    ValueError
        For fewer than eight scored tokens, a token id outside the vocabulary, a text longer than the model can hold,
        NaN logits, logits of another shape, or a model that makes its logits otherwise than by its output layer (call
        it as a function then).

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.information import provenance_test, token_record
    >>> coin = lambda ids: np.log(np.full((1, ids.shape[1], 2), 0.5))
    >>> record = token_record(coin, [0, 1] * 20, context=1)
    >>> len(record), provenance_test(record).D
    (39, 0.0)
    """
    context = check_integer(context, "context", low=1)
    lambdas = check_lambdas(lambdas)
    ids = _row_of_ids(input_ids)
    if len(ids) - context < FEWEST_TOKENS:
        raise InputError(
            f"a record needs at least {FEWEST_TOKENS} tokens to score, got {max(0, len(ids) - context)}"
            f" ({len(ids)} tokens, of which {context} are context)"
        )
    if block is not None:
        block = check_integer(block, "block", low=1)
    name = ""
    if hasattr(model, "tokenizer") and hasattr(model, "model"):  # a LanguageModel
        name, model = model.name, model.model

    def record(logits: Array, tokens: NDArray[np.int64]) -> TokenRecord:
        return TokenRecord.from_logits(logits, tokens, decoding=decoding, lambdas=lambdas, block=block)

    if hasattr(model, "get_output_embeddings"):
        parts = _from_states(model, ids, context, block, record)
    else:
        parts = [record(_all_logits(model, ids)[context - 1 : -1], ids[context:])]

    def joined(field: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, field) for part in parts])

    return replace(
        parts[0],
        surprise=joined("surprise"),
        entropy=joined("entropy"),
        variance=joined("variance"),
        cumulant=joined("cumulant"),
        rank=joined("rank"),
        tokens=joined("tokens"),
        model=name,
    )


def _all_logits(model: Callable[[Any], Any], ids: NDArray[np.int64]) -> Array:
    """Logits (n, V) of any callable."""
    try:
        import torch
    except ModuleNotFoundError:
        output: Any = model(ids[None])
    else:
        given = torch.from_numpy(ids[None])
        if isinstance(model, torch.nn.Module):
            given = given.to(next((parameter.device for parameter in model.parameters()), given.device))
        with torch.no_grad():
            output = model(given)
    logits = getattr(output, "logits", output)
    if not hasattr(logits, "shape"):
        raise TypeError(
            f"model must give an array of logits, or an object with .logits; got {type(output).__name__}"
        )
    if logits.ndim != 3 or tuple(logits.shape[:2]) != (1, len(ids)):
        raise ValueError(
            f"model must give logits of shape (1, {len(ids)}, V) for {len(ids)} tokens, got {tuple(logits.shape)}"
        )
    return logits[0]


def _from_states(
    model: Any,
    ids: NDArray[np.int64],
    context: int,
    block: int | None,
    record: Callable[[Array, NDArray[np.int64]], TokenRecord],
) -> list[TokenRecord]:
    """Of a causal model of transformers, whose output layer is applied to a few states at a time."""
    import torch

    from matropy.nn._prediction_head import prediction_head

    head = prediction_head(model)
    vocabulary = head.weight.shape[0]
    check_tokens(ids, vocabulary)
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if longest is not None and len(ids) > longest:
        raise InputError(
            f"the text has {len(ids)} tokens, and the model can hold {longest}; score it in pieces"
        )
    rows = block or max(1, _LOGITS_AT_ONCE // vocabulary)
    with torch.inference_mode(), _evaluating(model):
        states, own = _last_states(model, torch.from_numpy(ids[None]).to(model.device))
        try:
            head.check(states[-1], own, model)
        except InputError as error:
            raise InputError(_unsupported(model)) from error
        before = states[context - 1 : -1]
        return [
            record(head(before[start : start + rows]), ids[context + start : context + start + rows])
            for start in range(0, len(before), rows)
        ]


def _last_states(model: Any, ids: Any) -> tuple[Any, Any]:
    """The states (n, d) that the output layer is given, and the model's own last row of logits, in one pass."""
    kept: list[Any] = []

    def keep(module: Any, arguments: Any, output: Any) -> None:
        kept.append(getattr(output, "last_hidden_state", output[0] if isinstance(output, tuple) else None))

    hook = model.base_model.register_forward_hook(keep)
    few = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    try:
        output = model(input_ids=ids, use_cache=False, **few)
    finally:
        hook.remove()
    if len(kept) != 1 or kept[0] is None:
        raise InputError(_unsupported(model))
    return kept[0][0], output.logits[0, -1]


def _unsupported(model: Any) -> str:
    return (
        f"{type(model).__name__} makes its logits otherwise than by its output layer; give a function that returns"
        " them, such as lambda ids: model(ids).logits"
    )


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Switch dropout off, and afterwards everything back to how it was."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _row_of_ids(input_ids: Array) -> NDArray[np.int64]:
    ids = np.asarray(input_ids.detach().cpu() if hasattr(input_ids, "detach") else input_ids)
    if ids.ndim == 2 and len(ids) == 1:
        ids = ids[0]
    if ids.ndim != 1:
        raise ValueError(f"input_ids must be one text, of shape (n,) or (1, n); got shape {ids.shape}")
    return check_tokens(ids)
