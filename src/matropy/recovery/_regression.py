"""Linear regression from a sketch, with error bars for the solution of all rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from array_api_compat import is_dask_array
from scipy.linalg import LinAlgWarning
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from matropy._core._errors import InputError
from matropy._core._validation import check_choice, check_integer
from matropy.recovery._blocks import (
    Block,
    arrow_columns,
    is_arrow,
    pairs_of,
    pieces_of,
    row_pieces,
    targets_of,
)
from matropy.recovery._dependence import dependence
from matropy.recovery._error_law import check_fraction, rows_needed, t_quantile
from matropy.recovery._moments import Moments
from matropy.recovery._refinement import refine
from matropy.recovery._rows import Floats, as_block
from matropy.recovery._sketch import KINDS, Sketch, SketchKind
from matropy.recovery._solution import Solution, refined_solution, sketched_solution

__all__ = ["SketchedLinearRegression"]

_WIDEST_NORMAL = 1000
_WORST_NORMAL_CONDITION = 1e6


class SketchedLinearRegression(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    r"""Least squares from one pass over the rows, every coefficient with an error bar.

    Solves :math:`\min_x\|SAx-Sb\|_2` for a random sketch ``S`` with few rows instead of
    :math:`\min_x\|Ax-b\|_2`. The ordinary regression output of the small problem says how far each coefficient
    is from the solution of *all* rows: with :math:`\hat\sigma^2=\|Sb-SAx'\|^2/(m-d)`,

    .. math::
        x'_j\pm t_{m-d,\,1-\alpha/2}\;\hat\sigma\sqrt{[(A^\top S^\top SA)^{-1}]_{jj}}

    covers the full-data coefficient with probability :math:`1-\alpha`: exactly for ``"gaussian"``, to sampling accuracy
    for ``"srht"`` and ``"pooled"``, for sparse sketches only when no few rows dominate. Here ``A`` is the design with
    its column of ones, ``d`` counts that column, ``b`` is the target and ``m`` the number of rows of the sketch.

    Parameters
    ----------
    n_sketch_rows : int or "auto"
        ``m``, at least d + 2. ``"auto"`` is :func:`rows_needed` for ``epsilon`` (0.5 when None) and ``delta``.
    kind : {"srht", "pooled", "gaussian", "countsketch", "osnap"}
        Of the :class:`Sketch`.
    method : {"auto", "sketch", "normal"}
        ``"normal"`` accumulates the normal equations, which give the full-data solution itself. ``"auto"`` takes them
        where they win: d <= 1000 and a condition number of at most 1e6 of the columns at unit norm; ``method_`` says
        what it took. (It reads re-iterable data a second time where they do not suffice; of a stream that can be read
        once it keeps both.)
    fit_intercept : bool
        Put a column of ones in front of the design.
    refine : bool
        Go on to the full-data solution, by conjugate gradients that the sketch preconditions: one pass over the rows an
        iteration. Takes the sketch route.
    level : float
        Coverage of :meth:`conf_int`.
    epsilon : float, optional
        Accuracy that ``"auto"`` rows aim for, in :math:`|x'_j-x^*_j|\le\epsilon\|r\|\|A^\dagger\|/\sqrt d`.
    delta : float
        Probability that a coefficient is further off than ``linf_bound_``.
    random_state : int, RandomState or None
        An integer is the seed of the :class:`Sketch`.

    Attributes
    ----------
    method_ : {"sketch", "normal"}
        Which route was taken.
    n_sketch_rows_ : int
        ``m``; on the normal route, what the sketch would have had.
    coef_ : array, shape (features,) or (targets, features)
    intercept_ : float or array, shape (targets,)
    coef_stderr_ : array, as ``coef_``
        Standard error of the sketching, against the full-data solution; 0 on the normal route and after ``refine``.
    intercept_stderr_ : float or array
        Likewise.
    sampling_stderr_ : array, as ``coef_``
        Classical standard error of the full-data solution against a population of which the rows are an independent
        sample, its residual and design estimated from the sketch where there is one; infinite when there are not more
        rows than coefficients. The error of ``coef_`` against the population has the sum of both squares.
    linf_bound_ : float or array, shape (targets,)
        Largest half-width, the intercept included, of intervals that hold at once with probability 1 - ``delta``.
    n_iter_ : int
        Iterations of ``refine``, otherwise 0.
    n_features_in_ : int
    feature_names_in_ : array of str
        Where the features have names.

    Raises
    ------
    ValueError
        For parameters out of range; fewer than d + 2 sketch rows; values that are not finite (block and row are named,
        counted from 0); blocks of different width; ``refine`` of what can be read only once.

    Warns
    -----
    scipy.linalg.LinAlgWarning
        When columns of the design depend on each other: they are named, and the solution is the shortest one.
    sklearn.exceptions.ConvergenceWarning
        When the refinement takes more than 200 iterations.

    References
    ----------
    Z. Song, M. Ye, J. Yin, L. Zhang, 2023 (dense sketches for regression with an l-infinity guarantee); V. Rokhlin and
    M. Tygert, 2008 (``refine``).

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.recovery import SketchedLinearRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(20_000, 5))
    >>> y = X @ [1, 2, 3, 4, 5] + 6 + rng.normal(size=20_000)
    >>> model = SketchedLinearRegression(400, method="sketch", random_state=0).fit(X, y)
    >>> full = np.linalg.lstsq(np.column_stack([np.ones(20_000), X]), y)[0]
    >>> low, high = model.conf_int(simultaneous=True).T
    >>> bool(((low < full[1:]) & (full[1:] < high)).all())
    True
    >>> SketchedLinearRegression().fit(X, y).method_
    'normal'
    """

    def __init__(
        self,
        n_sketch_rows: int | Literal["auto"] = "auto",
        *,
        kind: SketchKind = "srht",
        method: Literal["auto", "sketch", "normal"] = "auto",
        fit_intercept: bool = True,
        refine: bool = False,
        level: float = 0.95,
        epsilon: float | None = None,
        delta: float = 0.05,
        random_state: Any = None,
    ) -> None:
        self.n_sketch_rows = n_sketch_rows
        self.kind = kind
        self.method = method
        self.fit_intercept = fit_intercept
        self.refine = refine
        self.level = level
        self.epsilon = epsilon
        self.delta = delta
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> SketchedLinearRegression:
        """Fit to rows that are all there, or can be read again.

        Parameters
        ----------
        X : array, sparse array or dask array, shape (n, features)
            Memory maps are read a few thousand rows at a time, dask arrays one block of rows at a time.
        y : array, shape (n,) or (n, targets)

        Returns
        -------
        SketchedLinearRegression
            Itself.
        """
        self._check_parameters()
        if y is None:
            raise InputError("SketchedLinearRegression requires y to be passed, but the target y is None")
        if not is_dask_array(X):
            X = self._validated(X, reset=True, least_rows=1)

        def blocks() -> Iterator[Block]:
            for index, (rows, target) in enumerate(pairs_of(X, y)):
                rows = self._validated(rows, reset=True) if is_dask_array(X) else rows
                yield Block(rows, targets_of(target, rows.shape[0], "y"), index)

        return self._fit(blocks, one_pass=False)

    def fit_blocks(
        self, blocks: Iterable[Any], *, target: str | Sequence[str] | None = None
    ) -> SketchedLinearRegression:
        """Fit to rows that come in blocks.

        Parameters
        ----------
        blocks : iterable of (X, y), or of Arrow record batches
            A list, a generator, a reader of record batches. What can be read only once is read once.
        target : str or sequence of str
            The column, or columns, of record batches that hold ``y``.

        Returns
        -------
        SketchedLinearRegression
            Itself.
        """
        self._check_parameters()
        if not isinstance(blocks, Iterable):
            raise TypeError(
                f"blocks must be an iterable of (X, y) pairs or record batches, got {type(blocks).__name__}"
            )
        one_pass = iter(blocks) is blocks
        if self.refine and one_pass:
            raise InputError(
                "refine=True reads the rows many times, and blocks is an iterator that can be read only once"
            )

        def checked() -> Iterator[Block]:
            for index, block in enumerate(blocks):
                yield self._checked_block(block, target, index)

        return self._fit(checked, one_pass=one_pass)

    def partial_fit(self, X: Any, y: Any) -> SketchedLinearRegression:
        """Add rows to those of the earlier calls, and solve.

        Rows that were seen by :meth:`fit`, :meth:`fit_blocks` or :meth:`fit_sketch` are not kept: the first call after
        them begins anew.

        Parameters
        ----------
        X : array or sparse array, shape (n, features)
        y : array, shape (n,) or (n, targets)

        Returns
        -------
        SketchedLinearRegression
            Itself.
        """
        self._check_parameters()
        if self.refine:
            raise InputError("refine=True reads the rows many times, and partial_fit sees each of them once")
        stream: Moments | None = getattr(self, "_stream", None)
        block = self._checked_block((X, y), None, stream.n_blocks if stream else 0)
        for _ in pieces_of(block):  # what is not finite is found before anything is added
            pass
        if stream is None:
            if not block.rows.shape[0]:
                raise InputError("there are no rows to fit to")
            stream = self._moments(block, one_pass=True)
        stream.update(block)
        self._publish(stream.exact() or stream.sketched(), one_target=stream.one_target)
        self._stream: Moments | None = stream
        return self

    def fit_sketch(self, sketch: Sketch, *, n_targets: int = 1) -> SketchedLinearRegression:
        """Fit to a sketch of ``[X, y]``, merged from anywhere.

        Parameters
        ----------
        sketch : Sketch
            Of the features, with a column of ones among them if ``fit_intercept``, and the targets as its last columns.
        n_targets : int
            How many targets there are; ``coef_`` has one axis when there is one.

        Returns
        -------
        SketchedLinearRegression
            Itself.
        """
        self._check_parameters()
        if not isinstance(sketch, Sketch):
            raise TypeError(f"sketch must be a Sketch, got {type(sketch).__name__}")
        if self.refine:
            raise InputError("refine=True needs the rows, and fit_sketch has only their sketch")
        if self.method == "normal":
            raise InputError("method='normal' needs the rows, and fit_sketch has only their sketch")
        sketched = sketch.result()
        n_targets = check_integer(n_targets, "n_targets", low=1, high=sketched.shape[1] - 1)
        order = list(range(sketched.shape[1]))
        if self.fit_intercept:
            ones = [column for column in sketch.columns_of_ones if column < len(order) - n_targets]
            if not ones:
                raise InputError(
                    "fit_intercept=True needs a column of ones in the sketch, beside the features"
                )
            order.insert(0, order.pop(ones[0]))
        d = len(order) - n_targets
        if d == int(self.fit_intercept):
            raise InputError("the sketch holds no features")
        if sketch.n_rows < d + 2:
            raise InputError(f"the sketch must have at least d + 2 = {d + 2} rows, got {sketch.n_rows}")
        self.n_features_in_ = d - int(self.fit_intercept)
        self.__dict__.pop("feature_names_in_", None)
        self.n_sketch_rows_ = sketch.n_rows
        solution = sketched_solution(sketched[:, order], n_targets, sketch.count)
        return self._publish(solution, one_target=n_targets == 1)

    def predict(self, X: Any) -> Any:
        """Predict targets.

        Parameters
        ----------
        X : array, sparse array or dask array, shape (n, features)

        Returns
        -------
        array, shape (n,) or (n, targets)
            A dask array for a dask array.
        """
        check_is_fitted(self)
        if is_dask_array(X):
            if X.ndim != 2 or X.shape[1] != self.n_features_in_:
                raise InputError(f"X must have {self.n_features_in_} features, got shape {X.shape}")
            return X @ self.coef_.T + self.intercept_
        X = self._validated(X, reset=False, least_rows=1)
        return np.concatenate([rows @ self.coef_.T for rows in row_pieces(X, "X")]) + self.intercept_

    def conf_int(self, level: float | None = None, simultaneous: bool = False) -> Floats:
        r"""Intervals for the coefficients of the full-data solution.

        Parameters
        ----------
        level : float, optional
            Coverage; the parameter ``level`` when None.
        simultaneous : bool
            Let all intervals of a target hold at once, the intercept's included (:math:`\alpha/d` for each).

        Returns
        -------
        array, shape ``coef_.shape + (2,)``
            Lower and upper ends; both are the coefficient itself on the normal route and after ``refine``.
        """
        check_is_fitted(self)
        level = self.level if level is None else level
        check_fraction(level, "level")
        miss = (1 - level) / (self._n_coefficients if simultaneous else 1)
        half = t_quantile(self._degrees_of_freedom, miss) * self.coef_stderr_
        return np.stack([self.coef_ - half, self.coef_ + half], axis=-1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _check_parameters(self) -> None:
        check_choice(self.kind, "kind", KINDS)
        check_choice(self.method, "method", ("auto", "sketch", "normal"))
        if self.n_sketch_rows != "auto":
            if isinstance(self.n_sketch_rows, str):
                raise InputError(f"n_sketch_rows must be an integer or 'auto', got {self.n_sketch_rows!r}")
            check_integer(self.n_sketch_rows, "n_sketch_rows", low=1)
        check_fraction(self.level, "level")
        check_fraction(self.delta, "delta")
        epsilon = self.epsilon
        if epsilon is not None and not (isinstance(epsilon, Real) and 0 < epsilon < math.inf):
            raise InputError(f"epsilon must be a positive number or None, got {epsilon!r}")
        if self.refine and self.method == "normal":
            raise InputError(
                "refine=True goes on from a sketch: method must be 'auto' or 'sketch', got 'normal'"
            )

    def _validated(self, X: Any, *, reset: bool, least_rows: int = 0) -> Any:
        X = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype="numeric",
            ensure_all_finite=False,
            ensure_min_samples=least_rows,
        )
        return as_block(X, "X")

    def _checked_block(self, block: Any, target: str | Sequence[str] | None, index: int) -> Block:
        """One block of :meth:`fit_blocks`; the first one says how many features there are and what their names are."""
        name = f"block {index}"
        names = None
        if is_arrow(block):
            if target is None:
                raise InputError("record batches need target=, the column that holds y")
            names, rows, y = arrow_columns(block, target, name)
        elif isinstance(block, tuple | list) and len(block) == 2:
            if target is not None:
                raise InputError(f"target= names a column of record batches, and {name} is a pair (X, y)")
            rows, y = block
        else:
            raise TypeError(
                f"{name} must be a pair (X, y) or an Arrow record batch, got {type(block).__name__}"
            )
        if y is None:
            raise InputError(f"{name} must hold targets, got None for y")
        if names is None:
            try:
                rows = self._validated(rows, reset=index == 0)
            except ValueError as error:
                raise InputError(f"{name}: {error}") from error
        elif index == 0:
            self.n_features_in_ = len(names)
            self.feature_names_in_ = np.asarray(names, dtype=object)
        elif names != list(getattr(self, "feature_names_in_", ())):
            raise InputError(f"{name} must have the columns of the blocks before it, got {', '.join(names)}")
        return Block(rows, targets_of(y, rows.shape[0], f"{name} of y"), index)

    def _fit(self, blocks: Callable[[], Iterator[Block]], *, one_pass: bool) -> SketchedLinearRegression:
        self._stream = None
        moments = self._read(blocks, one_pass=one_pass)
        solution = moments.exact()
        if solution is None:
            if moments.sketch is None:
                count = moments.count
                moments = self._read(blocks, one_pass=one_pass, sketch_only=True)
                _check_again(count, moments.count)
            solution = moments.sketched()
        if self.refine:
            solution = self._refined(solution, blocks, moments.count)
        return self._publish(solution, one_target=moments.one_target)

    def _read(
        self, blocks: Callable[[], Iterator[Block]], *, one_pass: bool, sketch_only: bool = False
    ) -> Moments:
        moments = None
        for block in blocks():
            if moments is None:
                moments = self._moments(block, one_pass=one_pass, sketch_only=sketch_only)
            moments.update(block)
        if moments is None or moments.count == 0:
            raise InputError("there are no rows to fit to")
        return moments

    def _moments(self, first: Block, *, one_pass: bool, sketch_only: bool = False) -> Moments:
        """What has to be kept of the rows: of a stream that is read once, all that may be needed."""
        d = first.rows.shape[1] + int(self.fit_intercept)
        self.n_sketch_rows_ = self._rows_for(d)
        worst_condition, sketch = None, None
        if self.method == "normal":
            worst_condition = math.inf
        elif self.method == "auto" and not (self.refine or sketch_only) and d <= _WIDEST_NORMAL:
            worst_condition = _WORST_NORMAL_CONDITION
        if worst_condition is None or (self.method == "auto" and one_pass):
            sketch = Sketch(self.kind, self.n_sketch_rows_, self._seed())
        return Moments(first, intercept=self.fit_intercept, worst_condition=worst_condition, sketch=sketch)

    def _rows_for(self, d: int) -> int:
        if self.n_sketch_rows == "auto":
            return max(d + 2, rows_needed(d, 0.5 if self.epsilon is None else self.epsilon, self.delta))
        if self.method != "normal" and self.n_sketch_rows < d + 2:
            raise InputError(f"n_sketch_rows must be at least d + 2 = {d + 2}, got {self.n_sketch_rows}")
        return int(self.n_sketch_rows)

    def _seed(self) -> int:
        if isinstance(self.random_state, Integral):
            return check_integer(self.random_state, "random_state", low=0)
        return int(check_random_state(self.random_state).randint(2**31))

    def _refined(self, solution: Solution, blocks: Callable[[], Iterator[Block]], n: int) -> Solution:
        def pieces() -> Iterator[tuple[Any, Floats]]:
            count = 0
            for block in blocks():
                yield from pieces_of(block)
                count += block.rows.shape[0]
            _check_again(n, count)

        refined = refine(pieces, solution.coefficients, solution.factor, intercept=self.fit_intercept)
        return refined_solution(solution, refined, self.n_sketch_rows_, n)

    def _publish(self, solution: Solution, *, one_target: bool) -> SketchedLinearRegression:
        """Set the fitted attributes."""
        self._stream = None
        self._degrees_of_freedom = solution.degrees
        self._n_coefficients = len(solution.coefficients)
        self.method_ = solution.method
        self.n_iter_ = solution.n_iter
        first = int(self.fit_intercept)

        def by_target(values: Floats) -> Any:
            return values[:, 0] if one_target else values.T

        def of_intercept(values: Floats) -> Any:
            values = values[0] if first else np.zeros(values.shape[1])
            return float(values[0]) if one_target else values

        self.coef_ = by_target(solution.coefficients[first:])
        self.coef_stderr_ = by_target(solution.sketching[first:])
        self.sampling_stderr_ = by_target(solution.sampling[first:])
        self.intercept_ = of_intercept(solution.coefficients)
        self.intercept_stderr_ = of_intercept(solution.sketching)
        quantile = t_quantile(solution.degrees, self.delta / self._n_coefficients)
        bounds = quantile * solution.sketching.max(axis=0)
        self.linf_bound_ = float(bounds[0]) if one_target else bounds
        if solution.dependent:
            names = getattr(self, "feature_names_in_", [f"x{j}" for j in range(self.n_features_in_)])
            what = "the design" if solution.method == "normal" else "the sketch of the design"
            told = dependence(what, ["the intercept"] * first + list(names), solution.dependent)
            warnings.warn(told, LinAlgWarning, stacklevel=4)
        return self


def _check_again(first: int, again: int) -> None:
    if first != again:
        raise InputError(
            f"the blocks held {first} rows when they were first read, and {again} when read again"
        )
