"""The stream of hidden states: one layer of one batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from matropy._core._errors import InputError
from matropy.lm._windows import Window, batched_windows

if TYPE_CHECKING:
    import torch

    from matropy.lm._model import LanguageModel

__all__ = ["hidden_states", "model_blocks", "padded", "resolve_layers", "run_layers"]


def hidden_states(
    model: LanguageModel,
    windows: Iterable[Window],
    *,
    layers: Literal["all", "last"] | Sequence[int] = "all",
    batch_tokens: int = 4096,
) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """Run windows through a model and give its hidden states, layer by layer.

    Index 0 is the embedding, the last index the state after the final norm, as in the ``hidden_states`` of
    Hugging Face. Padding is on the right, where a causal model's tokens never look.

    Parameters
    ----------
    model : LanguageModel
    windows : iterable of Window
        From :func:`token_windows`.
    layers : "all", "last" or sequence of int
        Which hidden states; negative indices count from the last.
    batch_tokens : int
        Tokens of a padded batch.

    Yields
    ------
    layer : int
    states : Tensor, shape (B, N, d)
        On the device and in the precision of the model; what lies behind the mask is meaningless.
    mask : Tensor of bool, shape (B, N)
        True where there is a token.

    Raises
    ------
    ValueError
        For a layer that the model does not have.
    """
    wanted = resolve_layers(layers, model.layers)
    for batch in batched_windows((window for window in windows if len(window.ids)), batch_tokens):
        kept: list[torch.Tensor] = []
        ids, mask = padded(batch, model)
        run_layers(model, ids, wanted, partial(_keep, kept))
        for layer in wanted:
            yield layer, kept.pop(0), mask


def run_layers(
    model: LanguageModel,
    ids: torch.Tensor,
    layers: Sequence[int],
    on_layer: Callable[[int, torch.Tensor], None],
) -> torch.Tensor:
    """Run the model without its head and hand over the wanted hidden states while it runs, each as it is made.

    Returns the last one (after the final norm). Nothing but the current layer has to be kept.
    """
    import torch

    base = model.model.base_model
    last = model.layers
    blocks = model_blocks(base, last)
    with torch.inference_mode(), ExitStack() as hooks:
        if blocks is None:
            output = base(input_ids=ids, use_cache=False, output_hidden_states=True)
            for layer in layers:
                if layer < last:
                    on_layer(layer, output.hidden_states[layer])
        else:
            for layer in layers:
                if layer < last:
                    hook = _hook(layer, on_layer)
                    hooks.callback(blocks[layer].register_forward_pre_hook(hook, with_kwargs=True).remove)
            output = base(input_ids=ids, use_cache=False)
        final: torch.Tensor = output.last_hidden_state
        if last in layers:
            on_layer(last, final)
    return final


def padded(batch: Sequence[Window], model: LanguageModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids of a batch, padded on the right with each text's own last token, and the mask of real tokens."""
    import torch

    lengths = np.array([len(window.ids) for window in batch])
    longest = int(lengths.max())
    ids = np.stack([np.pad(window.ids, (0, longest - len(window.ids)), mode="edge") for window in batch])
    mask = np.arange(longest) < lengths[:, None]
    return torch.from_numpy(ids).to(model.device), torch.from_numpy(mask).to(model.device)


def resolve_layers(layers: Literal["all", "last"] | Sequence[int], last: int) -> list[int]:
    """Indices of hidden states, in rising order; ``last`` is the index of the final one.

    Raises
    ------
    ValueError
        For another word, an index out of range, or no index.
    """
    if isinstance(layers, str):
        if layers not in ("all", "last"):
            raise InputError(f"layers must be 'all', 'last' or indices, got {layers!r}")
        return list(range(last + 1)) if layers == "all" else [last]
    wanted = set()
    for index in layers:
        if not -last - 1 <= index <= last:
            raise InputError(f"layer {index} is not there: the hidden states are 0 (the embedding) to {last}")
        wanted.add(int(index) % (last + 1))
    if not wanted:
        raise InputError("layers is empty")
    return sorted(wanted)


def _keep(kept: list[torch.Tensor], layer: int, states: torch.Tensor) -> None:
    kept.append(states)


def model_blocks(base: Any, count: int) -> Any:
    """The decoder's list of layers: the one module list as long as the configuration says."""
    import torch

    lists = [m for m in base.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count]
    return lists[0] if len(lists) == 1 else None


def _hook(layer: int, on_layer: Callable[[int, torch.Tensor], None]) -> Callable[..., None]:
    def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        on_layer(layer, args[0] if args else kwargs["hidden_states"])

    return hook
