"""How well clusters agree with labels."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from matropy._core._validation import check_choice

__all__ = ["cluster_accuracy"]


def cluster_accuracy(
    labels: ArrayLike, clusters: ArrayLike, *, method: Literal["hungarian", "majority"] = "hungarian"
) -> float:
    r"""Share of examples whose cluster stands for their label.

    With :math:`n_{kc}` examples of label c in cluster k,

    .. math::
        \frac1n\max_\pi\sum_k n_{k\,\pi(k)}\qquad\text{or, majority,}\qquad\frac1n\sum_k\max_c n_{kc},

    where :math:`\pi` gives each cluster a label of its own. The majority mapping (purity) is never below the Hungarian
    one, and reaches 1 when every example is a cluster: do not compare one with the other.

    Parameters
    ----------
    labels, clusters : array, shape (n,)
        Numbers or strings; names of clusters need not be those of labels, nor their number.
    method : {"hungarian", "majority"}
        One label a cluster and one cluster a label (clusters that are left over count nothing), or the majority label
        of each cluster.

    Returns
    -------
    float
        In (0, 1].

    Raises
    ------
    ValueError
        If the two differ in length, are empty, have more than one axis, or hold NaN.

    References
    ----------
    H. W. Kuhn, 1955 (the assignment).

    Examples
    --------
    >>> from matropy.metrics import cluster_accuracy
    >>> labels, clusters = [0, 0, 0, 1, 1, 1], [5, 5, 7, 5, 5, 5]
    >>> cluster_accuracy(labels, clusters) == 4 / 6
    True
    >>> cluster_accuracy([0, 0, 0, 0], [5, 5, 7, 7]), cluster_accuracy([0, 0, 0, 0], [5, 5, 7, 7], method="majority")
    (0.5, 1.0)
    """
    check_choice(method, "method", ("hungarian", "majority"))
    names = [_names(values, name) for values, name in ((labels, "labels"), (clusters, "clusters"))]
    if len(names[0]) != len(names[1]):
        raise ValueError(
            f"labels and clusters must have the same length, got {len(names[0])} and {len(names[1])}"
        )
    (classes, label), (groups, cluster) = (np.unique(values, return_inverse=True) for values in names)
    table = np.zeros((len(groups), len(classes)), np.int64)
    np.add.at(table, (cluster, label), 1)
    if method == "majority":
        return int(table.max(1).sum()) / len(label)
    return int(table[linear_sum_assignment(table, maximize=True)].sum()) / len(label)


def _names(values: ArrayLike, name: str) -> NDArray[np.generic]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} must have 1 axis, got shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} is empty")
    if array.dtype.kind == "f" and bool(np.isnan(array).any()):
        raise ValueError(f"{name} holds NaN")
    return array
