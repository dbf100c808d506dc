"""A model's answers to prompts."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from group_tasks import answer_together
from scipy.stats import chisquare

import matropy
from matropy._core._errors import InputError
from matropy.lm import _responses as module
from matropy.lm import generate_responses, load_corpus, load_model

TEMPLATE = (
    "{% for turn in messages %}<{{ turn['role'] }}>{{ turn['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<answer>{% endif %}"
)
PROMPTS = ["What?", "A much longer question, to be padded.", "Größe?", "x", "Why is that so?"]


@pytest.fixture
def chat(tiny_model):
    """A tiny model, ``chat("gpt2")``, that has a chat template."""

    def load(architecture="llama", **config):
        model = load_model(tiny_model(architecture, **config), device="cpu")
        model.tokenizer.chat_template = TEMPLATE
        return model

    return load


def lines(folder):
    return [json.loads(line) for line in (folder / "responses.jsonl").read_text().splitlines()]


def greedy(model, prompt, max_new_tokens):
    """What transformers itself answers to one prompt, as token ids."""
    turns = [{"role": "user", "content": prompt}]
    ids = model.tokenizer.apply_chat_template(
        turns, add_generation_prompt=True, return_tensors="pt", return_dict=False
    )
    mask = torch.ones_like(ids)
    answer = model.model.generate(
        ids, attention_mask=mask, do_sample=False, max_new_tokens=max_new_tokens, pad_token_id=258
    )
    return answer[0, ids.shape[1] :]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma3_text", "qwen2"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_temperature_zero_is_greedy_search(chat, tmp_path, architecture, batch_size):
    model = chat(architecture)
    answers = generate_responses(
        model, PROMPTS, tmp_path, max_new_tokens=8, temperature=0, batch_size=batch_size
    )
    expected = [
        model.tokenizer.decode(greedy(model, prompt, 8), skip_special_tokens=True) for prompt in PROMPTS
    ]
    assert list(answers) == expected


def test_what_is_kept(chat, tmp_path):
    model = chat()
    answers = generate_responses(model, PROMPTS, tmp_path, max_new_tokens=6, seed=3, batch_size=2)
    kept = lines(tmp_path)
    assert [line["index"] for line in kept] == [0, 1, 2, 3, 4]
    assert [line["prompt"] for line in kept] == PROMPTS
    assert [line["response"] for line in kept] == list(answers)
    assert all(line["tokens"] == 6 or line["finished"] for line in kept)
    assert set(kept[0]) == {"index", "prompt", "response", "tokens", "finished"}
    assert answers.name == "answers to 5 given texts"
    assert answers.sha256 == load_corpus(tmp_path / "responses.jsonl", field="response").sha256
    assert json.loads((tmp_path / "responses.json").read_text()) == {
        "format": "matropy.responses",
        "version": 1,
        "model": "tiny-llama",
        "sha256": model.sha256,
        "dtype": "float32",
        "chat_template": TEMPLATE,
        "prompts": 5,
        "prompts_sha256": load_corpus(PROMPTS).sha256,
        "max_new_tokens": 6,
        "temperature": 0.7,
        "seed": 3,
    }


def test_an_answer_depends_on_seed_and_index_alone(chat, tmp_path):
    model = chat()
    state = torch.random.get_rng_state()

    def answers(prompts=PROMPTS, **settings):
        return list(generate_responses(model, prompts, tmp_path, max_new_tokens=12, **settings))

    together = answers(batch_size=8)
    assert answers(batch_size=1) == answers(batch_size=2) == together
    assert answers(PROMPTS[:2]) == together[:2]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(one != other for one, other in zip(answers(seed=1), together, strict=True))
    assert len(set(answers(["x"] * 5))) == 5


@pytest.mark.parametrize("temperature", [0.25, 0.7, 3.0])
def test_samples_follow_the_distribution(temperature):
    logits = torch.tensor([1.0, 0.5, 0.0, -1.0, -float("inf")])
    n = 4000
    sampling = module._Sampling(0, temperature, first=7, width=3, dtype="float32")
    drawn = sampling(torch.zeros(n, 5), logits.expand(n, -1)).argmax(-1)
    expected = n * (logits[:4] / temperature).softmax(-1).double().numpy()
    counts = np.bincount(drawn, minlength=5)
    assert counts[4] == 0
    assert chisquare(counts[:4], expected * n / expected.sum()).pvalue > 1e-3


def test_noise_is_a_function_of_seed_prompt_and_step():
    noise = module._gumbel(1, 2, 3, 1000)
    assert np.array_equal(noise, module._gumbel(1, 2, 3, 1000))
    assert np.array_equal(noise[:10], module._gumbel(1, 2, 3, 10))
    others = np.stack([noise, *(module._gumbel(*key, 1000) for key in [(0, 2, 3), (1, 1, 3), (1, 2, 2)])])
    assert np.abs(np.corrcoef(others) - np.eye(4)).max() < 0.15
    assert noise.dtype == np.float32
    assert abs(noise.mean() - np.euler_gamma) < 0.15


@pytest.mark.parametrize("whose", ["generation config", "tokenizer"])
def test_every_stop_token_ends_an_answer(chat, tmp_path, whose):
    model = chat()
    free = greedy(model, "What?", 8).tolist()
    stop = free[3]
    if whose == "tokenizer":
        model.tokenizer.eos_token = model.tokenizer.convert_ids_to_tokens(stop)
    else:
        model.model.generation_config.eos_token_id = [257, stop]
    (answer,) = generate_responses(model, ["What?"], tmp_path, max_new_tokens=8, temperature=0)
    end = free.index(stop)
    assert answer == model.tokenizer.decode(free[:end], skip_special_tokens=True)
    assert [(line["tokens"], line["finished"]) for line in lines(tmp_path)] == [(end, True)]


def test_empty_answers_are_kept_and_skipped_by_evaluate(chat, tmp_path):
    model = chat()
    model.model.generation_config.eos_token_id = int(greedy(model, "What?", 1)[0])
    answers = generate_responses(model, ["What?", "x"], tmp_path, max_new_tokens=8, temperature=0)
    assert answers.texts == 2
    assert lines(tmp_path)[0] | {"prompt": ""} == {
        "index": 0,
        "prompt": "",
        "response": "",
        "tokens": 0,
        "finished": True,
    }
    evaluation = matropy.evaluate(model, answers, layers="last", metrics=["loss"])
    assert evaluation.corpus.name == "answers to 2 given texts"
    assert [(text.index, text.reason) for text in evaluation.texts.skipped] == [
        (0, "shorter than two tokens")
    ]


def test_settings_that_a_model_brings_are_left_out_and_left_alone(chat, tmp_path):
    model = chat()
    plain = list(generate_responses(model, PROMPTS, tmp_path, max_new_tokens=12, temperature=0))
    own = model.model.generation_config
    own.repetition_penalty, own.no_repeat_ngram_size, own.do_sample, own.top_k = 5.0, 1, True, 3
    assert list(generate_responses(model, PROMPTS, tmp_path, max_new_tokens=12, temperature=0)) == plain
    assert model.model.generation_config is own


def test_plain_continuation(chat, tmp_path):
    model = chat("gemma3_text")
    model.tokenizer.chat_template = None
    with pytest.raises(InputError, match=r"tiny-gemma3_text has no chat template.*--no-chat-template"):
        generate_responses(model, PROMPTS, tmp_path)
    (answer,) = generate_responses(
        model, ["x"], tmp_path, max_new_tokens=5, temperature=0, chat_template=False
    )
    ids = model.tokenizer("x", return_tensors="pt")["input_ids"]
    assert ids[0, 0] == model.tokenizer.bos_token_id
    whole = model.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=5)
    assert answer == model.tokenizer.decode(whole[0, 2:], skip_special_tokens=True)
    assert json.loads((tmp_path / "responses.json").read_text())["chat_template"] is None


@pytest.fixture
def batches(monkeypatch):
    """Record the first prompt of each batch; interrupt before the third when told to."""
    started = []

    def answer(model, first, *arguments):
        started.append(first)
        if answer.interrupt and len(started) == 3:
            raise KeyboardInterrupt
        return original(model, first, *arguments)

    original = module._answer
    answer.interrupt = False
    monkeypatch.setattr(module, "_answer", answer)
    return started, answer


@pytest.mark.parametrize("left", [b"", b'{"index":4,"pro', b"first of two"])
def test_resume_goes_on_where_it_was_stopped(chat, tmp_path, batches, left):
    started, answer = batches
    model = chat()
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    settings = {"max_new_tokens": 6, "batch_size": 2}
    expected = generate_responses(model, PROMPTS + PROMPTS, whole, **settings)
    complete = (whole / "responses.jsonl").read_bytes()
    started.clear()
    answer.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        generate_responses(model, PROMPTS + PROMPTS, stopped, **settings)
    file = stopped / "responses.jsonl"
    assert file.read_bytes() == b"".join(complete.splitlines(keepends=True)[:4])
    with file.open("ab") as stream:
        stream.write(complete.splitlines(keepends=True)[4] if left == b"first of two" else left)
    answer.interrupt = False
    started.clear()
    answers = generate_responses(model, PROMPTS + PROMPTS, stopped, resume=True, **settings)
    assert started == [4, 6, 8]
    assert file.read_bytes() == complete
    assert answers.sha256 == expected.sha256
    started.clear()
    generate_responses(model, PROMPTS + PROMPTS, stopped, resume=True, **settings)
    assert started == []
    assert file.read_bytes() == complete
    generate_responses(model, PROMPTS, stopped, max_new_tokens=2)  # from the start
    assert started == [0]
    assert len(lines(stopped)) == 5


def test_a_batch_is_in_the_file_before_the_next_begins(chat, tmp_path, monkeypatch):
    """So a process that is killed loses one batch."""
    seen = []

    def answer(*arguments):
        seen.append(len(lines(tmp_path)))
        return original(*arguments)

    original = module._answer
    monkeypatch.setattr(module, "_answer", answer)
    generate_responses(chat(), PROMPTS, tmp_path, max_new_tokens=2, batch_size=2)
    assert seen == [0, 2, 4]


CHANGES = {
    "temperature was 0.7 and is 0.5": {"temperature": 0.5},
    "seed was 0 and is 1": {"seed": 1},
    "max_new_tokens was 4 and is 5, seed was 0 and is 2": {"max_new_tokens": 5, "seed": 2},
    "chat_template was .* and is None": {"chat_template": False},
    "prompts was 5 and is 2, prompts_sha256": {"prompts": PROMPTS[:2]},
    "prompts_sha256 was": {"prompts": PROMPTS[::-1]},
    "model was 'tiny-llama' and is 'other'": {"model": "other"},
}


@pytest.mark.parametrize(("message", "change"), CHANGES.items(), ids=CHANGES.keys())
def test_resume_refuses_what_has_changed(chat, tmp_path, message, change):
    model = chat()
    arguments = {"model": model, "prompts": PROMPTS, "max_new_tokens": 4}
    generate_responses(**arguments, output=tmp_path)
    before = (tmp_path / "responses.jsonl").read_bytes()
    if "model" in change:
        change = {"model": replace(model, name=change["model"])}
    with pytest.raises(InputError, match=f"cannot resume the answers in .*: {message}"):
        generate_responses(**(arguments | change), output=tmp_path, resume=True)
    assert (tmp_path / "responses.jsonl").read_bytes() == before


def without_settings(folder):
    (folder / "responses.json").unlink()


def with_cut_settings(folder):
    (folder / "responses.json").write_text("{")


def with_a_line_too_many(folder):
    with (folder / "responses.jsonl").open("a") as stream:
        stream.write((folder / "responses.jsonl").read_text().splitlines(keepends=True)[0])


def with_a_damaged_line(folder):
    whole = (folder / "responses.jsonl").read_text()
    (folder / "responses.jsonl").write_text(whole.replace('"index":1', '"index":"1"'))


def with_another_prompt(folder):
    whole = (folder / "responses.jsonl").read_text()
    (folder / "responses.jsonl").write_text(whole.replace("What?", "Who?"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_settings, "cannot resume: .*responses.json, which says how the answers were made"),
        (with_cut_settings, "cannot resume: .*responses.json, which says how the answers were made"),
        (with_a_line_too_many, "line 6 of .*responses.jsonl is not the answer to prompt 5"),
        (with_a_damaged_line, "line 2 of .*responses.jsonl is not the answer to prompt 1"),
        (with_another_prompt, "line 1 of .*responses.jsonl is not the answer to prompt 0"),
    ],
)
def test_resume_refuses_what_is_damaged(chat, tmp_path, damage, message):
    model = chat()
    generate_responses(model, PROMPTS, tmp_path, max_new_tokens=4)
    damage(tmp_path)
    with pytest.raises(InputError, match=message):
        generate_responses(model, PROMPTS, tmp_path, max_new_tokens=4, resume=True)


def test_resume_with_nothing_there_starts(chat, tmp_path):
    assert len(generate_responses(chat(), PROMPTS, tmp_path / "new", max_new_tokens=2, resume=True)) == 5


def test_prompts_of_a_file(chat, tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_text("\n".join(json.dumps({"prompt": prompt}) for prompt in PROMPTS))
    model = chat()
    answers = generate_responses(model, file, tmp_path, max_new_tokens=3)
    assert answers.name == "answers to questions.jsonl"
    assert list(answers) == list(generate_responses(model, PROMPTS, tmp_path, max_new_tokens=3))


BAD = [
    ({"temperature": -0.1}, InputError, "temperature must be 0 or a positive number, got -0.1"),
    ({"temperature": float("nan")}, InputError, "temperature must be 0 or a positive number, got nan"),
    ({"temperature": float("inf")}, InputError, "temperature must be 0 or a positive number, got inf"),
    ({"max_new_tokens": 0}, ValueError, "max_new_tokens must be at least 1, got 0"),
    ({"max_new_tokens": 1.5}, TypeError, "max_new_tokens must be an integer"),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
    ({"seed": -1}, ValueError, "seed must be between 0 and"),
    ({"prompts": ["x", " \n"]}, InputError, "prompt 1 is blank"),
    ({"prompts": []}, InputError, "holds no text"),
    ({"prompts": [1]}, TypeError, "must hold strings only"),
    (
        {"prompts": ["x", "y" * 110], "max_new_tokens": 10},
        InputError,
        "prompt 1 has 124 tokens, which with max_new_tokens=10 is more than the 128 that tiny-llama can hold",
    ),
    ({"prompts": ["x"], "max_new_tokens": 114}, InputError, "prompt 0 has 15 tokens"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD, ids=[message for _, _, message in BAD])
def test_bad_input_before_any_work(chat, tmp_path, arguments, error, message):
    arguments = {"prompts": PROMPTS} | arguments
    with pytest.raises(error, match=message):
        generate_responses(chat(), output=tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_a_template_that_fails(chat, tmp_path):
    model = chat()
    model.tokenizer.chat_template = "{{ raise_exception('no user turns') }}"
    with pytest.raises(InputError, match="the chat template of tiny-llama fails: no user turns"):
        generate_responses(model, PROMPTS, tmp_path)


def test_logits_that_are_nan(chat, tmp_path):
    model = chat()
    torch.nn.init.constant_(model.model.get_output_embeddings().weight, float("nan"))
    with pytest.raises(InputError, match=r"the logits are NaN \(computed in float32\)"):
        generate_responses(model, PROMPTS, tmp_path, temperature=0)
    assert model.model.generation_config.eos_token_id == 257


@pytest.mark.model
def test_a_real_model_answers(smollm2, tmp_path):
    prompts = ["What is 7 times 8?", "Say hello.", "Explain in one sentence why the sky is blue."]
    answers = generate_responses(smollm2, prompts, tmp_path, max_new_tokens=16, temperature=0)
    expected = [
        smollm2.tokenizer.decode(greedy(smollm2, prompt, 16), skip_special_tokens=True) for prompt in prompts
    ]
    assert list(answers) == expected
    assert expected[0].startswith("To find 7 times 8")
    sampled = generate_responses(smollm2, prompts, tmp_path, max_new_tokens=16)
    assert list(sampled) != expected
    evaluation = matropy.evaluate(smollm2, sampled, layers="last", metrics=["matrix_nuclear_norm", "loss"])
    assert evaluation.corpus.sha256 == sampled.sha256
    assert 0 < evaluation.summary["matrix_nuclear_norm"].mean < 1


def test_settings_beside_the_answers_are_valid_and_kept_with_the_figures(chat, tmp_path):
    import json

    import jsonschema

    from matropy import evaluate
    from matropy._core._schema import json_schema
    from matropy.lm._responses import ResponseSettings
    from matropy.lm._schema import SCHEMA_FILE

    schema = json.loads(SCHEMA_FILE.read_text())
    assert schema == json_schema(ResponseSettings)
    model = chat()
    answers = generate_responses(model, ["One?", "Two?"], tmp_path, max_new_tokens=8)
    settings = json.loads((tmp_path / "responses.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(settings)
    made = evaluate(model, answers, layers="last").settings["made_texts"]
    assert made.items() <= settings.items()
    assert made["temperature"] == 0.7


@pytest.mark.parametrize("prompts", [PROMPTS, PROMPTS[:1]], ids=["both work", "one is idle"])
def test_a_group_gives_every_process_the_answers_of_one(tiny_model, two_processes, prompts, tmp_path):
    options = {"max_new_tokens": 4, "batch_size": 2}
    folder, together, alone = str(tiny_model("llama")), tmp_path / "together", tmp_path / "alone"
    first, second = two_processes.run(answer_together, folder, prompts, str(together), options)
    assert first == second == answer_together(folder, prompts, str(alone), options)
    assert lines(together) == lines(alone)
    # Cut in the middle of the second batch, the two go on where one has left off.
    file = alone / "responses.jsonl"
    complete = file.read_bytes()
    file.write_bytes(b"".join(complete.splitlines(keepends=True)[:3]))
    options["resume"] = True
    assert two_processes.run(answer_together, folder, prompts, str(alone), options) == [first, first]
    assert file.read_bytes() == complete


@pytest.mark.parametrize(
    ("prompts", "message"), [(["x", " "], "prompt 1 is blank"), (PROMPTS, "cannot resume the answers")]
)
def test_what_is_wrong_stops_both_processes(tiny_model, two_processes, prompts, message, tmp_path):
    folder = str(tiny_model("llama"))
    answer_together(folder, ["another"], str(tmp_path), {"max_new_tokens": 2})
    results = two_processes.run(
        answer_together, folder, prompts, str(tmp_path), {"max_new_tokens": 2, "resume": True}
    )
    assert all(message in result for result in results)
