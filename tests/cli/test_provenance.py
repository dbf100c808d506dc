"""``matropy provenance``: verdicts, files, attribution, accusation, and one sentence for bad input."""

from __future__ import annotations

import json
import math
import re
import shutil

import jsonschema
import numpy as np
import pytest

pytest.importorskip("transformers")

from matropy._core._schema import json_schema
from matropy.cli import main
from matropy.cli._provenance_result import Provenance
from matropy.cli._provenance_schema import SCHEMA_FILE
from matropy.information import TokenRecord, provenance_test, token_record
from matropy.lm import load_model

TEXT = "Entropy measures surprise, and a spectrum shows where it lies. "


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command in an empty folder that holds two texts: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "b.txt").write_text(TEXT[::-1])

    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main(["provenance", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return stopped.value.code or 0, captured.out, captured.err

    return call


def result_in(folder):
    return json.loads((folder / "matropy-provenance/provenance.json").read_text())


def test_a_text_and_its_null(run, tiny_model, tmp_path):
    folder = tiny_model("llama")
    code, out, err = run(
        "a.txt", "--model", folder, "--device", "cpu", "--alpha", 0.01, "--temperature", 0.8, "--top-k", 200
    )
    assert code == 0, err
    content = result_in(tmp_path)
    jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text())).validate(content)
    assert (content["format"], content["version"]) == ("matropy.provenance", 1)
    assert content["null"] == "a sample of tiny-llama at temperature 0.8, top-k 200"
    text = content["texts"][0]
    model = load_model(folder, device="cpu")
    ids = model.tokenizer(TEXT)["input_ids"]
    record = TokenRecord.load(tmp_path / "matropy-provenance" / text["record"])
    expected = token_record(model, ids, decoding=record.decoding)
    np.testing.assert_array_equal(record.surprise, expected.surprise)
    result = provenance_test(expected, alpha=0.01)
    assert text["reject"] == result.reject
    assert text["p_values"]["e"] == result.p_value
    assert text["p_values"]["bound"] == provenance_test(expected, method="bound").p_value
    assert text["D"] == (pytest.approx(result.D) if math.isfinite(result.D) else None)
    assert (text["tokens"], text["scored"]) == (len(ids), len(ids) - 32)
    assert text["verdict"] in out
    assert "level 0.01" in out
    assert "temperature 0.8, top-k 200" in out
    assert "Null: each text is a sample of tiny-llama at temperature 0.8, top-k 200." in err
    html = (tmp_path / "matropy-provenance/report.html").read_text()
    assert html.startswith("<!doctype html>")
    assert "rejection at level 0.01" in html
    for said in (out, html):
        assert not re.search("written by|wrote", said)


def test_the_schema_is_that_of_the_types():
    assert json.loads(SCHEMA_FILE.read_text()) == json_schema(Provenance)


def test_several_texts_and_lines_are_named(run, tiny_model, tmp_path):
    (tmp_path / "more.jsonl").write_text(
        "".join(json.dumps({"body": TEXT + str(i)}) + "\n" for i in range(3))
    )
    code, out, err = run(
        "more.jsonl", "--field", "body", "--limit", 2, "--model", tiny_model("gpt2"), "--device", "cpu"
    )
    assert code == 0, err
    content = result_in(tmp_path)
    assert [text["name"] for text in content["texts"]] == ["more.jsonl, text 0", "more.jsonl, text 1"]
    assert "The level holds for each text" in out
    assert sorted(path.name for path in (tmp_path / "matropy-provenance/records").iterdir()) == [
        "00000.npz",
        "00001.npz",
    ]


def test_a_token_that_the_decoding_does_not_allow(run, tiny_model, tmp_path):
    code, out, err = run("a.txt", "--model", tiny_model("llama"), "--device", "cpu", "--top-k", 1)
    assert code == 0, err
    text = result_in(tmp_path)["texts"][0]
    assert text["impossible_token"] == text["first_rejection"] == 0
    assert (text["D"], text["z"], text["e_value"]) == (None, None, None)
    assert set(text["p_values"].values()) == {0}
    assert "cannot occur under it" in out


def test_attribution_compares_the_same_bytes(run, tiny_model, tmp_path):
    """One tokenizer puts a token in front, so the same context of 32 tokens is not the same text."""
    folders = tiny_model("llama"), tiny_model("gemma2")
    (tmp_path / "c.txt").write_text("é" + TEXT)
    code, out, err = run("c.txt", "--model", folders[0], "--against", folders[1], "--device", "cpu")
    assert code == 0, err
    attribution = result_in(tmp_path)["texts"][0]["attribution"]
    assert attribution["bytes"] == len(("é" + TEXT).encode()) - 32
    likelihood = {}
    for folder, skipped in zip(folders, (32, 33), strict=True):
        model = load_model(folder, device="cpu")
        ids = model.tokenizer("é" + TEXT)["input_ids"]
        likelihood[model.name] = token_record(model, ids, context=skipped).log_likelihood
    assert attribution["log_likelihood"] == pytest.approx(likelihood, rel=1e-5)
    assert attribution["best"] == max(likelihood, key=likelihood.get)
    assert attribution["verdict"] in out


def test_models_of_one_name(run, tiny_model, tmp_path):
    folder = tiny_model("llama")
    code, _, err = run("a.txt", "--model", folder, "--against", folder, "--device", "cpu")
    assert code == 2
    assert f"--against names the same model as --model: {folder}" in err
    shutil.copytree(folder, tmp_path / "copy" / folder.name)
    copy = tmp_path / "copy" / folder.name
    code, _, err = run("a.txt", "--model", folder, "--against", copy, "--device", "cpu")
    assert code == 0, err
    attribution = result_in(tmp_path)["texts"][0]["attribution"]
    assert attribution["log_e"] == {str(folder): 0, str(copy): 0}
    assert "does not tell them apart" in attribution["verdict"]


def test_a_known_prompt_is_context(run, tiny_model, tmp_path):
    (tmp_path / "prompt.txt").write_text("Tell me.\n")
    folder = tiny_model("llama")
    code, out, err = run("a.txt", "--model", folder, "--device", "cpu", "--prompt", "prompt.txt")
    assert code == 0, err
    text = result_in(tmp_path)["texts"][0]
    assert text["scored"] == len(TEXT)
    assert text["prompt"] == 0
    assert "The prompt is not known" not in out
    model = load_model(folder, device="cpu")
    ids = [*model.tokenizer("Tell me.")["input_ids"], *model.tokenizer(TEXT)["input_ids"]]
    assert text["D"] == pytest.approx(provenance_test(token_record(model, ids, context=8)).D)


def test_of_several_prompts_all_have_to_be_refuted(run, tiny_model, tmp_path):
    p_values = []
    for index, prompt in enumerate(("One.", "Another one.")):
        (tmp_path / f"{index}.txt").write_text(prompt)
        run("a.txt", "--model", tiny_model("llama"), "--device", "cpu", "--prompt", f"{index}.txt")
        p_values.append(result_in(tmp_path)["texts"][0]["p_values"]["e"])
    code, out, err = run(
        "a.txt", "--model", tiny_model("llama"), "--device", "cpu", "--prompt", "0.txt", "--prompt", "1.txt"
    )
    assert code == 0, err
    text = result_in(tmp_path)["texts"][0]
    assert text["p_values"]["e"] == pytest.approx(max(p_values))
    assert text["prompt"] == int(np.argmax(p_values))
    assert "all have to be refuted" in out


def test_a_chat_template_has_to_be_there(run, tiny_model, tmp_path):
    (tmp_path / "prompt.txt").write_text("Tell me.")
    options = ("--device", "cpu", "--prompt", "prompt.txt", "--chat-template")
    code, _, err = run("a.txt", "--model", tiny_model("llama"), *options)
    assert code == 2
    assert "tiny-llama has no chat template" in err
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_model("llama"))
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model("llama"))
    tokenizer.chat_template = "{% for m in messages %}<{{ m['content'] }}>{% endfor %}"
    tokenizer.save_pretrained(tmp_path / "chat")
    model.save_pretrained(tmp_path / "chat")
    code, out, err = run("a.txt", "--model", tmp_path / "chat", *options)
    assert code == 0, err
    assert result_in(tmp_path)["texts"][0]["tokens"] == len("<Tell me.>" + TEXT)
    assert "none was declared" not in out
    code, out, _ = run("a.txt", "--model", tmp_path / "chat", "--device", "cpu")
    assert code == 0
    assert "has a chat template, and none was declared" in out


def test_reference_texts_bound_the_accusation(run, tiny_model, tmp_path):
    lines = [TEXT[i:] + TEXT for i in range(9)] + ["too short to be cut to that length, but long enough"]
    (tmp_path / "people.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    code, out, err = run(
        "a.txt", "--model", tiny_model("llama"), "--device", "cpu", "--reference", "people.jsonl"
    )
    assert code == 0, err
    accusation = result_in(tmp_path)["texts"][0]["accusation"]
    assert accusation["references"] == 9
    assert accusation["p_value"] * 10 == pytest.approx(round(accusation["p_value"] * 10))
    assert "So few references can reach no level below 0.1." in accusation["verdict"]
    assert accusation["verdict"] in out
    assert "bounds the chance of accusing a person" not in out
    (tmp_path / "long.txt").write_text(3 * TEXT[:40])
    code, out, _ = run("long.txt", "--model", tiny_model("llama"), "--device", "cpu", "--reference", "a.txt")
    assert code == 0
    assert "No reference text has" in out


def test_texts_are_cut_and_skipped_with_a_word(run, tiny_model, tmp_path):
    (tmp_path / "short.txt").write_text("Too short.")
    code, out, err = run(
        "a.txt", "short.txt", "--model", tiny_model("llama"), "--device", "cpu", "--max-length", 50
    )
    assert code == 0, err
    content = result_in(tmp_path)
    assert content["texts"][0]["scored"] == 18
    assert content["texts"][0]["truncated"]
    assert [one["name"] for one in content["skipped"]] == ["short.txt"]
    assert "Skipped: short.txt (0 tokens are left to score, of at least 8 (10 tokens" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["absent.txt"], "there is no file absent.txt"),
        (["latin.txt"], "latin.txt is not UTF-8: byte 1"),
        (["empty.txt"], "empty.txt is empty"),
        (["short.txt"], "none of the 1 texts can be scored: 0 tokens are left to score"),
        (["a.txt", "--alpha", "0"], "--alpha must be strictly between 0 and 1, got 0.0"),
        (["a.txt", "--alpha", "1"], "--alpha must be strictly between 0 and 1"),
        (["a.txt", "--temperature", "0"], "temperature must be a positive number"),
        (["a.txt", "--top-k", "0"], "top_k must be at least 1"),
        (["a.txt", "--top-p", "1.5"], "top_p must be above 0 and at most 1"),
        (["a.txt", "--context", "0"], "--context must be at least 1"),
        (["a.txt", "--max-length", "8"], "--max-length must be at least 9"),
        (["a.txt", "--limit", "0"], "limit must be at least 1"),
        (["a.txt", "--chat-template"], "--chat-template needs the prompt"),
        (["a.txt", "--prompt", "empty.txt"], "empty.txt is empty"),
        (["a.txt", "--prompt", "newline.txt"], "a prompt is empty"),
        (["a.txt", "--reference", "absent"], "there is no file absent"),
        (["a.txt", "--against", "absent.gguf"], "there is no file or folder absent.gguf"),
        (["a.txt", "--output", "b.txt"], "cannot write to the output folder b.txt"),
        (["a.txt", "--dtype", "int8"], "dtype must be one of"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_two(run, tiny_model, tmp_path, arguments, sentence):
    (tmp_path / "latin.txt").write_bytes("né".encode("latin-1"))
    (tmp_path / "empty.txt").touch()
    (tmp_path / "newline.txt").write_text("\n")
    (tmp_path / "short.txt").write_text("x")
    code, out, err = run(*arguments, "--model", tiny_model("llama"), "--device", "cpu")
    assert code == 2
    assert sentence in err
    assert err.splitlines()[-1].startswith("matropy: ")
    assert "Traceback" not in err
    assert out == ""


def test_without_a_text_or_torch(run, run_python):
    assert run()[0] == 2
    script = "from matropy.cli import main\nimport sys\nsys.stderr = sys.stdout\n"
    out = run_python(
        script + "try: main(['provenance', 'a.txt'])\nexcept SystemExit as stop: print(stop.code)",
        without=("torch",),
    )
    assert "pip install 'matropy[llm]'" in out
    assert out.splitlines()[-1] == "2"
