"""Sketches of rows that are tensor products, without forming them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matropy._core._errors import InputError
from matropy._core._validation import check_array, check_finite, check_integer
from matropy.recovery._mixing import mixed, power_of_two
from matropy.recovery._random_bits import random_bits, random_key
from matropy.recovery._rows import Floats

__all__ = ["TensorSketch"]

_LEFT, _RIGHT = 5, 6


class TensorSketch:
    r"""Sketch :math:`S(X\otimes Y)` of a design whose rows are :math:`x_i\otimes y_j`, from the two factors.

    Row ``k`` is :math:`\frac1{\sqrt m}(HD_1X)_{i_k,:}\otimes(HD_2Y)_{j_k,:}`: random signs and a Hadamard transform of
    each factor, then rows of both, drawn independently with replacement. The :math:`n_1n_2` rows of the product are
    never formed: :math:`O((n_1+n_2)d\log n+md_1d_2)` work. ``S`` is a function of the parameters and of the numbers of
    rows alone, the same on every machine, and :math:`E\,S^\top S=I`.

    For a pair of vectors that are orthogonal in both factors the error of an inner product is that of a dense sketch;
    for pairs that share one factor it is up to :math:`\sqrt3` times as large.

    Parameters
    ----------
    n_rows : int
        Rows ``m`` of the sketch.
    seed : int
        0 ... 2^64 - 1.

    References
    ----------
    Z. Song, M. Ye, J. Yin, L. Zhang, 2023, section on tensor products.

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.recovery import TensorSketch
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(300, 3)), rng.normal(size=(200, 2))
    >>> target = np.einsum("ia,jb,ab->ij", x, y, [[1, 2], [3, 4], [5, 6]])
    >>> sketch = TensorSketch(100, seed=0)
    >>> np.linalg.lstsq(sketch.transform(x, y), sketch.transform_target(target))[0].round(6).tolist()
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    """

    def __init__(self, n_rows: int, seed: int) -> None:
        self.n_rows = check_integer(n_rows, "n_rows", low=1, high=2**31 - 1)
        self.seed = check_integer(seed, "seed", low=0, high=2**64 - 1)

    def transform(self, X: Any, Y: Any) -> Floats:
        """Sketch ``numpy.kron(X, Y)``.

        Parameters
        ----------
        X : array, shape (n1, d1)
        Y : array, shape (n2, d2)

        Returns
        -------
        array, shape (n_rows, d1 d2)

        Raises
        ------
        ValueError
            If a factor is empty, has not two axes or holds values that are not finite.
        """
        left, right = _checked(X, "X"), _checked(Y, "Y")
        left = mixed(left, 0, self._key(_LEFT))[self._drawn(_LEFT, len(left))]
        right = mixed(right, 0, self._key(_RIGHT))[self._drawn(_RIGHT, len(right))]
        products = left[:, :, None] * right[:, None, :] / math.sqrt(self.n_rows)
        return products.reshape(self.n_rows, -1)

    def transform_target(self, B: Any) -> Floats:
        """Sketch ``B.ravel()``, the target of the same rows.

        Parameters
        ----------
        B : array, shape (n1, n2)
            Entry ``(i, j)`` belongs to the row of ``X[i]`` and ``Y[j]``.

        Returns
        -------
        array, shape (n_rows,)

        Raises
        ------
        ValueError
            As :meth:`transform`.
        """
        target = _checked(B, "B")
        n1, n2 = target.shape
        both = mixed(mixed(target, 0, self._key(_LEFT)).T, 0, self._key(_RIGHT)).T
        drawn: Floats = both[self._drawn(_LEFT, n1), self._drawn(_RIGHT, n2)]
        return drawn / math.sqrt(self.n_rows)

    def __repr__(self) -> str:
        return f"TensorSketch({self.n_rows}, seed={self.seed})"

    def _key(self, stream: int) -> np.uint64:
        return random_key(self.seed, stream)

    def _drawn(self, stream: int, n: int) -> NDArray[np.int64]:
        bits = random_bits(self.seed, stream, 1).random_raw(self.n_rows)
        return (bits & np.uint64(power_of_two(n) - 1)).astype(np.int64)


def _checked(x: Any, name: str) -> Floats:
    x = np.asarray(x)
    if x.ndim != 2:
        raise InputError(f"{name} must have 2 axes, got shape {x.shape}")
    x, _ = check_array(x, name)
    check_finite(x, name)
    return np.asarray(x, dtype=np.float64)
