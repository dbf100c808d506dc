"""One face for what a symmetric matrix may be given as: an array, a linear operator or a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj, to_device
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from matropy._core._validation import Array, check_array, check_finite, check_integer, scalar

__all__ = ["SymmetricOperator", "check_symmetric", "symmetric_operator", "to_numpy"]


@dataclass(frozen=True)
class SymmetricOperator:
    """``apply`` takes ``size x b`` arrays like ``like``; ``matrix`` is there if there is one."""

    size: int
    apply: Callable[[Array], Array]
    like: Array
    matrix: Array | None = None

    @property
    def xp(self) -> Any:
        """The namespace of its arrays."""
        return array_namespace(self.like)

    def array(self, values: Any) -> Array:
        """``values`` as an array of its library, precision and device."""
        return self.xp.asarray(values, dtype=self.like.dtype, device=self.like.device)


def symmetric_operator(operator: object, size: int | None = None) -> SymmetricOperator:
    """Take a symmetric array, a SciPy sparse matrix or linear operator, or a function of one vector."""
    if isinstance(operator, SymmetricOperator):
        return operator
    if isinstance(operator, LinearOperator) or issparse(operator):
        linear = aslinearoperator(operator)
        if linear.shape[0] != linear.shape[1]:
            raise ValueError(f"operator must be square, got shape {linear.shape}")
        if np.issubdtype(linear.dtype, np.complexfloating):
            raise TypeError(f"operator must be real, got dtype {linear.dtype}")
        return SymmetricOperator(linear.shape[0], _checked(linear.matmat), np.zeros(0))
    if callable(operator) and not is_array_api_obj(operator):
        if size is None:
            raise ValueError("size must be given where operator is a function")
        return SymmetricOperator(
            check_integer(size, "size", low=1), _checked(_by_columns(operator)), np.zeros(0)
        )
    matrix, xp = check_array(operator, "operator", min_ndim=2, max_ndim=2)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"operator must be square, got shape {tuple(matrix.shape)}")
    check_finite(matrix, "operator")
    matrix = matrix.detach() if hasattr(matrix, "detach") else matrix
    tolerance = 1e-8 if xp.finfo(matrix.dtype).bits == 64 else 1e-5
    check_symmetric(matrix, "operator", tolerance * scalar(xp.max(xp.abs(matrix))))
    return SymmetricOperator(matrix.shape[0], lambda v: matrix @ v, matrix[:0, 0], matrix)


def check_symmetric(matrix: Array, name: str, tolerance: float) -> None:
    """Raise ``ValueError`` unless a square matrix equals its transpose to ``tolerance``, a few rows at a time."""
    xp = array_namespace(matrix)
    step = max(1, 2**22 // len(matrix))
    asymmetry = max(
        scalar(xp.max(xp.abs(matrix[start : start + step, :] - matrix[:, start : start + step].mT)))
        for start in range(0, len(matrix), step)
    )
    if asymmetry > tolerance:
        raise ValueError(f"{name} must be symmetric, off by up to {asymmetry:.3g}")


def to_numpy(x: Array) -> Any:
    """A NumPy array of the numbers in ``x``, wherever they are."""
    return np.asarray(to_device(x.detach() if hasattr(x, "detach") else x, "cpu"))


def _by_columns(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda v: np.stack([np.asarray(function(column)) for column in v.T], axis=1)


def _checked(apply: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def checked(v: Any) -> Any:
        product = np.asarray(apply(v))
        if product.shape != v.shape:
            raise ValueError(f"operator must map {v.shape} to the same shape, got {product.shape}")
        if not np.all(np.isfinite(product)):
            raise ValueError("operator gives NaN or infinite values")
        return product

    return checked
