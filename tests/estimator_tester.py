"""One tester for every estimator: what scikit-learn expects of it, whether or not its input is a table.

A test module lists its cases and inherits the checks::

    cases = {"ridge": EstimatorCase(Ridge(), X, y, table=True)}


    class TestRidge(EstimatorTester, cases=cases): ...

Where the input is a table of numbers, scikit-learn's own checks run as well, and the names of columns are checked. Where
it is not (trials, JSON, sets, sequences, codes), scikit-learn has none or wrong ones, and these are all.
"""

from __future__ import annotations

import copy
import inspect
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

ANSWERS = ("predict", "predict_proba", "decision_function", "transform", "score_samples")


@dataclass(frozen=True)
class EstimatorCase:
    """An estimator and what it is fitted to.

    Attributes
    ----------
    estimator : estimator
        Not fitted; what is random in it has an integer ``random_state``.
    X, y : object
        Arguments of ``fit``.
    table : bool
        Whether ``X`` is a real table, so that scikit-learn's checks apply.
    expected_failures : mapping of str to str
        Names of checks of scikit-learn that do not apply, and why.
    tolerance : float
        To which two fits to the same data agree, relative; 0 is to the last bit.
    """

    estimator: Any
    X: Any
    y: Any = None
    table: bool = False
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 0.0

    def fitted(self, X: Any = None) -> Any:
        """A clone, fitted to ``X``, or to the data of the case."""
        X = self.X if X is None else X
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return clone(self.estimator).fit(X) if self.y is None else clone(self.estimator).fit(X, self.y)

    def answers(self, fitted: Any) -> dict[str, Any]:
        """What a fitted estimator says about the data of the case."""
        return {name: getattr(fitted, name)(self.X) for name in ANSWERS if hasattr(fitted, name)}

    def assert_same(self, one: Any, other: Any) -> None:
        """Compare the answers of two fitted estimators."""
        ours, theirs = self.answers(one), self.answers(other)
        assert ours
        assert set(ours) == set(theirs)
        for name, answer in ours.items():
            here, there = _dense(answer), _dense(theirs[name])
            if np.asarray(here).dtype.kind in "fc":
                np.testing.assert_allclose(here, there, rtol=self.tolerance, atol=self.tolerance)
            else:
                np.testing.assert_array_equal(here, there)


class EstimatorTester:
    """The checks; a subclass whose name starts with ``Test`` gives the cases."""

    cases: Mapping[str, EstimatorCase]

    def __init_subclass__(cls, cases: Mapping[str, EstimatorCase]) -> None:
        """Take the cases and drop the checks that none of them asks for."""
        cls.cases = cases
        for check in [name for name in dir(cls) if name.startswith("test_")]:
            if not cls._cases_of(check):
                setattr(cls, check, None)

    @classmethod
    def _cases_of(cls, check: str) -> dict[str, EstimatorCase]:
        kind = check.split("_")[1]
        wanted = {
            "table": lambda case: case.table,
            "scikit": lambda case: case.table,
            "transformer": lambda case: hasattr(case.estimator, "transform"),
        }
        return {name: case for name, case in cls.cases.items() if wanted.get(kind, lambda _: True)(case)}

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Every check over its cases; those of scikit-learn one by one."""
        cases = cls._cases_of(metafunc.function.__name__)
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", cases.values(), ids=cases.keys())
        if "check" in metafunc.fixturenames:
            failures = {id(case.estimator): dict(case.expected_failures) for case in cases.values()}
            checks = parametrize_with_checks(
                [case.estimator for case in cases.values()],
                expected_failed_checks=lambda estimator: failures[id(estimator)],
            )
            metafunc.parametrize(*checks.args, **checks.kwargs)

    def test_parameters_are_kept_as_they_were_given(self, case: EstimatorCase) -> None:
        parameters = inspect.signature(type(case.estimator).__init__).parameters
        names = set(parameters) - {"self"}
        assert isinstance(case.estimator, BaseEstimator)
        assert not {p.kind for p in parameters.values()} & {
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        }
        given = {name: object() for name in names}
        made = type(case.estimator)(**given)  # nothing is checked before fit
        assert made.get_params(deep=False) == given
        assert set(vars(made)) == names

    def test_parameters_can_be_set(self, case: EstimatorCase) -> None:
        estimator = clone(case.estimator)
        parameters = estimator.get_params(deep=False)
        assert estimator.set_params(**parameters) is estimator
        assert estimator.get_params(deep=False) == parameters
        with pytest.raises(ValueError, match="no_such_parameter"):
            estimator.set_params(no_such_parameter=1)

    def test_repr_names_the_class(self, case: EstimatorCase) -> None:
        assert repr(case.estimator).startswith(type(case.estimator).__name__ + "(")
        assert repr(case.fitted()) == repr(case.estimator)

    def test_fit_returns_itself_and_changes_no_parameter_and_no_data(self, case: EstimatorCase) -> None:
        estimator = clone(case.estimator)
        before, X = estimator.get_params(), copy.deepcopy(case.X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            returned = estimator.fit(case.X) if case.y is None else estimator.fit(case.X, case.y)
        assert returned is estimator
        after = estimator.get_params()
        assert all(after[name] is value for name, value in before.items() if not hasattr(value, "get_params"))
        assert _equal(case.X, X)

    def test_fitted_attributes_end_with_an_underscore(self, case: EstimatorCase) -> None:
        fitted = case.fitted()
        new = set(vars(fitted)) - set(fitted.get_params(deep=False))
        assert [name for name in new if not (name.endswith("_") or name.startswith("_"))] == []
        assert [name for name in new if name.endswith("_") and not name.startswith("_")]

    def test_asking_before_fit_says_so(self, case: EstimatorCase) -> None:
        estimator = clone(case.estimator)
        asked = [name for name in ANSWERS if hasattr(type(estimator), name)]
        assert asked
        for name in asked:
            with pytest.raises(NotFittedError):
                getattr(estimator, name)(case.X)

    def test_a_clone_is_not_fitted(self, case: EstimatorCase) -> None:
        twin = clone(case.fitted())
        assert set(vars(twin)) == set(vars(clone(case.estimator)))

    def test_two_fits_give_the_same(self, case: EstimatorCase) -> None:
        fitted = case.fitted()
        case.assert_same(fitted, case.fitted())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again = fitted.fit(case.X) if case.y is None else fitted.fit(case.X, case.y)
        case.assert_same(again, case.fitted())

    def test_survives_pickling(self, case: EstimatorCase) -> None:
        fitted = case.fitted()
        case.assert_same(pickle.loads(pickle.dumps(fitted)), fitted)  # noqa: S301
        case.assert_same(copy.deepcopy(fitted), fitted)
        unfitted = pickle.loads(pickle.dumps(case.estimator))  # noqa: S301
        assert repr(unfitted) == repr(case.estimator)

    def test_score_is_a_number(self, case: EstimatorCase) -> None:
        fitted = case.fitted()
        if is_regressor(fitted) or is_classifier(fitted):
            assert np.isfinite(fitted.score(case.X, case.y))

    def test_table_knows_how_many_columns_it_had(self, case: EstimatorCase) -> None:
        fitted = case.fitted()
        assert fitted.n_features_in_ == case.X.shape[1]
        assert not hasattr(fitted, "feature_names_in_")
        for name in case.answers(fitted):
            with pytest.raises(ValueError, match="features"):
                getattr(fitted, name)(case.X[:, :-1])

    def test_table_with_names_keeps_them(self, case: EstimatorCase) -> None:
        pandas = pytest.importorskip("pandas")
        names = [f"column {j}" for j in range(case.X.shape[1])]
        frame = pandas.DataFrame(case.X, columns=names)
        fitted = case.fitted(frame)
        assert list(fitted.feature_names_in_) == names
        # A frame is laid out otherwise in memory, so products round differently.
        tolerance = max(case.tolerance, 1e-9)
        for name, answer in case.answers(case.fitted()).items():
            np.testing.assert_allclose(
                _dense(getattr(fitted, name)(frame)), _dense(answer), rtol=tolerance, atol=tolerance
            )
            with pytest.raises(ValueError, match="feature names"):
                getattr(fitted, name)(frame[names[::-1]])

    def test_transformer_names_what_it_gives(self, case: EstimatorCase) -> None:
        pandas = pytest.importorskip("pandas")
        fitted = case.fitted()
        plain = _dense(fitted.transform(case.X))
        names = list(fitted.get_feature_names_out())
        assert all(isinstance(name, str) for name in names)
        assert len(set(names)) == len(names) == plain.shape[1]
        frame = fitted.set_output(transform="pandas").transform(case.X)
        assert isinstance(frame, pandas.DataFrame)
        assert list(frame.columns) == names
        np.testing.assert_array_equal(frame.to_numpy(), plain)
        assert not isinstance(fitted.set_output(transform="default").transform(case.X), pandas.DataFrame)

    @pytest.mark.filterwarnings("ignore")
    def test_scikit_learn_is_content(self, estimator: Any, check: Any) -> None:
        check(estimator)


def _dense(answer: Any) -> np.ndarray:
    return answer.toarray() if hasattr(answer, "toarray") else np.asarray(answer)


def _equal(one: Any, other: Any) -> bool:
    if hasattr(one, "toarray"):
        return bool((one != other).nnz == 0)
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(_equal(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)
