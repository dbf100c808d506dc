"""The loss as a module that owns its classifier."""

from __future__ import annotations

import math
from typing import Any

import torch

from matropy._core._validation import check_integer
from matropy.nn.cut_cross_entropy._linear_cross_entropy import linear_cross_entropy
from matropy.nn.cut_cross_entropy._options import check_options

__all__ = ["LinearCrossEntropyLoss"]


class LinearCrossEntropyLoss(torch.nn.Module):
    r"""A linear classifier and its cross-entropy in one: :func:`linear_cross_entropy` with its own weight and bias.

    Parameters
    ----------
    in_features : int
        :math:`D`.
    num_classes : int
        :math:`V`.
    bias : bool
        Whether logits have one.
    device, dtype
        Of the parameters.
    vocab_parallel_group : torch.distributed.ProcessGroup, optional
        Deal the rows of the classifier out to these processes in order, as evenly as they go.
    weight : Tensor, shape (V,), optional
        Class weights; a buffer ``class_weight``.
    **options
        Of :func:`linear_cross_entropy`.

    Attributes
    ----------
    weight : Parameter, shape (V, D)
        To tie it to an embedding, assign that one's weight.
    bias : Parameter of shape (V,), or None

    Examples
    --------
    >>> import torch
    >>> from matropy.nn import LinearCrossEntropyLoss
    >>> criterion = LinearCrossEntropyLoss(16, 1000, shift=1)
    >>> embedding = torch.nn.Embedding(1000, 16)
    >>> criterion.weight = embedding.weight
    >>> tokens = torch.randint(0, 1000, (2, 10))
    >>> criterion(embedding(tokens), tokens).backward()
    >>> embedding.weight.grad.shape
    torch.Size([1000, 16])
    """

    bias: torch.nn.Parameter | None
    class_weight: torch.Tensor | None

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        bias: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        weight: torch.Tensor | None = None,
        vocab_parallel_group: Any = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.in_features = check_integer(in_features, "in_features", low=1)
        self.num_classes = check_integer(num_classes, "num_classes", low=1)
        check_options(**options)
        self.options = options
        self.vocab_parallel_group = vocab_parallel_group
        rows = self.num_classes
        if vocab_parallel_group is not None:
            from matropy.nn.cut_cross_entropy._vocab_parallel import rows_of_rank

            rows = rows_of_rank(self.num_classes, vocab_parallel_group)
        self.weight = torch.nn.Parameter(torch.empty(rows, self.in_features, device=device, dtype=dtype))
        self.bias = torch.nn.Parameter(torch.empty(rows, device=device, dtype=dtype)) if bias else None
        self.register_buffer("class_weight", weight, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters as ``torch.nn.Linear`` does."""
        bound = 1 / math.sqrt(self.in_features)
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -bound, bound)

    def forward(
        self, input: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """The loss of states ``(..., D)`` for classes ``(...)``."""
        return linear_cross_entropy(
            input,
            self.weight,
            target,
            linear_bias=self.bias,
            weight=self.class_weight,
            vocab_parallel_group=self.vocab_parallel_group,
            **self.options,
        )

    def extra_repr(self) -> str:
        """What is printed between the brackets."""
        named = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"in_features={self.in_features}, num_classes={self.num_classes}, bias={self.bias is not None}{named}"
