"""A real language model: its record, and what it says about texts by people."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("transformers")

import torch

from matropy.information import Decoding, TokenRecord, provenance_test, token_record
from matropy.studies.provenance_test._sampling import passages, sample

pytestmark = pytest.mark.model


def test_a_record_is_that_of_the_models_own_logits(smollm2, data):
    [ids] = passages(data("text"), smollm2.tokenizer, 1, 128, offset=0.1)
    record = token_record(smollm2, ids)
    with torch.inference_mode():
        logits = smollm2.model(torch.tensor([ids])).logits[0, 31:-1]
    expected = TokenRecord.from_logits(logits.double(), ids[32:])
    # Forward passes of other shapes differ by their rounding.
    for name in ("surprise", "entropy", "variance", "cumulant"):
        np.testing.assert_allclose(getattr(record, name), getattr(expected, name), rtol=1e-4, atol=1e-4)
    assert (record.rank == expected.rank).mean() > 0.99
    assert record.model == smollm2.name
    assert f"{smollm2.name} at temperature 1" in provenance_test(record).verdict


def test_people_are_refuted_at_once_under_a_narrow_null(smollm2, data):
    waits, narrow = [], []
    for ids in passages(data("text"), smollm2.tokenizer, 6, 92, offset=0.5):
        with torch.inference_mode():
            logits = smollm2.model(torch.tensor([ids])).logits[0, 31:-1]
        cold = TokenRecord.from_logits(logits, ids[32:], decoding=Decoding(2 / 3), lambdas=(1 / 3,))
        waits.append(provenance_test(cold).first_rejection)
        narrow.append(provenance_test(TokenRecord.from_logits(logits, ids[32:], decoding=Decoding(top_k=40))))
    assert sum(wait is not None for wait in waits) >= 5
    assert all(result.reject and result.p_value == 0 for result in narrow)


@pytest.mark.slow
def test_own_text_passes_when_its_decoding_is_declared_and_fails_when_not(smollm2, data):
    prompts = [ids[:32] for ids in passages(data("text"), smollm2.tokenizer, 8, 64, offset=0.0)]
    for decoding in (Decoding(0.7), Decoding(top_k=40)):
        texts = sample(smollm2.model, prompts, decoding, 64, seed=0)
        declared = [provenance_test(token_record(smollm2, ids, decoding=decoding)) for ids in texts]
        assert sum(result.reject for result in declared) <= 2
        undeclared = [provenance_test(token_record(smollm2, ids)) for ids in texts]
        assert np.mean([result.D for result in undeclared]) < -0.3
        assert all(result.z < 0 for result in undeclared)
