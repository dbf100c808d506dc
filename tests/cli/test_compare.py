import json

import pytest
from stand_in import stand_in

from matropy.cli import main


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run ``matropy compare`` beside two evaluations: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    stand_in(tmp_path / "small", name="small")
    stand_in(tmp_path / "large", name="large", seed=1, width=128)

    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main(["compare", *map(str, arguments)])
        captured = capsys.readouterr()
        return stopped.value.code or 0, captured.out, captured.err

    return call


def test_compare_writes_table_json_and_report(run, tmp_path):
    code, out, err = run("small", "large/evaluation.json")
    assert (code, err) == (0, "")
    assert "matrix_entropy_calibrated" in out
    assert "A and B are compared text by text over 30 common texts." in out
    assert "1 of 8 figures are not compared" in out
    assert "matropy-comparison/report.html" in out
    content = json.loads((tmp_path / "matropy-comparison/comparison.json").read_text())
    assert [model["name"] for model in content["models"]] == ["small", "large"]
    assert (tmp_path / "matropy-comparison/report.html").read_text().startswith("<!doctype html>")


def test_several_evaluations_and_options(run, tmp_path):
    stand_in(tmp_path / "third", name="third", seed=2)
    code, _, _ = run("--seed", 5, "--output", "found", "small", "large", "third")
    assert code == 0
    content = json.loads((tmp_path / "found/comparison.json").read_text())
    assert content["seed"] == 5
    assert len(content["models"]) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["small"], "compare needs two evaluations or more, got 1"),
        (["small", "absent"], "cannot read absent: No such file"),
        (["small", "other.json"], "other.json is not an evaluation: its format is 'matropy.study'"),
        (["small", "newer.json"], "newer.json is an evaluation of version 2; this matropy reads version 1"),
        (["small", "edited.json"], "edited.json is damaged: Expected `int`, got `str`"),
        (["small", "cut.json"], "cut.json is not valid JSON"),
        (["small", "elsewhere"], "no text is common to 'small', 'elsewhere'"),
        (["small", "large", "--output", "cut.json"], "cannot write to the output folder cut.json"),
        (["small", "large", "--seed", "-1"], "seed must be at least 0"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_two(run, tmp_path, arguments, sentence):
    content = json.loads((tmp_path / "small/evaluation.json").read_text())
    (tmp_path / "other.json").write_text(json.dumps(content | {"format": "matropy.study"}))
    (tmp_path / "newer.json").write_text(json.dumps(content | {"version": 2}))
    edited = content | {"model": content["model"] | {"width": "wide"}}
    (tmp_path / "edited.json").write_text(json.dumps(edited))
    (tmp_path / "cut.json").write_text(json.dumps(content)[:100])
    stand_in(tmp_path / "elsewhere", name="elsewhere", texts=["another"])
    code, out, err = run(*arguments)
    assert code == 2
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert out == ""
    assert not (tmp_path / "matropy-comparison").exists()


def test_a_json_that_was_moved_alone_is_compared_by_its_means(run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "large/evaluation.json").rename(tmp_path / "elsewhere/large.json")
    code, out, _ = run("small", "elsewhere/large.json")
    assert code == 0
    assert "A and B are compared by means alone" in out


def test_nothing_at_all_is_explained(run):
    code, _, err = run()
    assert code == 2
    assert "evaluation" in err


def test_a_name_cannot_write_to_the_terminal(run, tmp_path):
    stand_in(tmp_path / "bad", name="\x1b[31mred\x1b[0m")
    code, out, _ = run("small", "bad")
    assert code == 0
    assert "\x1b" not in out
    stand_in(tmp_path / "bad", name="\x1b[31mred\x1b[0m", texts=["another"])
    _, _, err = run("small", "bad")
    assert "\x1b" not in err
