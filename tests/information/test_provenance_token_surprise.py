"""The streaming metric beside its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import log_softmax

pytest.importorskip("torchmetrics")

import torch
from metric_tester import Case, MetricTester

from matropy.information import Decoding, TokenRecord, TokenSurprise, provenance_test

RNG = np.random.default_rng(0)
LOGITS = 2 * RNG.standard_normal((6, 11, 30))
TOKENS = RNG.integers(30, size=(6, 11))
MASK = RNG.random((6, 11)) < 0.7


def definition(logits, tokens, mask=None, temperature=1.0):
    log_p = log_softmax(logits / temperature, axis=-1)
    kept = np.ones(tokens.shape, bool) if mask is None else mask
    surprise = -np.take_along_axis(log_p, tokens[..., None], -1)[..., 0][kept]
    entropy = -(np.exp(log_p) * log_p).sum(-1)
    variance = ((np.exp(log_p) * log_p**2).sum(-1) - entropy**2)[kept]
    entropy = entropy[kept]
    return {
        "log_perplexity": surprise.mean(),
        "entropy": entropy.mean(),
        "D": (surprise - entropy).mean(),
        "z": (surprise - entropy).sum() / math.sqrt(variance.sum()),
    }


class TestTokenSurprise(
    MetricTester,
    cases={
        "all": Case((LOGITS, TOKENS), metric=TokenSurprise, metric_reference=definition),
        "masked": Case((LOGITS, TOKENS, MASK), metric=TokenSurprise, metric_reference=definition),
        "temperature": Case(
            (LOGITS, TOKENS),
            metric=lambda: TokenSurprise(Decoding(temperature=0.5)),
            metric_reference=lambda logits, tokens: definition(logits, tokens, temperature=0.5),
        ),
    },
): ...


def test_it_is_the_record_and_the_test():
    decoding = Decoding(0.9, 20)
    metric = TokenSurprise(decoding)
    tokens = np.argsort(-LOGITS, axis=-1)[..., 3]
    metric.update(torch.from_numpy(LOGITS), torch.from_numpy(tokens))
    record = TokenRecord.from_logits(LOGITS.reshape(-1, 30), tokens.ravel(), decoding=decoding)
    result = provenance_test(record)
    found = metric.compute()
    assert float(found["D"]) == pytest.approx(result.D)
    assert float(found["z"]) == pytest.approx(result.z)


def test_what_the_mask_hides_may_be_anything():
    metric = TokenSurprise()
    logits, tokens = torch.from_numpy(LOGITS).clone(), torch.from_numpy(TOKENS).clone()
    hidden = ~torch.from_numpy(MASK)
    logits[hidden], tokens[hidden] = math.nan, -100
    metric.update(logits, tokens, torch.from_numpy(MASK))
    expected = definition(LOGITS, TOKENS, MASK)
    assert {name: float(value) for name, value in metric.compute().items()} == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_counted_is_nan():
    metric = TokenSurprise()
    metric.update(torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 3))
    assert all(math.isnan(value) for value in metric.compute().values())


def test_an_impossible_token():
    metric = TokenSurprise(Decoding(top_k=1))
    metric.update(torch.tensor([[1.0, 0.0]] * 4), torch.tensor([0, 1, 0, 0]))
    found = metric.compute()
    assert float(found["D"]) == float(found["z"]) == float(found["log_perplexity"]) == math.inf
    assert float(found["entropy"]) == 0


@pytest.mark.parametrize(
    ("logits", "tokens", "mask", "message"),
    [
        (torch.zeros(3, 4), torch.zeros(2, dtype=torch.int64), None, "must agree"),
        (torch.zeros(3, 4), torch.zeros(3, dtype=torch.int64), torch.ones(4), "must agree"),
        (torch.full((3, 4), math.nan), torch.zeros(3, dtype=torch.int64), None, "NaN"),
        (torch.zeros(3, 4), torch.full((3,), 4), None, "vocabulary ends at 3"),
        (torch.zeros(3, 4), torch.full((3,), -1), None, "hold the id -1"),
    ],
)
def test_bad_updates(logits, tokens, mask, message):
    with pytest.raises(ValueError, match=message):
        TokenSurprise().update(logits, tokens, mask)
