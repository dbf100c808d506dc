"""The study of cut cross-entropy runs anywhere, and records honestly what does not transfer."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from matropy.studies import study
from matropy.studies.cut_cross_entropy import STUDY
from matropy.studies.cut_cross_entropy._gpu_table import gemma_sized


def test_claims_that_do_not_transfer_are_recorded_as_such():
    refuted = {claim.sentence for claim in STUDY.claims if not claim.expected}
    assert refuted == {
        "Less than 0.02 % of the probabilities reach 2⁻¹²",
        "Sorting leaves fewer tiles alive for a confident model too (temperature 0.4)",
    }


def test_the_smoke_scale_runs_in_seconds_without_data(tmp_path, monkeypatch):
    monkeypatch.delenv("MATROPY_DATA", raising=False)
    result = study("cut-cross-entropy", "smoke", output=tmp_path)
    assert not result.changed
    assert result.skipped.keys() <= {"torch's linear_cross_entropy"}
    measured = {
        name: value for name, value in result.values.items() if not name.startswith("time_over_native")
    }
    assert all(math.isfinite(value) for value in measured.values() if value is not None)
    assert {"batch_gain_gpt2", "workspace_mib_4096", "random_live_sorted_0.4", "curve_end"} <= set(measured)
    assert len(result.plots) == 3
    assert (tmp_path / "report.html").stat().st_size > 10_000
    outcomes = {verdict.claim: verdict.outcome for verdict in result.verdicts}
    assert outcomes["Training curves with both losses are the same"] == "holds"
    assert outcomes["The batches that fit with the logits in memory are the published ones to 1 %"] == "holds"


@pytest.mark.slow
def test_a_head_repeated_to_gemmas_size_gives_the_same_logits(data):
    path = data("cut-cross-entropy/docs_lm_head.npz")
    input, weight, target = gemma_sized(str(path), "cpu")
    with np.load(path) as shipped:
        states, classifier = (torch.from_numpy(shipped[name]).float() for name in ("E", "C"))
    exact = states[:64] @ classifier.T
    logits = input[:64].detach().float() @ weight.detach().float().T
    torch.testing.assert_close(logits[:, : len(classifier)], exact, rtol=0, atol=0.15)
    assert logits[:, len(classifier) :].max() < exact.max()
    assert int(target.max()) < len(classifier)


@pytest.mark.slow
def test_the_quick_scale_comes_out_as_recorded(data):
    data("cut-cross-entropy/docs_lm_head.npz")
    result = study("cut-cross-entropy")
    assert not result.changed, [verdict.claim for verdict in result.verdicts if verdict.changed]
