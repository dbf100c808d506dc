"""The study of provenance tests: it runs anywhere, and its sampler draws from the law that it declares."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("transformers")

import torch
from markov_source import MarkovSource

from matropy.information import Decoding, provenance_test
from matropy.studies import study
from matropy.studies.provenance_test import STUDY
from matropy.studies.provenance_test._sampling import passages, sample
from matropy.studies.provenance_test._synthetic import _rejected


def test_rates_of_many_strings_are_those_of_the_tests():
    """The study tests all strings at once; one by one the public test says the same."""
    source = MarkovSource(lambdas=(-1, -0.5, 0.2, 0.5))
    states = source.strings(150, 60, 0.8 * source.rows + 0.2 / 50)
    rates = _rejected(source.pairs, source.indices(states))
    for method, rate in rates.items():
        own = [provenance_test(record, method=method).reject for record in source.records(states)]
        assert np.mean(own) == rate
    assert 0 < rates["bound"] < rates["e"] < 1


@pytest.mark.parametrize("decoding", [Decoding(), Decoding(0.5), Decoding(top_k=5)], ids=str)
def test_the_sampler_draws_from_the_declared_law(tiny_model, decoding):
    from scipy.stats import chisquare
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model("llama"))
    prompt = [5, 77, 200, 13]
    texts = sample(model, [prompt] * 1500, decoding, 2, seed=0, batch=500)
    assert all(text[:4] == prompt and len(text) == 6 for text in texts)
    with torch.no_grad():
        law = decoding.apply(model(torch.tensor([prompt])).logits[0, -1].double()).softmax(-1).numpy()
    seen = np.bincount([text[4] for text in texts], minlength=len(law))
    assert seen[law == 0].sum() == 0
    common = np.argsort(-law)[:4]
    parts = np.append(seen[common], seen.sum() - seen[common].sum())
    expected = 1500 * np.append(law[common], 1 - law[common].sum())
    assert chisquare(parts[expected > 5], expected[expected > 5] * parts[expected > 5].sum() / expected[expected > 5].sum()).pvalue > 1e-3  # fmt: skip


def test_the_cache_of_the_sampler_changes_nothing(tiny_model):
    """A text drawn step by step has the likelihood that one pass gives it."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model("llama"))
    first = sample(model, [[1, 2, 3]] * 3, Decoding(top_k=3), 20, seed=1, batch=3)
    again = sample(model, [[1, 2, 3]] * 3, Decoding(top_k=3), 20, seed=1, batch=3)
    assert first == again
    for text in first:
        with torch.no_grad():
            logits = model(torch.tensor([text])).logits[0, 2:-1]
        rank = (logits > logits.gather(-1, torch.tensor(text[3:])[:, None])).sum(-1)
        assert int(rank.max()) < 3


def test_passages_come_from_all_files_and_do_not_repeat(tmp_path, tiny_model):
    from transformers import AutoTokenizer

    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(
            "## head\n\n" + "\n\n".join(f"{name}{i} " * 5 for i in range(40))
        )
    tokenizer = AutoTokenizer.from_pretrained(tiny_model("llama"))
    found = passages(tmp_path, tokenizer, 5, 30, offset=0.0)
    assert len(found) == 5
    assert all(len(ids) == 30 for ids in found)
    starts = [tokenizer.decode(ids)[:1] for ids in found]
    assert starts == ["a", "b", "a", "b", "a"]
    other = passages(tmp_path, tokenizer, 5, 30, offset=0.5)
    assert not {tuple(ids) for ids in found} & {tuple(ids) for ids in other}


def test_claims_that_do_not_transfer_are_recorded_as_such():
    refuted = {claim.sentence for claim in STUDY.claims if not claim.expected}
    assert refuted == {
        f"{name}: text sampled from the full law and text by people are told apart by D as well"
        for name in ("SmolLM2-135M-Instruct", "Gemma-3-270M")
    }


def test_the_smoke_scale_runs_in_seconds_without_model_and_data(tmp_path, monkeypatch):
    monkeypatch.delenv("MATROPY_DATA", raising=False)
    result = study("provenance-test", "smoke", output=tmp_path / "output")
    assert not result.changed
    assert not result.skipped
    verdicts = {verdict.claim: verdict.outcome for verdict in result.verdicts}
    for claim in (
        "Every bet of the e-process has mean one under every decoding, by enumeration",
        "No one-against-the-rest law has a variance above the bound",
        "The a priori bound rejects at most 5 % of own strings",
        "Minus z is the analytic statistic of Fast-DetectGPT with one model",
        "SmolLM2-135M-Instruct: no token of its own top-k 40 text is outside its top 40",
    ):
        assert verdicts[claim] == "holds", claim
    assert math.isfinite(result.values["smollm2_auc_own"])
    assert len(result.plots) == 3
    assert len(result.tables) == 3
    assert (tmp_path / "output" / "report.html").stat().st_size > 10_000


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_the_quick_scale_comes_out_as_recorded(data):
    data("text")
    result = study("provenance-test")
    assert not result.changed, [verdict.claim for verdict in result.verdicts if verdict.changed]
