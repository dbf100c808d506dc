"""The sign codes of a model's gated units: which of them each token switches on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matropy.lm import LanguageModel
from matropy.lm._hidden_states import model_blocks
from matropy.metrics._activation_codes._distinct import distinct_rows
from matropy.metrics._activation_codes._packing import Words, count_ones, pack_above

if TYPE_CHECKING:
    import torch

__all__ = ["Gates", "WindowCodes"]


@dataclass(frozen=True)
class WindowCodes:
    """The codes of one window.

    Attributes
    ----------
    redundancy : array, shape (blocks + 1,)
        Share of surplus tokens in the code of each block, and in that of all together; NaN without gates.
    ones : array of int, shape (bits,)
        For how many tokens each unit is on, block after block.
    """

    redundancy: NDArray[np.float64]
    ones: NDArray[np.int64]


@dataclass
class Gates:
    """The gate of the feed-forward network of each block: what goes into its one activation.

    Attributes
    ----------
    modules : list of Module or None
        The activation of each block; None where it has none of its own, or several, or where it does not see every
        token once, as in a mixture of experts.
    bits : list of int
        Units of each gate, 0 where there is none.
    """

    modules: list[Any]
    bits: list[int]
    _words: dict[int, Words] = field(default_factory=dict)

    @classmethod
    def of(cls, model: LanguageModel) -> Gates:
        """Find the gates, and check on a few tokens that they are."""
        import torch

        blocks = model_blocks(model.model.base_model, model.layers)
        if blocks is None:
            return cls([None] * model.layers, [0] * model.layers)
        modules = [_only_activation(block) for block in blocks]
        # One activation that blocks share cannot tell them apart.
        modules = [module if modules.count(module) == 1 else None for module in modules]
        seen: dict[int, list[tuple[int, ...]]] = {}
        with ExitStack() as hooks, torch.inference_mode():
            for block, module in enumerate(modules):
                if module is not None:
                    note = partial(_note, seen.setdefault(block, []))
                    hooks.callback(module.register_forward_pre_hook(note).remove)
            probe = torch.arange(8, device=model.device)[None] % model.vocabulary
            model.model.base_model(input_ids=probe, use_cache=False)
        for block, shapes in seen.items():
            if len(shapes) != 1 or shapes[0][:-1] != (1, 8):
                modules[block] = None
        return cls(modules, [seen[block][0][-1] if m is not None else 0 for block, m in enumerate(modules)])

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keep the codes of what the model runs on inside."""
        self._words.clear()
        with ExitStack() as hooks:
            for block, module in enumerate(self.modules):
                if module is not None:
                    hooks.callback(module.register_forward_pre_hook(partial(self._keep, block)).remove)
            yield

    def windows(self, length: int, spans: Sequence[tuple[int, int]]) -> list[WindowCodes]:
        """The codes of each row of the recorded batch, which had ``length`` tokens a row, between its ends."""
        by_row = {
            block: words.reshape(len(spans), length, words.shape[1]) for block, words in self._words.items()
        }
        self._words.clear()
        return [self._of_window(by_row, row, slice(*span)) for row, span in enumerate(spans)]

    def _of_window(self, by_row: dict[int, Words], row: int, tokens: slice) -> WindowCodes:
        redundancy = np.full(len(self.modules) + 1, np.nan)
        codes = {block: words[row, tokens] for block, words in by_row.items()}
        for block, words in codes.items():
            redundancy[block] = _surplus(words)
        if codes:
            redundancy[-1] = _surplus(np.concatenate([*codes.values()], axis=1))
        ones = [count_ones(words, self.bits[block]) for block, words in codes.items()]
        return WindowCodes(redundancy, np.concatenate(ones) if ones else np.zeros(0, np.int64))

    def _keep(self, block: int, _: Any, args: tuple[torch.Tensor, ...]) -> None:
        self._words[block] = pack_above(args[0].reshape(-1, args[0].shape[-1]))


def _only_activation(block: Any) -> Any:
    from matropy.metrics._activation_codes._recorder import is_unit_activation

    found = [module for module in block.modules() if is_unit_activation(module)]
    return found[0] if len(found) == 1 else None


def _note(shapes: list[tuple[int, ...]], _: Any, args: tuple[torch.Tensor, ...]) -> None:
    shapes.append(tuple(args[0].shape))


def _surplus(words: Words) -> float:
    return 1 - len(distinct_rows(words)[0]) / len(words)
