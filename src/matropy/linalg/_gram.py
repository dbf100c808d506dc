"""The Gram matrix of rows that arrive in pieces."""

from __future__ import annotations

from typing import Literal

from array_api_compat import array_namespace, is_dask_array

from matropy._core._validation import Array, check_array, check_choice, check_finite, check_integer
from matropy.linalg._norms import gram_eigenvalues, small_gram

__all__ = ["Gram"]

_PIECE = 2**22
"""Numbers that are turned into float64 at a time: 32 MB."""


class Gram:
    r"""Second moments of rows that arrive in any number of pieces, on any number of machines.

    Equals :math:`\frac1n X^\top X` of all rows at once (about the mean with ``center=True``), accumulated in
    float64. Two accumulators merge into the one that would have seen all rows (Chan, Golub and LeVeque, 1983).

    Parameters
    ----------
    n_features : int
        Length of a row, ``d``.
    center : bool
        Subtract the mean of all rows.
    normalize : None or "rows"
        Divide each row by its Euclidean norm as it comes, before anything else.
    side : {"auto", "features"}
        ``"auto"`` keeps the rows as they are while there are at most ``n_features`` of them, so that few rows of
        many columns cost ``n x n`` and not ``d x d``; ``"features"`` holds ``d x d`` from the start.

    Raises
    ------
    ValueError
        If a row has another length, is not finite, or is zero where rows are normalized; on merging accumulators
        of other treatment; on asking an accumulator that has seen no rows.

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.linalg import Gram
    >>> x = np.arange(12.0).reshape(6, 2)
    >>> left, right = Gram(2, center=True).update(x[:1]), Gram(2, center=True).update(x[1:])
    >>> bool(np.allclose(left.merge(right).covariance(), np.cov(x.T, ddof=0)))
    True
    """

    def __init__(
        self,
        n_features: int,
        *,
        center: bool = False,
        normalize: Literal["rows"] | None = None,
        side: Literal["auto", "features"] = "auto",
    ) -> None:
        self.n_features = check_integer(n_features, "n_features", low=1)
        check_choice(normalize, "normalize", (None, "rows"))
        check_choice(side, "side", ("auto", "features"))
        self.center = bool(center)
        self.normalize = normalize
        self.side = side
        self.count = 0
        self._rows: list[Array] = []
        self._folded = 0
        self._mean: Array = None
        self._scatter: Array = None

    def update(self, x: Array) -> Gram:
        """Add rows.

        Parameters
        ----------
        x : array, shape (n, d) or (d,)
            NumPy (memory maps included), torch or dask; later pieces must be of the same library and on the same
            device. Rows are taken a few thousand at a time, so what outgrows memory may be given whole.

        Returns
        -------
        Gram
            Itself.
        """
        if is_dask_array(x):
            # One block of rows at a time: the graph is never computed as a whole.
            for index in range(x.numblocks[0]):
                self.update(x.blocks[index].compute())
            return self
        if getattr(x, "ndim", 0) == 2 and x.shape[0] > (step := max(1, _PIECE // x.shape[1])):
            for start in range(0, x.shape[0], step):
                self.update(x[start : start + step])
            return self
        x, xp = check_array(x, "x", max_ndim=2)
        x = xp.astype(x[None, :] if x.ndim == 1 else x, xp.float64)
        if x.shape[1] != self.n_features:
            raise ValueError(f"x must have {self.n_features} columns, got {x.shape[1]}")
        check_finite(x, "x")
        if self.normalize:
            norms = xp.linalg.vector_norm(x, axis=1, keepdims=True)
            if not bool(xp.all(norms > 0)):
                raise ValueError("x holds a zero row, which cannot be normalized")
            x = x / norms
        self._rows.append(x)
        self.count += x.shape[0]
        if self.side == "features" or self.count > self.n_features:
            self._fold()
        return self

    def merge(self, other: Gram) -> Gram:
        """Add all that ``other`` has seen; ``other`` stays as it is.

        Returns
        -------
        Gram
            Itself.
        """
        for name in ("n_features", "center", "normalize"):
            if getattr(self, name) != getattr(other, name):
                raise ValueError(
                    f"cannot merge: {name} is {getattr(self, name)!r} here and {getattr(other, name)!r} there"
                )
        self._rows = [*self._rows, *other._rows]
        if other._folded:
            self._absorb(other._folded, other._mean, other._scatter)
        self.count += other.count
        if self.side == "features" or self.count > self.n_features:
            self._fold()
        return self

    @property
    def mean(self) -> Array:
        """Mean row, shape (d,), whether or not it is subtracted."""
        self._check_seen()
        mean, n = self._mean, self._folded
        for rows in self._rows:
            xp = array_namespace(rows)
            batch = xp.mean(rows, axis=0)
            n += rows.shape[0]
            mean = batch if mean is None else mean + (batch - mean) * (rows.shape[0] / n)
        return mean

    def covariance(self) -> Array:
        r"""The matrix :math:`\frac1n\sum_i x_ix_i^\top`, about the mean with ``center=True``; shape (d, d)."""
        self._check_seen()
        self._fold()
        if self.center:
            return self._scatter / self.count
        mean = self._mean
        return self._scatter / self.count + mean[:, None] * mean[None, :]

    def eigenvalues(self) -> Array:
        """The ``min(n, d)`` largest eigenvalues of :meth:`covariance`, falling."""
        self._check_seen()
        if not self._folded:
            xp = array_namespace(self._rows[0])
            rows = xp.concat(self._rows, axis=0)
            if self.center:
                rows = rows - xp.mean(rows, axis=0, keepdims=True)
            return gram_eigenvalues(small_gram(rows) / self.count, xp)
        covariance = self.covariance()
        return gram_eigenvalues(covariance, array_namespace(covariance))[: min(self.count, self.n_features)]

    def __repr__(self) -> str:
        return (
            f"Gram({self.n_features}, center={self.center}, normalize={self.normalize!r}, count={self.count})"
        )

    def _fold(self) -> None:
        """Turn the kept rows into mean and scatter about the mean."""
        kept, self._rows = self._rows, []
        for rows in kept:
            xp = array_namespace(rows)
            mean = xp.mean(rows, axis=0)
            centered = rows - mean
            self._absorb(rows.shape[0], mean, centered.mT @ centered)

    def _absorb(self, n: int, mean: Array, scatter: Array) -> None:
        if self._folded:
            step = mean - self._mean
            total = self._folded + n
            self._scatter = (
                self._scatter + scatter + step[:, None] * (step[None, :] * (self._folded * n / total))
            )
            self._mean = self._mean + step * (n / total)
        else:
            self._mean, self._scatter = mean, scatter
        self._folded += n

    def _check_seen(self) -> None:
        if self.count == 0:
            raise ValueError("this Gram has seen no rows")
