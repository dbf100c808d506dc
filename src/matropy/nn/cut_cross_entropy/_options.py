"""Options of the loss, looked at before any work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, NamedTuple

import torch

from matropy._core._errors import InputError
from matropy._core._validation import check_choice, check_integer

__all__ = ["MEMORY_BUDGET", "Options", "check_operands", "check_options", "check_shift"]

MEMORY_BUDGET = 64 * 2**20


class Options(NamedTuple):
    """Checked options; ``filter_eps`` is still None, ``"auto"`` or a number."""

    reduction: str = "mean"
    ignore_index: int = -100
    label_smoothing: float = 0.0
    softcap: float | None = None
    shift: int = 0
    z_loss: float = 0.0
    filter_eps: float | str | None = None
    filter_grads: tuple[str, ...] = ("input", "weight")
    filter_mass: float | None = None
    deterministic: bool = True
    memory_budget: int = MEMORY_BUDGET
    return_lse: bool = False
    implementation: str = "auto"

    def skip_below(self, dtype: torch.dtype) -> float | None:
        """Entries of the gradient below which the kernels may skip a tile; None to skip nothing.

        Smoothed labels leave no entry small, so nothing is skipped for them.
        """
        if self.filter_eps is None or self.label_smoothing or not self.filter_grads:
            return None
        return torch.finfo(dtype).eps / 32 if self.filter_eps == "auto" else float(self.filter_eps)


def check_options(**options: Any) -> Options:
    """Look at every option.

    Raises
    ------
    TypeError
        For an option that there is not, or a value of another type.
    ValueError
        For a value that is not allowed.
    """
    unknown = sorted(set(options) - set(Options._fields))
    if unknown:
        raise TypeError(f"there is no option {unknown[0]!r}; the options are {', '.join(Options._fields)}")
    asked = Options(**options)
    check_choice(asked.reduction, "reduction", ("mean", "sum", "none"))
    check_choice(asked.implementation, "implementation", ("auto", "torch", "triton"))
    check_integer(asked.ignore_index, "ignore_index", low=-(2**63), high=2**63 - 1)
    check_integer(asked.memory_budget, "memory_budget", low=1)
    _number(asked.label_smoothing, "label_smoothing", low=0, high=1)
    _number(asked.z_loss, "z_loss", low=0)
    if asked.softcap is not None:
        _number(asked.softcap, "softcap", above=0)
    if asked.filter_mass is not None:
        _number(asked.filter_mass, "filter_mass", low=0, high=1)
    if asked.filter_eps is not None and asked.filter_eps != "auto":
        if isinstance(asked.filter_eps, str):
            raise InputError(f"filter_eps must be None, 'auto' or a number, got {asked.filter_eps!r}")
        _number(asked.filter_eps, "filter_eps", low=0, high=1)
    return asked._replace(filter_grads=_gradients(asked.filter_grads))


def check_operands(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    target: torch.Tensor | None,
) -> None:
    """Look at types, shapes, dtypes and devices.

    Raises
    ------
    TypeError
        For what is no tensor.
    ValueError
        For a shape, dtype or device that does not fit.
    """
    operands = {"input": input, "linear_weight": weight, "linear_bias": bias, "target": target}
    for name, tensor in operands.items():
        if tensor is None and name in ("linear_bias", "target"):
            continue
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(tensor).__name__}")
        if tensor.device != input.device:
            raise InputError(f"{name} is on {tensor.device} and input on {input.device}")
    if weight.ndim != 2 or 0 in weight.shape:
        raise InputError(f"linear_weight must have shape (V, D), got {tuple(weight.shape)}")
    if input.ndim < 1 or input.shape[-1] != weight.shape[1]:
        raise InputError(
            f"input must have shape (..., {weight.shape[1]}) for linear_weight of shape {tuple(weight.shape)},"
            f" got {tuple(input.shape)}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise InputError(f"linear_bias must have shape ({len(weight)},), got {tuple(bias.shape)}")
    if target is not None and target.shape != input.shape[:-1]:
        raise InputError(
            f"target must have shape {tuple(input.shape[:-1])} for input of shape {tuple(input.shape)}, got"
            f" {tuple(target.shape)}"
        )
    _check_dtypes(input, weight, bias, target)


def check_shift(shift: int, shape: Sequence[int]) -> None:
    """Raise ``ValueError`` unless ``shift`` lies within sequences of the last axis of this shape."""
    check_integer(shift, "shift", low=0)
    if shift and not (shape and shift < shape[-1]):
        length = f"sequences of {shape[-1]}" if shape else "a single row"
        raise InputError(f"shift must be less than the length of a sequence, got {shift} for {length}")


def _check_dtypes(
    input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, target: torch.Tensor | None
) -> None:
    floating = {"input": input, "linear_weight": weight, "linear_bias": bias}
    for name, tensor in floating.items():
        if tensor is None:
            continue
        if tensor.dtype not in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
            raise InputError(f"{name} must be float64, float32, bfloat16 or float16, got {tensor.dtype}")
        if tensor.dtype != input.dtype and not torch.is_autocast_enabled(input.device.type):
            raise InputError(f"{name} is {tensor.dtype} and input {input.dtype}; they must be of one dtype")
    if target is not None and (
        target.dtype.is_floating_point or target.dtype.is_complex or target.dtype == torch.bool
    ):
        raise InputError(f"target must hold integers, got {target.dtype}")


def _number(
    value: object, name: str, *, low: float = -math.inf, high: float = math.inf, above: float = -math.inf
) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    number = float(value)
    if math.isfinite(number) and low <= number <= high and number > above:
        return
    bounds = [f"at least {low:g}"] if low > -math.inf else []
    bounds += [f"more than {above:g}"] if above > -math.inf else []
    bounds += [f"at most {high:g}"] if high < math.inf else []
    raise InputError(f"{name} must be a finite number, {' and '.join(bounds)}, got {value!r}")


def _gradients(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not set(names) <= {"input", "weight"}:
        raise InputError(f"filter_grads must name 'input', 'weight' or both, got {names!r}")
    return tuple(names)
