import json
from dataclasses import replace

import jsonschema
import pytest

from matropy import evaluate, load_evaluation, load_model
from matropy._core._schema import json_schema
from matropy.evaluation._evaluation import Evaluation
from matropy.evaluation._schema import SCHEMA_FILE


@pytest.fixture(scope="module")
def evaluation(tiny_model):
    model = load_model(tiny_model("llama"), device="cpu")
    return evaluate(model, ["ab", "Two texts and a short one."], max_length=64)


@pytest.fixture
def saved(evaluation, tmp_path):
    return evaluation.save(tmp_path / "out")


def test_saved_file_is_valid_and_complete(saved):
    content = json.loads((saved / "evaluation.json").read_text())
    jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text())).validate(content)
    assert list(content) == [
        "format", "version", "created", "matropy", "environment", "model", "corpus", "settings", "texts", "summary",
        "layers", "timing",
    ]  # fmt: skip
    assert content["format"] == "matropy.evaluation"
    assert content["summary"]["alpha_req"]["unit"] == ""
    assert content["model"]["width"] == 32
    assert "NaN" not in (saved / "evaluation.json").read_text()


def test_schema_in_the_package_is_that_of_the_types():
    assert json.loads(SCHEMA_FILE.read_text()) == json_schema(Evaluation)


def test_round_trip(saved, evaluation):
    assert load_evaluation(saved) == evaluation
    assert load_evaluation(saved / "evaluation.json").to_dict() == evaluation.to_dict()


def corrupt(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format="matropy.study"), "is not an evaluation: its format is 'matropy.study'"),
        (lambda c: c.pop("format"), "its format is None"),
        (lambda c: c.update(version=2), "version 2; this matropy reads version 1"),
        (lambda c: c["model"].update(width="wide"), r"is damaged: .*int.*model.width"),
        (lambda c: c.pop("summary"), "missing required field `summary`"),
        (lambda c: c["layers"][0]["metrics"]["rankme"].update(ci95=[1.0]), "damaged"),
    ],
)
def test_other_and_damaged_files_are_refused_in_one_sentence(saved, change, message):
    corrupt(saved / "evaluation.json", change)
    with pytest.raises(ValueError, match=message):
        load_evaluation(saved)


def test_missing_and_cut_files(saved):
    with pytest.raises(ValueError, match=r"cannot read .*No such file"):
        load_evaluation(saved / "other.json")
    path = saved / "evaluation.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="is not valid JSON"):
        load_evaluation(path)
    path.write_text("[1, 2]")
    with pytest.raises(ValueError, match="is not an evaluation"):
        load_evaluation(path)


def test_a_failed_save_leaves_the_earlier_files_whole(saved, evaluation, monkeypatch):
    from matropy.evaluation import _evaluation

    before = {file.name: file.read_bytes() for file in saved.iterdir()}

    def full_disk(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_evaluation, "write_atomic", full_disk)
    with pytest.raises(OSError, match="No space left"):
        replace(evaluation, matropy="other").save(saved)
    assert {file.name: file.read_bytes() for file in saved.iterdir()} == before
