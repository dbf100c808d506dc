"""The study of sketched regression: it runs anywhere, and what it refutes is recorded."""

from __future__ import annotations

import math

import numpy as np
import pytest

from matropy.studies import Run, study
from matropy.studies.linf_regression import STUDY
from matropy.studies.linf_regression._coverage import measure_coverage
from matropy.studies.linf_regression._necessity import coherent_instance


def test_the_solution_of_the_instance_is_zero():
    rows = coherent_instance(5, 40, 8, np.random.default_rng(0))
    design, target = rows[:, :5], rows[:, 5]
    np.testing.assert_array_equal(np.linalg.lstsq(design, target)[0], np.zeros(5))
    assert np.linalg.norm(target) == pytest.approx(1)
    assert np.count_nonzero(target) == 8


def test_the_open_step_of_the_proof_is_recorded_as_refuted():
    refuted = [claim.sentence for claim in STUDY.claims if not claim.expected]
    assert refuted == ["An embedding of the subspace and of fixed pairs of vectors bounds every coefficient"]


def test_the_smoke_scale_runs_in_seconds(tmp_path, monkeypatch, data):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data("linf-regression/flights_2013.npz")
    result = study("linf-regression", "smoke", output=tmp_path / "output")
    assert not result.changed
    assert not result.skipped
    assert all(math.isfinite(value) for value in result.values.values() if value is not None)
    assert result.values["gap_coefficient"] == pytest.approx(0.00250627, abs=1e-8)
    assert result.values["few_countsketch_over_collision"] == pytest.approx(1, abs=0.002)
    assert result.values["few_srht_over_collision"] < 0.8
    assert len(result.plots) == 5
    assert (tmp_path / "output" / "report.html").stat().st_size > 10_000
    assert list((tmp_path / "cache" / "matropy").iterdir()) == []  # the rows on disk are gone


def test_without_the_table_nothing_is_covered(tmp_path, monkeypatch):
    monkeypatch.delenv("MATROPY_DATA", raising=False)
    run = Run("linf-regression", "smoke", folder=tmp_path)
    assert measure_coverage(run).values == {}
    assert list(run.skipped) == ["linf-regression/flights_2013.npz"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_quick_scale_comes_out_as_recorded(data):
    data("linf-regression/flights_2013.npz")
    result = study("linf-regression")
    assert not result.changed, [verdict.claim for verdict in result.verdicts if verdict.changed]
