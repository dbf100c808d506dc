"""The study of the matrix nuclear-norm: it runs anywhere, and its re-implementations are the paper's formulas."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("transformers")

import torch

from matropy.metrics import matrix_entropy, matrix_nuclear_norm
from matropy.studies import study
from matropy.studies.matrix_nuclear_norm import STUDY
from matropy.studies.matrix_nuclear_norm._timing import entropy_by_svd, norm_by_columns, one_thread


@pytest.mark.parametrize(("n", "d"), [(40, 12), (12, 40)])
def test_the_papers_formulas_agree_with_ours(n, d):
    hidden = torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(entropy_by_svd(hidden)) == pytest.approx(
        float(matrix_entropy(hidden, relative=True)), rel=1e-10
    )
    assert float(norm_by_columns(hidden)) == pytest.approx(float(matrix_nuclear_norm(hidden)), rel=1e-10)


def test_one_thread_is_given_back():
    threads = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


def test_claims_that_do_not_transfer_are_recorded_as_such():
    refuted = {claim.sentence for claim in STUDY.claims if not claim.expected}
    assert refuted == {
        "Shuffling the words of a text raises its matrix nuclear-norm",
        "Reversing the words of a text raises its matrix nuclear-norm",
        "Matrix nuclear-norm falls with the size of the model",
        "Training lowers the matrix entropy of the largest model of the ladder",
    }


def test_the_smoke_scale_runs_in_seconds_without_model_and_data(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MATROPY_DATA", raising=False)
    result = study("matrix-nuclear-norm", "smoke", output=tmp_path / "output")
    assert not result.changed
    assert not result.skipped
    assert all(math.isfinite(value) for value in result.values.values() if value is not None)
    assert {"norm_speedup_n32_d48", "norm_length_32", "norm_shuffled", "ladder_loss_64"} <= set(result.values)
    assert len(result.plots) == 7
    assert (tmp_path / "output" / "report.html").stat().st_size > 10_000
    by_theory = [verdict for verdict in result.verdicts if verdict.origin == "theory"]
    assert [verdict.outcome for verdict in by_theory] == ["holds"] * 3


@pytest.mark.model
@pytest.mark.slow
def test_the_quick_scale_comes_out_as_recorded():
    result = study("matrix-nuclear-norm")
    assert not result.changed, [verdict.claim for verdict in result.verdicts if verdict.changed]
