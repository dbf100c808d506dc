"""The study of the Vendi score: it runs anywhere, and its digits are resized as the authors' are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from matropy.studies import study
from matropy.studies.vendi_score import STUDY
from matropy.studies.vendi_score._digits import enlarged


def test_resizing_is_that_of_pillow():
    image = pytest.importorskip("PIL.Image")
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    expected = [np.asarray(image.fromarray(one).resize((32, 32), image.Resampling.BICUBIC)) for one in images]
    np.testing.assert_array_equal(enlarged(images, 32), expected)


def test_claims_of_the_paper_come_with_their_place():
    assert all(claim.where for claim in STUDY.claims)
    assert len({claim.sentence for claim in STUDY.claims}) == len(STUDY.claims)


def test_the_smoke_scale_runs_in_seconds_without_data(tmp_path, monkeypatch):
    monkeypatch.delenv("MATROPY_DATA", raising=False)
    result = study("vendi-score", "smoke", output=tmp_path)
    assert not result.changed
    assert not result.skipped
    assert all(math.isfinite(value) for value in result.values.values() if value is not None)
    assert {"made_up_real_vendi", "made_up_digit_0", "made_up_slq_error"} <= set(result.values)
    assert (tmp_path / "report.html").stat().st_size > 10_000
    held = [verdict.claim for verdict in result.verdicts if verdict.outcome == "holds"]
    assert len(held) == 8


@pytest.mark.slow
def test_the_quick_scale_comes_out_as_recorded(data):
    data("vendi-score/morgan1024.npz")
    data("deyo/mnist_test10k.npz")
    result = study("vendi-score")
    assert not result.changed, [verdict.claim for verdict in result.verdicts if verdict.changed]
