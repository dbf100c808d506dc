import json
import os
import subprocess
import sys

import pytest
from group_tasks import evaluate_together

from matropy import evaluate, load_evaluation, load_model

TEXTS = [f"Text number {i} " + "goes on " * (i % 4) + "and ends." for i in range(7)] + [
    " ".join(["long"] * 70)
]


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return tmp_path


def launch(launcher, *arguments, cwd):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    command = [sys.executable, "-m", *launcher, "-m", "matropy", "evaluate", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def run_alone(*arguments, cwd):
    command = [sys.executable, "-m", "matropy", "evaluate", *map(str, arguments)]
    subprocess.run(command, cwd=cwd, check=True, capture_output=True)


def figures(folder):
    content = json.loads((folder / "evaluation.json").read_text())
    del content["created"], content["timing"], content["environment"]
    return content


TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc_per_node", "2")
ACCELERATE = ("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
              "--mixed_precision", "no", "--dynamo_backend", "no")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [TORCHRUN, ACCELERATE, ("accelerate.commands.launch", "--cpu")])
def test_launched_processes_give_the_figures_of_one(tiny_model, corpus, launcher):
    common = (tiny_model("llama"), "--text", "texts.jsonl", "--batch-tokens", 90, "--device", "cpu")
    run_alone(*common, "--output", "alone", cwd=corpus)
    done = launch(launcher, *common, "--output", "together", cwd=corpus)
    assert done.returncode == 0, done.stderr[-2000:]
    assert figures(corpus / "together") == figures(corpus / "alone")
    assert (corpus / "together/texts.jsonl").read_text() == (corpus / "alone/texts.jsonl").read_text()
    assert done.stdout.count("matrix_entropy_calibrated") == 1
    assert done.stderr.count("Model: tiny-llama") == 1


@pytest.mark.slow
def test_an_idle_process_and_bad_input_end_cleanly(tiny_model, corpus):
    common = (tiny_model("llama"), "--text", "texts.jsonl", "--device", "cpu")
    done = launch(TORCHRUN, *common, "--limit", 1, "--output", "one", cwd=corpus)
    assert done.returncode == 0, done.stderr[-2000:]
    assert figures(corpus / "one")["texts"]["scored"] == 1
    done = launch(TORCHRUN, *common, "--field", "absent", cwd=corpus)
    assert done.returncode != 0
    assert done.stderr.count("matropy: ") == 1
    assert "no field 'absent'" in done.stderr


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1]], ids=["both work", "one is idle"])
def test_a_group_gives_every_process_the_figures_of_one(tiny_model, two_processes, texts, tmp_path):
    options = {"batch_tokens": 90, "output": str(tmp_path)}
    first, second = two_processes.run(evaluate_together, str(tiny_model("llama")), texts, options)
    assert first == second
    alone = evaluate(load_model(tiny_model("llama"), device="cpu"), texts, batch_tokens=90).to_dict()
    assert first["texts"] == alone["texts"]
    assert first["settings"] == alone["settings"]
    for name, metric in alone["summary"].items():
        for key, value in metric.items():
            ours = first["summary"][name][key]
            assert ours == (value if value is None or key == "unit" else pytest.approx(value, rel=1e-6)), name
    for ours, theirs in zip(first["layers"], alone["layers"], strict=True):
        assert ours["spectrum"] == pytest.approx(theirs["spectrum"], rel=1e-6)
    assert load_evaluation(tmp_path).to_dict() == first
    assert len([*load_evaluation(tmp_path).records]) == len(texts)


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [(["x", "y"], {}, "can be scored"), (TEXTS, {"layers": [9]}, "layer 9 is not there")],
)
def test_what_is_wrong_stops_every_process(tiny_model, two_processes, texts, options, message):
    results = two_processes.run(evaluate_together, str(tiny_model("llama")), texts, options)
    assert all(message in result for result in results)


def test_a_broken_state_in_one_process_stops_both(tiny_model, two_processes, tmp_path):
    (tmp_path / "resume.npz").write_bytes(b"no archive")
    options = {"output": str(tmp_path), "resume": True}
    results = two_processes.run(evaluate_together, str(tiny_model("llama")), TEXTS, options)
    assert all("is damaged; start without --resume" in result for result in results)
