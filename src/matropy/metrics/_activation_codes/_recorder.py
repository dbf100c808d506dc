"""Recording which units of a network are on while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from functools import partial
from numbers import Real
from types import TracebackType
from typing import Any, Literal

from matropy._core._errors import MissingExtraError
from matropy._core._validation import check_choice
from matropy.metrics._activation_codes._code_book import CodeBook
from matropy.metrics._activation_codes._packing import Words, join_bits, pack_above

try:
    import torch
    from torch import nn
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"ActivationRecorder needs {error.name}, which is not installed: pip install 'matropy[torch]'"
    ) from error

__all__ = ["ActivationRecorder", "is_unit_activation"]

_NOT_OF_UNITS = (nn.MultiheadAttention, nn.GLU, nn.Softmax, nn.Softmax2d, nn.Softmin, nn.LogSoftmax)
"""Of torch's activations those that do not act on each unit alone."""
_NAMED = 12


class ActivationRecorder:
    r"""Record the neural code of every example that a network is run on.

    Bit j of a code is 1 where unit j of the activation modules is above the threshold; a ReLU network is linear on the
    inputs of one code. Use it as a context: the network is in evaluation mode inside (batch normalization in training
    mode would make a code depend on its batch), and is as it was afterwards, without hooks, also after an exception.
    Outputs are the same to the last bit. A call that fails leaves no code.

    Parameters
    ----------
    model : torch.nn.Module
        Codes are recorded when it is called; calls of its parts alone are not.
    layers : sequence of str, optional
        Names as in ``model.named_modules()``; by default every module that is an activation of torch or transformers
        acting on single units. Functional activations (``torch.relu``) are no modules: name a module before or after.
    threshold : float
        A bit is set strictly above it, so a unit at exactly 0 is off.
    site : {"pre", "post"}
        Read what goes into the module or what comes out. For ReLU that is the same; for GELU and SiLU the sign is
        that of what goes in.
    rows : {"example", "position"}
        One code an example (all axes after the first, flattened), or one a position (the last axis is the code, all
        others count rows: the tokens of a language model).

    Raises
    ------
    TypeError, ValueError
        If the model is no module, a layer is unknown, or no activation module is found (the message lists the modules
        tried). During a call: for NaN or a layer whose output is no real tensor (the message names the module), for a
        layer that does not run, or whose width changes.

    References
    ----------
    F. He, S. Lei, J. Ji, D. Tao, 2021 (neural code); G. Montúfar, R. Pascanu, K. Cho, Y. Bengio, 2014 (linear regions).

    Examples
    --------
    >>> import torch
    >>> from matropy.metrics import ActivationRecorder
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    >>> with torch.no_grad():
    ...     _ = model[0].weight.copy_(torch.eye(2)), model[0].bias.zero_()
    >>> with ActivationRecorder(model) as recorder:
    ...     _ = model(torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [2.0, 3.0]]))
    >>> recorder.codes.to_bits().astype(int).tolist()
    [[1, 1], [1, 0], [0, 0], [1, 1]]
    >>> recorder.codes.redundancy()
    0.25
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[str] | None = None,
        *,
        threshold: float = 0.0,
        site: Literal["pre", "post"] = "pre",
        rows: Literal["example", "position"] = "example",
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
        check_choice(site, "site", ("pre", "post"))
        check_choice(rows, "rows", ("example", "position"))
        if not _is_finite(threshold):
            raise ValueError(f"threshold must be a finite number, got {threshold!r}")
        self._model = model
        self._modules = _activation_modules(model) if layers is None else _named_modules(model, layers)
        self._optional = layers is None
        self._threshold, self._site, self._rows = float(threshold), site, rows
        self._books: dict[str, CodeBook] = {}
        self._pieces: dict[str, list[tuple[Words, int]]] | None = None
        self._undo: ExitStack | None = None

    @property
    def codes(self) -> CodeBook:
        """The codes of all layers together, in the order of ``layer_codes``.

        Raises
        ------
        ValueError
            If nothing was recorded, or layers have different numbers of rows.
        """
        books = self.layer_codes
        sizes = {name: len(book) for name, book in books.items()}
        if len(set(sizes.values())) > 1:
            raise ValueError(f"layers with different numbers of rows have no common codes: {sizes}")
        return CodeBook(*join_bits([(book.packed, book.n_bits) for book in books.values()]))

    @property
    def layer_codes(self) -> dict[str, CodeBook]:
        """The codes of each layer, by its name, in the order of the modules.

        Raises
        ------
        ValueError
            If nothing was recorded.
        """
        if not self._books:
            raise ValueError(
                "nothing was recorded: the model was not called on any example (an empty loader?)"
            )
        return {name: CodeBook(book.packed, book.n_bits) for name, book in self._books.items()}

    def __enter__(self) -> ActivationRecorder:
        if self._undo is not None:
            raise RuntimeError("the recorder is recording already")
        with ExitStack() as undo:
            for module in self._model.modules():
                undo.callback(setattr, module, "training", module.training)
            self._model.eval()
            # In this order: a hook of the model itself as an activation runs between the two others.
            undo.callback(self._model.register_forward_pre_hook(self._open).remove)
            for name, module in self._modules.items():
                undo.callback(self._listen(module, partial(self._take, name)).remove)
            undo.callback(self._model.register_forward_hook(self._close).remove)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        undo, self._undo, self._pieces = self._undo, None, None
        if undo is not None:
            undo.close()

    def _listen(self, module: nn.Module, take: Callable[[Any], None]) -> Any:
        """Call ``take`` with what goes into the module, before it may be overwritten in place, or what comes out."""
        if self._site == "post":
            return module.register_forward_hook(lambda _module, _given, came: take(came))

        def before(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            take(next(iter((*args, *kwargs.values())), None))

        return module.register_forward_pre_hook(before, with_kwargs=True)

    def _open(self, *_: Any) -> None:
        """Begin a batch; what an earlier call left, because it failed, is forgotten."""
        self._pieces = {}

    def _take(self, name: str, values: Any) -> None:
        """Pack one layer; a module that is used several times in a pass adds to its code each time."""
        if self._pieces is None:
            return
        if not isinstance(values, torch.Tensor) or values.is_complex() or values.ndim == 0:
            came = (
                f"{values.dtype} of shape {tuple(values.shape)}"
                if isinstance(values, torch.Tensor)
                else values
            )
            raise TypeError(f"module {name!r} must give a real tensor with rows, got {came!r:.80}")
        values, shape = values.detach(), values.shape
        if values.numel() and bool(values.amax().isnan()):
            raise ValueError(f"the {self._site}-activations of module {name!r} hold NaN")
        split = 1 if self._rows == "example" else -1
        codes = values.reshape(math.prod(shape[:split]), math.prod(shape[split:]))
        pieces = self._pieces.setdefault(name, [])
        if pieces and len(pieces[0][0]) != len(codes):
            raise ValueError(f"module {name!r} runs several times in a pass, on different numbers of rows")
        pieces.append((pack_above(codes, self._threshold), codes.shape[1]))

    def _close(self, *_: Any) -> None:
        """Add the batch to the books, or nothing of it; a batch without rows adds nothing."""
        pieces, self._pieces = self._pieces or {}, None
        expected = list(self._books or (pieces if self._optional else self._modules))
        if not pieces:
            raise ValueError(f"none of the modules ran: {_listed(self._modules)}")
        if set(expected) != set(pieces):
            odd = set(expected) ^ set(pieces)
            raise ValueError(f"modules must run in every pass or in none: {_listed(sorted(odd))}")
        batch = {name: join_bits(pieces[name]) for name in self._modules if name in pieces}
        if not all(len(words) for words, n_bits in batch.values()):
            return
        books = {name: CodeBook(words, n_bits) for name, (words, n_bits) in batch.items()}
        for name, book in self._books.items():
            if books[name].n_bits != book.n_bits:
                raise ValueError(
                    f"module {name!r} gives codes of {books[name].n_bits} bits, and gave {book.n_bits} before"
                )
        self._books = {
            name: self._books[name].append(book) if name in self._books else book
            for name, book in books.items()
        }


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _activation_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Modules of torch and transformers that act on each unit alone."""
    everything = dict(model.named_modules())
    found = {name: module for name, module in everything.items() if is_unit_activation(module)}
    if not found:
        tried = [f"{name or '(the model)'} ({type(module).__name__})" for name, module in everything.items()]
        raise ValueError(
            f"model has no activation module; tried {_listed(tried)}. Name modules in layers, or make the activation one"
        )
    return found


def is_unit_activation(module: nn.Module) -> bool:
    """Whether it is an activation of torch or transformers that acts on each unit alone."""
    source = type(module).__module__
    return source.startswith(("torch.nn.modules.activation", "transformers.activations")) and not isinstance(
        module, _NOT_OF_UNITS
    )


def _named_modules(model: nn.Module, layers: Sequence[str]) -> dict[str, nn.Module]:
    if isinstance(layers, str) or not all(isinstance(name, str) for name in layers):
        raise TypeError(f"layers must be a sequence of module names, got {layers!r}")
    if not layers:
        raise ValueError("layers is empty")
    everything = dict(model.named_modules(remove_duplicate=False))
    if unknown := [name for name in layers if name not in everything]:
        raise ValueError(f"layers not in the model: {_listed(unknown)}; it has {_listed(everything)}")
    return {name: everything[name] for name in layers}


def _listed(names: Collection[str]) -> str:
    """The names, the middle of a long list left out."""
    shown = [repr(name) for name in names]
    if len(shown) > _NAMED:
        shown[_NAMED - 2 : -1] = [f"... {len(shown) - _NAMED + 1} more ..."]
    return ", ".join(shown)
