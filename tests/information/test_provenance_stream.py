"""The stream is the batch, in memory that does not grow."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from markov_source import LAMBDAS

from matropy.information import Decoding, ProvenanceStream, TokenRecord, provenance_test

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("decoding", [Decoding(), Decoding(0.7, 60), Decoding(1.1, None, 0.95)], ids=str)
def test_a_stream_is_the_batch(decoding, library, dtype):
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((60, 300)).astype(dtype)
    law = np.exp(decoding.apply(logits).astype(float))
    tokens = [rng.choice(300, p=p / p.sum()) for p in law]
    logits = torch.from_numpy(logits) if library == "torch" else logits
    record = TokenRecord.from_logits(logits, tokens, decoding=decoding)
    batch = provenance_test(record, alpha=0.4)
    stream = ProvenanceStream(decoding, alpha=0.4)
    path = []
    for row, token in zip(logits, tokens, strict=True):
        stream.update(row, token)
        path.append(stream.log_e)
    np.testing.assert_allclose(path, batch.log_e_path, rtol=0, atol=1e-9)
    assert stream.count == 60
    assert stream.p_value == pytest.approx(batch.p_value, abs=1e-9)
    assert (stream.reject, stream.first_rejection) == (batch.reject, batch.first_rejection)
    assert pytest.approx(batch.D, abs=1e-9) == stream.D
    assert stream.z == pytest.approx(batch.z, abs=1e-9)


def test_the_state_does_not_grow():
    stream = ProvenanceStream(lambdas=LAMBDAS)
    row = np.log([0.5, 0.3, 0.2])
    sizes = []
    for token in np.random.default_rng(0).choice(3, p=[0.5, 0.3, 0.2], size=300):
        stream.update(row, token)
        sizes.append(len(pickle.dumps(stream)))
    assert max(sizes) <= sizes[0] + 40


def test_before_the_first_token():
    stream = ProvenanceStream()
    assert (stream.count, stream.log_e, stream.p_value, stream.z) == (0, 0, 1, 0)
    assert math.isnan(stream.D)
    assert not stream.reject


def test_a_token_outside_the_support_stays_decisive():
    stream = ProvenanceStream(Decoding(top_k=1), alpha=0.001)
    for token in (0, 0, 1, 0, 1):
        stream.update([1.0, 0.0], token)
    assert stream.log_e == stream.D == stream.z == math.inf
    assert (stream.p_value, stream.reject, stream.first_rejection, stream.count) == (0, True, 2, 5)


def test_what_was_rejected_stays_rejected():
    stream = ProvenanceStream(alpha=0.05)
    row = np.log([0.9, 0.1])
    for _ in range(15):
        stream.update(row, 1)
    first, p_value = stream.first_rejection, stream.p_value
    assert stream.reject
    for _ in range(200):
        stream.update(row, 0)
    assert stream.log_e < math.log(20)
    assert stream.reject
    assert (stream.first_rejection, stream.p_value) == (first, p_value)


@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"alpha": 2}, {"lambdas": ()}, {"lambdas": (1.5,)}])
def test_bad_options(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ProvenanceStream(**options)


@pytest.mark.parametrize(
    ("logits", "token", "error"),
    [
        ([0.0, math.nan], 0, ValueError),
        ([0.0, 1.0], 2, ValueError),
        ([0.0, 1.0], -1, ValueError),
        ([0.0, 1.0], 0.5, TypeError),
        (np.zeros((2, 2)), 0, ValueError),
    ],
)
def test_bad_tokens_are_not_taken(logits, token, error):
    stream = ProvenanceStream()
    with pytest.raises(error):
        stream.update(logits, token)
    assert (stream.count, stream.log_e, stream.z) == (0, 0, 0)
