"""Running: steps survive, results are files that the schema describes, and what changed is told."""

from __future__ import annotations

import importlib.resources
import json
import math

import jsonschema
import pytest

from matropy.reporting import Column, Figure, HeatMap, Link, Series, Table
from matropy.studies import (
    AtLeast,
    Claim,
    Measured,
    Paper,
    Scorecard,
    Study,
    StudyResult,
    catalog,
    study,
    study_all,
)
from matropy.studies._catalog import Method
from matropy.studies._run import Run
from matropy.studies._runner import run_study
from matropy.studies._schema import json_schema

PAPER = Paper("A title", "An author", 2024, arxiv="2401.00001", venue="A venue")


@pytest.fixture
def new_run(tmp_path):
    def make(scale="quick", **settings):
        return Run("a-study", scale, folder=tmp_path, **settings)

    return make


@pytest.fixture
def planted(monkeypatch, tmp_path):
    """Let the first method of the catalog run a given study, whatever is built."""

    def plant(definition):
        monkeypatch.setattr(Method, "available", property(lambda method: method.seed == 1))
        monkeypatch.setattr(Method, "load", lambda method: definition)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        return catalog()[0].study

    return plant


def a_study(x=1.0, *, expected=True, claims=None, counted=None):
    def measure(run):
        if counted is not None:
            run.step("count", lambda: counted.append(run.scale) or len(counted))
        return Measured(
            {"x": x, "undefined": math.nan},
            (Table("A table", (Column("Name"), Column("Value")), (("a", 1.5), (Link("b", "#b"), None))),),
            (
                HeatMap("A map", "x", "y", (1, 2), ("u",), ((1.0, math.nan),)),
                Figure("A figure", "x", "y", (Series("s", (1, 2), (3.0, None)),)),
            ),
        )

    return Study(
        PAPER, claims or (Claim("x is at least one", AtLeast("x", 1.0), expected=expected),), measure
    )


def test_a_step_is_computed_once_and_found_by_the_next_run(new_run):
    calls = []

    def work():
        calls.append(1)
        return {"value": 0.1 + 0.2, "list": (1, 2), "undefined": math.nan}

    first = new_run().step("work", work)
    assert first == {"value": 0.1 + 0.2, "list": [1, 2], "undefined": None}
    assert new_run().step("work", work) == first
    assert len(calls) == 1


@pytest.mark.parametrize("other", [{"scale": "full"}, {"seed": 1}, {"device": "meta"}])
def test_a_step_of_other_settings_is_not_reused(new_run, other):
    new_run().step("work", lambda: "old")
    assert new_run(**other).step("work", lambda: "new") == "new"
    assert new_run().step("work", lambda: "newest") == "old"


def test_a_failed_step_leaves_nothing(new_run, tmp_path):
    def fail():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        new_run().step("work", fail)
    assert new_run().step("work", lambda: 1) == 1
    new_run().forget()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["", "a/b", "..", ".hidden"])
def test_a_step_needs_a_plain_name(new_run, key):
    with pytest.raises(ValueError, match="plain name"):
        new_run().step(key, lambda: 1)


def test_missing_data_is_named(new_run, monkeypatch, tmp_path):
    (tmp_path / "there.txt").write_text("text")
    monkeypatch.setenv("MATROPY_DATA", str(tmp_path))
    run = new_run()
    assert run.data("there.txt") == tmp_path / "there.txt"
    assert run.skipped == {}
    assert run.data("folder", "absent.txt") is None
    monkeypatch.delenv("MATROPY_DATA")
    assert run.data("there.txt") is None
    assert list(run.skipped) == ["folder/absent.txt", "there.txt"]


@pytest.mark.parametrize(
    ("x", "expected", "changed"), [(1, True, False), (0, True, True), (0, False, False), (1, False, True)]
)
def test_a_result_is_changed_when_a_verdict_differs_from_the_record(new_run, x, expected, changed):
    assert run_study(a_study(x, expected=expected), new_run(), title="T").changed is changed


def test_a_smoke_run_changes_nothing(new_run):
    assert not run_study(a_study(0), new_run("smoke"), title="T").changed


def test_a_claim_about_a_value_that_is_never_measured_is_a_mistake(new_run):
    typing_error = a_study(claims=(Claim("y is at least one", AtLeast("y", 1.0)),))
    with pytest.raises(ValueError, match="never measures: y"):
        run_study(typing_error, new_run(), title="T")
    run = new_run()
    run.skip("data", "not there")
    (verdict,) = run_study(typing_error, run, title="T").verdicts
    assert verdict.outcome == "not measured"


def test_what_is_saved_is_described_by_the_schema_and_read_back(new_run, tmp_path):
    result = run_study(a_study(), new_run(), title="T")
    result.save(tmp_path)
    content = json.loads((tmp_path / "study.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    jsonschema.Draft202012Validator(json_schema()).validate(content)
    assert content == result.to_dict()
    assert (content["format"], content["version"], content["values"]["undefined"]) == (
        "matropy.study",
        1,
        None,
    )
    assert StudyResult.load(tmp_path) == result
    assert "x is at least one" in (tmp_path / "report.html").read_text()


def test_a_damaged_result_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot read"):
        StudyResult.load(tmp_path)
    for content in ("{", "[]", '{"format": "matropy.evaluation"}'):
        (tmp_path / "study.json").write_text(content)
        with pytest.raises(ValueError, match="not the result of a study"):
            StudyResult.load(tmp_path)


def test_the_schema_in_the_package_is_that_of_the_types():
    file = importlib.resources.files("matropy.studies") / "study.schema.json"
    assert json.loads(file.read_text("utf-8")) == json_schema(), (
        "regenerate: python -m matropy.studies._schema"
    )


def test_an_interrupted_study_resumes_and_a_finished_one_leaves_only_its_result(planted, tmp_path):
    counted = []

    def interrupted(run):
        run.step("count", lambda: counted.append(1) or 1)
        raise KeyboardInterrupt

    name, output = planted(Study(PAPER, (), interrupted)), tmp_path / "output"
    with pytest.raises(KeyboardInterrupt):
        study(name, output=output)
    planted(a_study(counted=counted))
    study(name, output=output, resume=True)
    assert len(counted) == 1
    assert sorted(file.name for file in output.iterdir()) == ["report.html", "study.json"]
    study(name, output=output)
    assert len(counted) == 2


def test_a_study_refuses_bad_settings(planted, tmp_path):
    name = planted(a_study())
    (tmp_path / "file").write_text("")
    for settings, message in (
        ({"scale": "huge"}, "scale must be one of"),
        ({"seed": -1}, "seed must be"),
        ({"jobs": 0}, "jobs must be"),
        ({"output": tmp_path / "file"}, "cannot write to the output folder"),
    ):
        with pytest.raises(ValueError, match=message):
            study(name, **settings)


def test_the_scorecard_has_all_methods_and_takes_finished_studies(planted, tmp_path):
    counted = []
    planted(a_study(counted=counted))
    scorecard = study_all(output=tmp_path)
    rows = scorecard.methods_table().rows
    assert (len(rows), rows[0][3], rows[1][2]) == (27, 1, "not built yet")
    assert sorted(file.name for file in tmp_path.iterdir() if file.suffix) == [
        "report.html",
        "scorecard.json",
    ]
    assert (tmp_path / catalog()[0].study / "study.json").exists()
    assert study_all(output=tmp_path, resume=True) == scorecard
    assert len(counted) == 1
    study_all("full", output=tmp_path, resume=True)
    assert counted == ["quick", "full"]


def test_a_scorecard_is_changed_with_any_of_its_studies(new_run):
    results = [run_study(a_study(x), new_run(), title="T") for x in (1, 0)]
    assert Scorecard(matropy="0", scale="quick", results=tuple(results)).changed
    assert not Scorecard(matropy="0", scale="quick", results=tuple(results[:1])).changed
