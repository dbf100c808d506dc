"""Nearest neighbours by Hamming distance, as a scikit-learn classifier."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from matropy._core._validation import Array, check_choice, check_integer
from matropy.metrics._activation_codes._code_book import CodeBook, as_code_book
from matropy.metrics._activation_codes._hamming import Backend, nearest_codes

__all__ = ["HammingKNN"]


class HammingKNN(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify binary codes by a majority vote of the nearest training codes, exactly.

    The result is that of ``KNeighborsClassifier(metric="hamming", algorithm="brute")`` with a rule for ties: of training
    codes equally far away the one that came first is nearer, and of labels with equally many votes the smallest wins.

    Parameters
    ----------
    n_neighbors : int
        How many vote.
    backend : {"auto", "gemm", "popcount"}
        Products of sign matrices (exact in float32 up to 2^24 bits; wider codes are counted), or counting the bits of
        exclusive ors; ``"auto"`` takes products up to 2048 bits.

    Attributes
    ----------
    classes_ : array
        The labels, sorted.
    n_features_in_ : int
        Bits of a code.
    feature_names_in_ : array of str
        Where the training codes came as a table with column names.

    References
    ----------
    F. He, S. Lei, J. Ji, D. Tao, 2021 (categorization by 9 nearest neighbours).

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.metrics import HammingKNN
    >>> codes = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 1], [1, 1, 0]])
    >>> knn = HammingKNN(n_neighbors=1).fit(codes, ["low", "low", "high", "high"])
    >>> knn.predict([[0, 1, 0], [1, 0, 1]])
    array(['low', 'low'], dtype='<U4')
    >>> knn.kneighbors([[0, 1, 0]])
    (array([[1]]), array([[0]]))
    """

    def __init__(self, n_neighbors: int = 9, backend: Backend = "auto") -> None:
        self.n_neighbors = n_neighbors
        self.backend = backend

    def fit(self, X: Array | CodeBook, y: ArrayLike) -> HammingKNN:
        """Keep the training codes, packed.

        Parameters
        ----------
        X : array of 0 and 1, shape (n, w), or CodeBook
        y : array, shape (n,)
            Labels.

        Returns
        -------
        HammingKNN
            Itself.

        Raises
        ------
        TypeError, ValueError
            If X is no array of zeros and ones, y is of another length, or there are fewer codes than neighbours.
        """
        neighbors = check_integer(self.n_neighbors, "n_neighbors", low=1)
        check_choice(self.backend, "backend", ("auto", "gemm", "popcount"))
        codes = self._codes_of(X, reset=True)
        check_classification_targets(y)
        labels = column_or_1d(y, warn=True)
        if len(labels) != len(codes):
            raise ValueError(f"y must have one label a code, got {len(labels)} labels and {len(codes)} codes")
        if neighbors > len(codes):
            raise ValueError(f"n_neighbors must not exceed the {len(codes)} training codes, got {neighbors}")
        self.classes_, self._labels = np.unique(labels, return_inverse=True)
        self._codes = codes
        return self

    def predict(self, X: Array | CodeBook) -> NDArray[np.generic]:
        """The label that most of the nearest training codes have.

        Parameters
        ----------
        X : array of 0 and 1, shape (m, w), or CodeBook

        Returns
        -------
        array, shape (m,)
        """
        _, neighbors = self.kneighbors(X)
        votes = np.zeros((len(neighbors), len(self.classes_)), np.int64)
        np.add.at(votes, (np.arange(len(neighbors))[:, None], self._labels[neighbors]), 1)
        predicted: NDArray[np.generic] = self.classes_[votes.argmax(1)]
        return predicted

    def kneighbors(self, X: Array | CodeBook) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The nearest training codes.

        Parameters
        ----------
        X : array of 0 and 1, shape (m, w), or CodeBook

        Returns
        -------
        distances : array of int, shape (m, n_neighbors)
            In bits, rising.
        indices : array of int, shape (m, n_neighbors)
            Rows of the training codes; the smaller first where distances are equal.

        Raises
        ------
        NotFittedError
            Before :meth:`fit`.
        TypeError, ValueError
            If X is no array of zeros and ones, or of another width.
        """
        check_is_fitted(self)
        codes = self._codes_of(X, reset=False)
        return nearest_codes(codes.packed, self._codes.packed, codes.n_bits, self.n_neighbors, self.backend)

    def _codes_of(self, X: Array | CodeBook, *, reset: bool) -> CodeBook:
        codes = as_code_book(X, "X")
        if isinstance(X, CodeBook):
            if reset:
                self.n_features_in_ = codes.n_bits
        else:
            validate_data(self, X, reset=reset, skip_check_array=True)
        if codes.n_bits != self.n_features_in_:
            raise ValueError(f"X must have codes of {self.n_features_in_} bits, got {codes.n_bits}")
        return codes
