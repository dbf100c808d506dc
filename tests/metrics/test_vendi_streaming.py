"""The streaming metric, in one process and in two."""

import numpy as np
import pytest
import torch
from metric_tester import Case, MetricTester

from matropy.metrics import VendiScore, vendi_score

ORDERS = [0, 0.5, 1, 2, np.inf]


def rows(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)) + 0.3


def by_eigenvalues(x, orders=(1,)):
    """Scores by the eigenvalues of the kernel matrix."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    p = np.linalg.eigvalsh(unit @ unit.T / len(x))
    p = p[p > 1e-13]
    scores = [
        np.exp(-p @ np.log(p)) if q == 1 else 1 / p.max() if q == np.inf else np.sum(p**q) ** (1 / (1 - q))
        for q in orders
    ]
    return scores[0] if len(scores) == 1 else np.array(scores)


CASES = {
    "few columns": Case((rows(40, 6),), metric=VendiScore, metric_reference=by_eigenvalues),
    "few rows": Case((rows(7, 20),), metric=VendiScore, metric_reference=by_eigenvalues),
    "one column": Case((rows(5, 1) ** 2,), metric=VendiScore, metric_reference=by_eigenvalues),
    "orders": Case(
        (rows(30, 5),),
        metric=lambda: VendiScore(order=ORDERS),
        metric_reference=lambda x: by_eigenvalues(x, ORDERS),
    ),
    "unit rows": Case(
        (np.eye(8)[[0, 1, 1, 5, 7, 7]],),
        metric=lambda: VendiScore(kernel="linear"),
        metric_reference=by_eigenvalues,
    ),
}


class TestVendiScore(MetricTester, cases=CASES):
    """Sums over batches and processes."""


def test_seven_batches_equal_the_function():
    x = torch.from_numpy(rows(200, 12))
    metric = VendiScore(order=ORDERS)
    cuts = np.sort(np.random.default_rng(0).choice(np.arange(1, 200), 6, replace=False))
    for batch in torch.tensor_split(x, cuts.tolist()):
        metric.update(batch)
    torch.testing.assert_close(metric.compute(), vendi_score(x, order=ORDERS), rtol=1e-9, atol=0)
    assert metric.scatter.shape == (12, 12)


def test_merging_with_what_has_seen_nothing():
    x = torch.from_numpy(rows(20, 4))
    full, empty = VendiScore(), VendiScore()
    full.update(x)
    expected = full.compute()
    empty.merge_state(full)
    assert float(empty.compute()) == pytest.approx(float(expected), rel=1e-12)
    full.merge_state(VendiScore())
    assert float(full.compute()) == pytest.approx(float(expected), rel=1e-12)


def test_a_process_without_rows(two_processes):
    x = rows(20, 4)
    for result in two_processes.compute(VendiScore(), [torch.from_numpy(x)], [[slice(0, 20)], []]):
        assert float(result) == pytest.approx(by_eigenvalues(x), rel=1e-10)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.ones(2, 3), ValueError, "x must have 4 columns like the rows before, got 3"),
        (torch.ones(4), ValueError, "x must have 2 axes"),
        (torch.ones(0, 4), ValueError, "x is empty"),
        (torch.tensor([[1.0, 2.0, 3.0, float("nan")]]), ValueError, "x holds NaN"),
        (torch.zeros(1, 4), ValueError, "x holds a zero row"),
    ],
)
def test_bad_rows_are_named_and_leave_no_trace(x, error, message):
    metric = VendiScore()
    metric.update(torch.eye(4))
    with pytest.raises(error, match=message):
        metric.update(x)
    assert float(metric.compute()) == pytest.approx(4)


def test_bad_options_are_named():
    with pytest.raises(ValueError, match="kernel must be one of 'cosine', 'linear'"):
        VendiScore(kernel="rbf")
    with pytest.raises(ValueError, match="order must be a number >= 0"):
        VendiScore(order=-1)
    metric = VendiScore(kernel="linear")
    with pytest.raises(ValueError, match="x must hold unit rows"):
        metric.update(2 * torch.eye(3))
    with (
        pytest.raises(ValueError, match="VendiScore has seen no rows"),
        pytest.warns(UserWarning, match="before"),
    ):
        VendiScore().compute()
