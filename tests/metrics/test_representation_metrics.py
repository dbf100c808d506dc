"""The streaming metric."""

from functools import partial

import numpy as np
import pytest
import representation_reference as reference
import torch
from metric_tester import Case, MetricTester

from matropy.metrics import RepresentationMetrics


def mean_over_texts(hidden, mask=None, metrics=None):
    """Mean of every measure over the texts that define it."""
    masks = [None] * len(hidden) if mask is None else mask
    texts = [reference.all_measures(reference.kept(h, m)) for h, m in zip(hidden, masks, strict=True)]
    return {
        name: np.mean([text[name] for text in texts if text[name] is not None])
        if any(text[name] is not None for text in texts)
        else np.nan
        for name in metrics or texts[0]
    }


def texts(lengths, d, seed=0):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(len(lengths), max(lengths), d)) * np.arange(1, d + 1) ** -0.8 + 0.3
    mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
    return hidden, mask


SOME = ("anisotropy", "matrix_nuclear_norm", "alpha_req")


CASES = {
    "few tokens": Case(
        (texts([11] * 5, 16)[0],), metric=RepresentationMetrics, metric_reference=mean_over_texts
    ),
    "many tokens": Case(
        (texts([40] * 4, 12)[0],), metric=RepresentationMetrics, metric_reference=mean_over_texts
    ),
    "padded": Case(
        texts([17, 12, 10, 25], 14), metric=RepresentationMetrics, metric_reference=mean_over_texts
    ),
    # Two tokens define neither the calibrated entropy nor the decay of the spectrum.
    "some undefined": Case(
        texts([2, 12, 2, 9], 14), metric=RepresentationMetrics, metric_reference=mean_over_texts
    ),
    "some metrics": Case(
        texts([17, 12, 10, 25], 14),
        metric=partial(RepresentationMetrics, SOME),
        metric_reference=partial(mean_over_texts, metrics=SOME),
    ),
}


class TestRepresentationMetrics(MetricTester, cases=CASES):
    """Means over texts, however these arrive."""


def test_one_text_needs_no_batch_axis():
    hidden, mask = (torch.from_numpy(array[0]) for array in texts([9], 12))
    alone, batched = RepresentationMetrics(), RepresentationMetrics()
    alone.update(hidden, mask)
    batched.update(hidden[None], mask[None])
    together = batched.compute()
    for name, value in alone.compute().items():
        torch.testing.assert_close(value, together[name], rtol=1e-10, atol=1e-12)


def test_undefined_for_every_text_is_nan():
    metric = RepresentationMetrics(["matrix_entropy_calibrated", "matrix_entropy"])
    metric.update(torch.from_numpy(texts([2, 2], 5)[0]))
    result = metric.compute()
    assert result["matrix_entropy_calibrated"].isnan()
    assert result["matrix_entropy"] == pytest.approx(0, abs=1e-9)


def test_states_grow_with_nothing_but_the_number_of_metrics():
    metric = RepresentationMetrics(SOME)
    metric.update(torch.from_numpy(texts([9] * 50, 12)[0]))
    assert {name: state.shape for name, state in metric.metric_state.items()} == {
        "total": (3,),
        "count": (3,),
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda hidden: hidden.index_fill(1, torch.tensor([2]), torch.nan), "NaN or infinite"),
        (lambda hidden: hidden.index_fill(1, torch.tensor([2]), torch.inf), "NaN or infinite"),
        (lambda hidden: hidden[:, :1], "fewer than two tokens"),
        (lambda hidden: hidden[:, :1].expand(-1, 9, -1), "cannot be normalized"),
        (lambda hidden: hidden[0, 0], "hidden must have at least 2 axes"),
        (lambda hidden: hidden[:, :0], "hidden is empty"),
    ],
)
def test_bad_states_are_refused_and_leave_no_trace(make, message):
    hidden = torch.from_numpy(texts([9] * 3, 12)[0])
    metric = RepresentationMetrics()
    metric.update(hidden)
    before = metric.compute()
    with pytest.raises(ValueError, match=message):
        metric.update(make(hidden))
    metric._computed = None
    assert metric.compute() == before


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["rank"], "metrics must be one of 'matrix_nuclear_norm'"),
        ([], "metrics is empty"),
        ([None], "got None"),
    ],
)
def test_unknown_metrics_are_refused(metrics, message):
    with pytest.raises(ValueError, match=message):
        RepresentationMetrics(metrics)


def test_without_torch_the_functions_work_and_the_metric_names_the_extra(run_python):
    script = """
from matropy.metrics import matrix_entropy
assert matrix_entropy([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5]]) > 0
try:
    from matropy.metrics import RepresentationMetrics
except ImportError as error:
    print(type(error).__name__, error)
"""
    said = run_python(script, without=("torch", "torchmetrics"))
    assert said.startswith("MissingExtraError RepresentationMetrics needs torch")
    assert "pip install 'matropy[torch]'" in said
