"""Which implementation works on which tensors."""

from __future__ import annotations

import importlib.util

import torch

from matropy._core._errors import InputError
from matropy.nn.cut_cross_entropy._options import Options

__all__ = ["interpreted", "uses_kernels"]

_TRITON_INSTALLED = importlib.util.find_spec("triton") is not None
_KERNEL_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def uses_kernels(input: torch.Tensor, weight: torch.Tensor, options: Options) -> bool:
    """Whether the kernels do the work.

    Raises
    ------
    ValueError
        If they were asked for and cannot.
    """
    fits = input.dtype in _KERNEL_DTYPES and weight.dtype in _KERNEL_DTYPES
    if options.implementation != "triton":
        return options.implementation == "auto" and input.device.type == "cuda" and fits and _TRITON_INSTALLED
    if not _TRITON_INSTALLED:
        raise InputError("implementation='triton' needs Triton, which is not installed: pip install triton")
    if not fits:
        raise InputError(
            f"implementation='triton' works in float32, bfloat16 and float16, got {input.dtype} and {weight.dtype}"
        )
    if input.device.type != "cuda" and not (input.device.type == "cpu" and interpreted()):
        raise InputError(
            "implementation='triton' works on CUDA tensors, and on those of the CPU where TRITON_INTERPRET=1 was set"
            f" before the first import of triton; got a tensor on {input.device}"
        )
    return True


def interpreted() -> bool:
    """Whether Triton interprets its kernels, in which case they run on tensors of the CPU."""
    from matropy.nn.cut_cross_entropy import _kernels

    return _kernels.INTERPRETED
