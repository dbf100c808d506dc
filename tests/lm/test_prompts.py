"""Prompts from files, and prompts before the items of a data set."""

import json

import pytest

import matropy
from matropy._core._errors import InputError
from matropy.lm import load_prompts, prompt_ablation

ITEMS = [
    {"goal": "Boil an egg.", "sol1": "Use water.", "sol2": "Use sand.", "label": 0},
    {"goal": "Öffne {die} Tür", "sol1": "push\nhard", "sol2": "€", "label": 1},
]
TEXTS = [
    "goal: Boil an egg. solution1: Use water. solution2: Use sand. label: 0",
    "goal: Öffne {die} Tür solution1: push\nhard solution2: € label: 1",
]


@pytest.fixture
def items(tmp_path):
    file = tmp_path / "items.jsonl"
    file.write_text("\n\n".join(map(json.dumps, ITEMS)) + "\n")
    return file


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_prompts(tmp_path, kind):
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "one", "ask": "eins"}\n\n{"prompt": "two", "ask": "zwei"}')
    prompts = load_prompts(kind(file))
    assert (prompts.name, list(prompts), len(prompts)) == ("prompts.jsonl", ["one", "two"], 2)
    assert list(load_prompts(file, field="ask", limit=1)) == ["eins"]


BAD_PROMPTS = {
    "no field": ('{"text": "x", "id": 1}', "line 1: no field 'prompt'; it has 'text', 'id'"),
    "empty": ('{"prompt": "x"}\n{"prompt": ""}', "line 2: field 'prompt' is blank"),
    "blank, behind a blank line": (
        '{"prompt": "x"}\n\n{"prompt": " \\n"}',
        "line 3: field 'prompt' is blank",
    ),
    "cut off": ('{"prompt": "x"}\n{"prom', r"line 2: not valid JSON .*; is the file cut off\?"),
    "a number": ('{"prompt": 1}', "line 1: field 'prompt' must be a string, got int"),
    "nothing": ("", "prompts.jsonl is empty"),
}


@pytest.mark.parametrize(("content", "message"), BAD_PROMPTS.values(), ids=BAD_PROMPTS.keys())
def test_bad_prompts_are_named(tmp_path, content, message):
    (tmp_path / "prompts.jsonl").write_text(content)
    with pytest.raises(InputError, match=rf"prompts.jsonl(, )?{message.removeprefix('prompts.jsonl')}"):
        load_prompts(tmp_path / "prompts.jsonl")


def test_prompts_are_one_file_of_json_lines(tmp_path):
    (tmp_path / "folder.jsonl").mkdir()
    for name in ("prompts.txt", "folder.jsonl"):
        with pytest.raises(InputError, match=rf"one a line in the field 'prompt'; got .*{name}"):
            load_prompts(tmp_path / name)
    with pytest.raises(InputError, match="there is no file"):
        load_prompts(tmp_path / "absent.jsonl")


def test_ablation(items):
    corpora = prompt_ablation(items, ["", "Think."])
    assert list(corpora) == ["", "Think."]
    assert [corpus.name for corpus in corpora.values()] == ["items.jsonl", "items.jsonl after 'Think.'"]
    assert list(corpora[""]) == TEXTS
    assert list(corpora["Think."]) == list(corpora["Think."]) == [f"Think.\n{text}" for text in TEXTS]


def test_ablation_of_other_items(items):
    corpora = prompt_ablation(str(items), ["Judge:"], template="{goal} -> {sol1}", limit=1)
    assert list(corpora["Judge:"]) == ["Judge:\nBoil an egg. -> Use water."]


BAD_ITEMS = {
    "no field": (b'{"goal": "x"}', "items.jsonl, line 1: no field 'sol1'; it has 'goal'"),
    "no field at all": (b"{}", "items.jsonl, line 1: no field 'goal'; it has none"),
    "cut off": (json.dumps(ITEMS[0]).encode() + b'\n\n{"goal', "items.jsonl, line 3: not a JSON object"),
    "no object": (b'["x"]', "items.jsonl, line 1: not a JSON object"),
    "another encoding": (b'{"goal": "\xf6"}', "items.jsonl, line 1: not a JSON object"),
    "nothing": (b"\n", "items.jsonl is empty"),
}


@pytest.mark.parametrize(("content", "message"), BAD_ITEMS.values(), ids=BAD_ITEMS.keys())
def test_bad_items_are_named(items, content, message):
    items.write_bytes(content)
    with pytest.raises(InputError, match=message):
        prompt_ablation(items, ["Think."])


@pytest.mark.parametrize("prompts", [[], "Think.", ["a", "b", "a"]])
def test_ablation_needs_different_prompts(items, prompts):
    with pytest.raises(ValueError, match="prompts must be a sequence of different strings"):
        prompt_ablation(items, prompts)


def test_bad_ablations(items, tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*absent\.jsonl"):
        prompt_ablation(tmp_path / "absent.jsonl", [""])
    with pytest.raises(ValueError, match="template must name a field in braces"):
        prompt_ablation(items, [""], template="goal")
    with pytest.raises(ValueError, match="limit must be at least 1"):
        prompt_ablation(items, [""], limit=0)
    with pytest.raises(InputError, match="prompt 1 must be a string, got int"):
        prompt_ablation(items, ["", 1])
    with pytest.raises(InputError, match="prompt 0 holds a lone surrogate"):
        prompt_ablation(items, ["\ud800"])


@pytest.mark.model
def test_prompts_before_the_papers_items(smollm2, data):
    """A wordier prompt is more tokens, better predicted ones, and other figures of the same items."""
    prompts = [
        "",
        "Choose the better solution.",
        "You are a careful assistant. Explain every step to a child.",
    ]
    corpora = prompt_ablation(data("matrix-nuclear-norm/piqa_valid_200.jsonl"), prompts, limit=4)
    bare = list(corpora[""])
    assert bare[0].startswith("goal: How do I ready a guinea pig cage")
    assert bare[0].endswith("label: 0")
    figures = []
    for prompt, corpus in corpora.items():
        assert [text.removeprefix(prompt).lstrip("\n") for text in corpus] == bare
        evaluation = matropy.evaluate(
            smollm2, corpus, layers="last", metrics=["matrix_nuclear_norm", "matrix_entropy"]
        )
        assert evaluation.texts.scored == 4
        figures.append([evaluation.summary[name].mean for name in evaluation.summary])
    assert all(0 < norm < 1 < entropy for norm, entropy in figures)
    assert len({norm for norm, _ in figures}) == 3
