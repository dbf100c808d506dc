"""The streaming form against the exact one."""

import numpy as np
import pytest
import torch
from metric_tester import Case, MetricTester

from matropy.metrics import CodeRedundancy, redundancy_ratio


def planted(rows, width, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((rows, width)) < 0.5)[rng.integers(0, rows, rows)]


def by_numpy(bits):
    return 1 - len(np.unique(bits, axis=0)) / len(bits)


CASES = {
    f"{rows} codes of {width} bits": Case(
        (planted(rows, width),), metric=CodeRedundancy, metric_reference=by_numpy
    )
    for rows, width in ((7, 1), (40, 3), (60, 65), (90, 400))
}


class TestCodeRedundancy(MetricTester, cases=CASES):
    """The same, however the codes arrive."""


@pytest.mark.parametrize("seed", range(10))
def test_any_split_equals_one_shot(seed):
    bits = planted(300, 70, seed)
    cuts = np.sort(np.random.default_rng(seed).choice(np.arange(1, 300), 12, replace=False))
    metric = CodeRedundancy()
    for part in np.split(bits, cuts):
        metric.update(torch.from_numpy(part).float())
    assert float(metric.compute()) == pytest.approx(redundancy_ratio(bits), abs=1e-15)


def test_only_different_codes_are_kept():
    metric = CodeRedundancy()
    codes = torch.from_numpy(planted(64, 200))
    for _ in range(50):
        metric.update(codes)
    assert sum(map(len, metric.digests)) <= 128
    assert all(digests.dtype == torch.int64 and digests.shape[1] == 2 for digests in metric.digests)


def test_a_process_without_codes_takes_part(two_processes):
    bits = torch.from_numpy(planted(30, 70))
    for result in two_processes.compute(CodeRedundancy(), [bits], [[slice(0, 20), slice(20, 30)], []]):
        assert result == pytest.approx(by_numpy(bits.numpy()), abs=1e-15)


def test_without_codes_there_is_no_redundancy():
    with (
        pytest.warns(UserWarning, match="before the ``update``"),
        pytest.raises(ValueError, match="there is no code"),
    ):
        CodeRedundancy().compute()


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        (torch.tensor([[0.0, torch.nan, 1.0]]), "bits must be 0 or 1, got nan"),
        (torch.tensor([[0, 1, 2]]), "bits must be 0 or 1, got 2"),
        (torch.zeros(2, 2), "bits must have 3 columns, as in earlier batches; got 2"),
        (torch.zeros(3), "bits must have 2 axes"),
        (torch.zeros(0, 3), "bits is empty"),
    ],
)
def test_bad_codes_are_refused_and_leave_no_trace(bits, message):
    metric = CodeRedundancy()
    metric.update(torch.tensor([[0, 1, 1], [0, 1, 1]]))
    with pytest.raises(ValueError, match=message):
        metric.update(bits)
    metric._computed = None
    assert metric.compute() == 0.5
