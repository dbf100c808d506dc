"""The sign codes of a model's gated units: which of them each token switches on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matropy.evaluation._measuring import Meter
from matropy.lm import LanguageModel
from matropy.lm._hidden_states import model_blocks
from matropy.metrics._activation_codes._distinct import count_distinct
from matropy.metrics._activation_codes._packing import (
    Words,
    count_ones,
    count_true,
    pack_above,
    pack_bits,
)

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
    _rows: dict[int, list[_Codes]] = field(default_factory=dict)
    _count: int = 0

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
    def recording(self, meter: Meter, length: int, spans: Sequence[tuple[int, int]]) -> Iterator[None]:
        """Take the codes of a batch of ``length`` tokens a row that the model runs on inside, each row in its span."""
        self._rows, self._count = {}, len(spans)
        with ExitStack() as hooks:
            for block, module in enumerate(self.modules):
                if module is not None:
                    take = partial(self._take, block, meter, length, spans)
                    hooks.callback(module.register_forward_pre_hook(take).remove)
            yield

    def windows(self, meter: Meter) -> list[WindowCodes]:
        """The codes of each row of the recorded batch."""
        with meter.timed():
            windows = meter.map(self._window, range(self._count))
        self._rows = {}
        return windows

    def _take(
        self,
        block: int,
        meter: Meter,
        length: int,
        spans: Sequence[tuple[int, int]],
        _: Any,
        args: tuple[torch.Tensor, ...],
    ) -> None:
        with meter.timed():
            gate = args[0].reshape(-1, length, args[0].shape[-1])
            if meter.on_cpu:
                array = gate.numpy() if gate.dtype.itemsize >= 4 else gate.float().numpy()
                # One array for all: fresh memory would take longer than the comparison.
                on = np.empty(gate.shape[1:], np.bool_)
                self._rows[block] = [
                    _codes(np.greater(array[row, start:stop], 0, out=on[start:stop]))
                    for row, (start, stop) in enumerate(spans)
                ]
            else:
                words = pack_above(gate.flatten(0, 1)).reshape(len(gate), length, -1)
                self._rows[block] = [
                    _Codes(words[row, start:stop], count_ones(words[row, start:stop], gate.shape[-1]))
                    for row, (start, stop) in enumerate(spans)
                ]

    def _window(self, row: int) -> WindowCodes:
        redundancy = np.full(len(self.modules) + 1, np.nan)
        codes = [rows[row] for rows in self._rows.values()]
        if not codes:
            return WindowCodes(redundancy, np.zeros(0, np.int64))
        redundancy[list(self._rows)] = [_surplus(code.words) for code in codes]
        # Tokens that differ in one block differ.
        redundancy[-1] = (
            0.0 if (redundancy == 0).any() else _surplus(np.concatenate([c.words for c in codes], axis=1))
        )
        return WindowCodes(redundancy, np.concatenate([code.ones for code in codes]))


@dataclass(frozen=True)
class _Codes:
    """A text's packed codes in one block, and for how many of its tokens each unit is on."""

    words: Words
    ones: NDArray[np.int64]


def _codes(on: NDArray[np.bool_]) -> _Codes:
    return _Codes(pack_bits(on), count_true(on))


def _only_activation(block: Any) -> Any:
    from matropy.metrics._activation_codes._recorder import is_unit_activation

    found = [module for module in block.modules() if is_unit_activation(module)]
    return found[0] if len(found) == 1 else None


def _note(shapes: list[tuple[int, ...]], _: Any, args: tuple[torch.Tensor, ...]) -> None:
    shapes.append(tuple(args[0].shape))


def _surplus(words: Words) -> float:
    return 1 - count_distinct(words) / len(words)
