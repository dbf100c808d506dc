"""Cross-entropy of a linear classifier without its logits."""

from __future__ import annotations

from typing import Any, Literal

import torch

from matropy._core._errors import InputError
from matropy.nn.cut_cross_entropy._chunked_logits import working_dtype
from matropy.nn.cut_cross_entropy._implementation import uses_kernels
from matropy.nn.cut_cross_entropy._one_pass import one_pass_loss
from matropy.nn.cut_cross_entropy._options import (
    MEMORY_BUDGET,
    check_operands,
    check_options,
    check_shift,
)
from matropy.nn.cut_cross_entropy._two_pass import two_pass_losses

__all__ = ["linear_cross_entropy"]


def linear_cross_entropy(
    input: torch.Tensor,
    linear_weight: torch.Tensor,
    target: torch.Tensor,
    *,
    linear_bias: torch.Tensor | None = None,
    weight: torch.Tensor | None = None,
    reduction: Literal["mean", "sum", "none"] = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    softcap: float | None = None,
    shift: int = 0,
    z_loss: float = 0.0,
    filter_eps: float | Literal["auto"] | None = None,
    filter_grads: tuple[str, ...] = ("input", "weight"),
    filter_mass: float | None = None,
    deterministic: bool = True,
    memory_budget: int = MEMORY_BUDGET,
    return_lse: bool = False,
    implementation: Literal["auto", "torch", "triton"] = "auto",
    vocab_parallel_group: Any = None,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    r"""Cross-entropy of ``softmax(input @ linear_weight.T + linear_bias)``, whose logits are never all in memory.

    For a token with state :math:`e`, target :math:`x` and logits :math:`z_v=e\cdot C_v+b_v`, capped to
    :math:`s\tanh(z_v/s)` where a softcap :math:`s` is given,

    .. math::

        \ell = (1-a)\,\omega_x(\mathrm{LSE}-z_x) + \frac aV\sum_v\omega_v(\mathrm{LSE}-z_v) + \zeta\,\mathrm{LSE}^2,
        \qquad \mathrm{LSE} = \log\sum_v e^{z_v},

    with label smoothing :math:`a`, class weights :math:`\omega` and z-loss :math:`\zeta`. On a CPU logits are made for
    a few rows at a time and turned into the loss and both gradients at once, exactly; on a GPU Triton kernels keep
    them in registers. Exact first and second derivatives, ``torch.compile`` and autocast work.

    Parameters
    ----------
    input : Tensor, shape (..., D)
        Hidden states: float64, float32, bfloat16 or float16.
    linear_weight : Tensor, shape (V, D)
        The classifier :math:`C`, of the same dtype (under autocast, of any of them).
    target : Tensor of integers, shape (...)
        Classes.
    linear_bias : Tensor, shape (V,), optional
        :math:`b`; minus infinity masks a class.
    weight : Tensor, shape (V,), optional
        Class weights :math:`\omega`; no gradient.
    reduction : {"mean", "sum", "none"}
        The mean divides the cross-entropy by the summed class weights of the targets, as torch does, and the z-loss by
        the number of tokens.
    ignore_index : int
        Tokens with this target count and cost nothing. Where all are ignored, the loss is zero.
    label_smoothing : float
        :math:`a`, 0 to 1.
    softcap : float, optional
        :math:`s`, positive.
    shift : int
        Pairs the state at place :math:`t` of a sequence (the last axis of ``target``) with the target at
        :math:`t+\text{shift}`; the last states of each sequence are left out. For next tokens, 1.
    z_loss : float
        :math:`\zeta`, not negative.
    filter_eps : float or "auto", optional
        Lets the kernels skip tiles of 128 tokens and 128 classes in which the gradient by the logits is below this
        everywhere, before it is weighted; ``"auto"`` is a 32nd of the machine epsilon of the input's dtype. Nothing is
        skipped where labels are smoothed. The chunked path skips nothing for it.
    filter_grads : tuple of {"input", "weight"}
        The gradients to skip them for. In pretraining leave out ``"weight"``, or rare classes never learn.
    filter_mass : float, optional
        Lets the chunked path leave out, for each chunk of tokens, the classes that hold no more than this share of
        the probability together; a class that is a target stays, and nothing is left out where labels are smoothed.
    deterministic : bool
        Same bits on every call; no path needs less, so False changes nothing today.
    memory_budget : int
        Bytes of workspace; at least 128 rows of logits are made at a time.
    return_lse : bool
        Return :math:`\mathrm{LSE}` too.
    implementation : {"auto", "torch", "triton"}
        Chunked matrix products on any device; Triton kernels on CUDA tensors (and on CPU tensors where
        ``TRITON_INTERPRET=1``); or the kernels wherever they can work.
    vocab_parallel_group : torch.distributed.ProcessGroup, optional
        The vocabulary is spread over these processes: each passes the same input and targets and its own consecutive
        rows of ``linear_weight`` and ``linear_bias`` (``weight`` is whole), and gets the same loss.

    Returns
    -------
    loss : Tensor
        In float32, or float64 where an operand has it. Without reduction, of the shape of ``target`` less the shift,
        zero where it is ignored.
    lse : Tensor
        With ``return_lse``; of that shape, zero where the target is ignored.

    Raises
    ------
    ValueError
        For a target that is no class (the first one is named), shapes, dtypes or devices that do not fit, a shift that
        is not within a sequence, and options out of range.
    TypeError
        For an operand that is no tensor.

    References
    ----------
    Wijmans, Huval, Hertzberg, Koltun and Krähenbühl, *Cut Your Losses in Large-Vocabulary Language Models*, ICLR 2025.
    The kernels here differ: no locks, and one owner for every sum.

    Examples
    --------
    >>> import torch
    >>> from matropy.nn import linear_cross_entropy
    >>> states = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> classifier = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], requires_grad=True)
    >>> loss = linear_cross_entropy(states, classifier, torch.tensor([0, 2]))
    >>> loss.item() == torch.nn.functional.cross_entropy(states @ classifier.T, torch.tensor([0, 2])).item()
    True
    """
    options = check_options(
        reduction=reduction,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        softcap=softcap,
        shift=shift,
        z_loss=z_loss,
        filter_eps=filter_eps,
        filter_grads=filter_grads,
        filter_mass=filter_mass,
        deterministic=deterministic,
        memory_budget=memory_budget,
        return_lse=return_lse,
        implementation=implementation,
    )
    check_operands(input, linear_weight, linear_bias, target)
    check_shift(shift, target.shape)
    shard = None
    if vocab_parallel_group is not None:
        from matropy.nn.cut_cross_entropy._vocab_parallel import VocabShard

        shard = VocabShard.of(linear_weight, vocab_parallel_group)
    classes = len(linear_weight) if shard is None else shard.num_classes
    class_weight = _class_weight(weight, classes, working_dtype(input, linear_weight), input.device)
    kernels = uses_kernels(input, linear_weight, options)
    if shard is None and not kernels and reduction != "none" and not return_lse:
        return one_pass_loss(input, linear_weight, linear_bias, target, class_weight, options)
    loss, lse = two_pass_losses(input, linear_weight, linear_bias, target, class_weight, options, shard)
    return (loss, lse) if return_lse else loss


def _class_weight(
    weight: torch.Tensor | None, classes: int, dtype: torch.dtype, device: torch.device
) -> torch.Tensor | None:
    if weight is None:
        return None
    if not isinstance(weight, torch.Tensor):
        raise TypeError(f"weight must be a tensor, got {type(weight).__name__}")
    if weight.shape != (classes,) or not weight.dtype.is_floating_point:
        raise InputError(
            f"weight must hold {classes} floating numbers, one a class, got shape {tuple(weight.shape)} of {weight.dtype}"
        )
    if weight.device != device:
        raise InputError(f"weight is on {weight.device} and input on {device}")
    return weight.detach().to(dtype)
