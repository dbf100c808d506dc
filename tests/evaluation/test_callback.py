import json
import math
import os
import random
import subprocess
import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace

import jsonschema
import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)

from matropy import EvaluationCallback, evaluate, load_evaluation
from matropy.evaluation import LayerCollapseWarning
from matropy.evaluation._collapse import find_collapses
from matropy.evaluation._schema import SCHEMA_FILE
from matropy.evaluation._training_report import training_report
from matropy.lm import LanguageModel

TEXTS = [
    "Entropy is what is left when everything is said.",
    "A spectrum tells how many directions are in use.",
    "A third text.",
]
FEW = ["effective_rank", "anisotropy", "loss"]


class Rows(torch.utils.data.Dataset):
    """Sixteen rows of bytes."""

    def __len__(self):
        return 16

    def __getitem__(self, index):
        ids = torch.arange(index, index + 24) * 7 % 256
        return {"input_ids": ids, "labels": ids}


class AtStep(TrainerCallback):
    """Do something to the model, or to the course of training, after one step."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_step_end(self, args, state, control, model, **training):
        if state.global_step == self.step:
            self.action(model, control)


@pytest.fixture
def train(tiny_model, tmp_path):
    """Train a tiny model; give its Trainer and the folder of the evaluations."""

    def run(
        *, steps=4, callback=True, before=(), resume=None, architecture="llama", options=None, **arguments
    ):
        folder = tiny_model(architecture)
        output = tmp_path / "spectra"
        model = AutoModelForCausalLM.from_pretrained(folder)
        defaults = {
            "output_dir": str(tmp_path / "trainer"),
            "max_steps": steps,
            "per_device_train_batch_size": 4,
            "learning_rate": 1e-3,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
            "logging_strategy": "no",
        }
        settings = {"every": 2, "output": output, "metrics": FEW, **(options or {})}
        trainer = Trainer(
            model,
            TrainingArguments(**{**defaults, **arguments}),
            train_dataset=Rows(),
            eval_dataset=Rows(),
            data_collator=default_data_collator,
            processing_class=AutoTokenizer.from_pretrained(folder),
            callbacks=[*before, *([EvaluationCallback(TEXTS, **settings)] if callback else [])],
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer, output

    return run


def steps_in(folder):
    return sorted(int(path.name.removeprefix("step-")) for path in folder.glob("step-*"))


def logged(trainer):
    return [entry["step"] for entry in trainer.state.log_history if "matropy/effective_rank" in entry]


def begin(callback, model, **training):
    """Tell a callback that training begins, without a Trainer."""
    state = SimpleNamespace(global_step=0, epoch=0.0, log_history=[], is_world_process_zero=True)
    callback.on_train_begin(None, state, None, model=model, **training)


def flatten(model, control):
    """Leave one direction to all tokens, in every layer."""
    embedding = model.get_input_embeddings().weight
    direction, lengths = torch.linspace(-1, 1, embedding.shape[1]), torch.linspace(-1, 1, embedding.shape[0])
    with torch.no_grad():
        embedding.copy_(lengths[:, None] * direction)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()


def draw(*_):
    """Use up randomness of every kind."""
    random.random(), np.random.rand(), torch.rand(1)  # noqa: S311


def poison(model, control):
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(math.nan)


def stop(model, control):
    control.should_training_stop = True


def test_evaluates_at_the_start_every_so_many_steps_and_at_the_end(train):
    trainer, folder = train(steps=5, options={"metrics": None})
    assert steps_in(folder) == logged(trainer) == [0, 2, 4, 5]
    schema = json.loads(SCHEMA_FILE.read_text())
    for step in steps_in(folder):
        content = json.loads((folder / f"step-{step:06d}/evaluation.json").read_text())
        jsonschema.validate(content, schema)
        assert content["model"]["name"] == f"tiny-llama, step {step}"
    assert "train_runtime" in trainer.state.log_history[-1]
    html = (folder / "report.html").read_text()
    for title in (
        "Effective rank of every layer",
        "Anisotropy",
        "Loss",
        "Final norm",
        "step-000004/report.html",
    ):
        assert title in html


def test_the_last_evaluation_is_that_of_the_trained_model(train):
    trainer, folder = train()
    model = LanguageModel(trainer.model.eval(), trainer.processing_class, "model", "model")
    expected = evaluate(model, TEXTS, max_length=256, metrics=FEW)
    assert load_evaluation(folder / "step-000004").summary == expected.summary
    entry = next(entry for entry in trainer.state.log_history if entry["step"] == 4)
    assert entry["matropy/loss"] == expected.summary["loss"].mean


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_training_gives_the_same_weights_with_and_without(train, architecture):
    """GPT-2 has dropout, so every random number counts."""
    with_it, _ = train(architecture=architecture, options={"every": 1})
    without, _ = train(architecture=architecture, callback=False)
    pairs = zip(with_it.model.state_dict().values(), without.model.state_dict().values(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_modes_gradients_and_random_states_are_left_alone(tiny_model, tmp_path):
    folder = tiny_model("llama")
    model = AutoModelForCausalLM.from_pretrained(folder).train()
    model.model.layers[1].eval()
    model.model.register_forward_pre_hook(draw)
    ids = torch.arange(24)[None]
    model(input_ids=ids, labels=ids).loss.backward()

    def snapshot():
        return (
            [module.training for module in model.modules()],
            [weight.grad.clone() for weight in model.parameters()],
            [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()],
        )

    before = snapshot()
    callback = EvaluationCallback(TEXTS, output=tmp_path, tokenizer=AutoTokenizer.from_pretrained(folder))
    begin(callback, model)
    modes, gradients, randomness = snapshot()
    assert modes == before[0]
    assert all(torch.equal(*pair) for pair in zip(gradients, before[1], strict=True))
    assert randomness == before[2]


def test_a_collapse_is_told_once_for_each_layer(train):
    with pytest.warns(LayerCollapseWarning) as caught:
        train(steps=6, learning_rate=0.0, before=[AtStep(2, flatten)])
    told = [str(warning.message) for warning in caught if warning.category is LayerCollapseWarning]
    assert len(told) == 4
    assert told[0].startswith(
        "hidden state 0 (embedding) has collapsed by step 4: a text fills 1.0 directions"
    )


def test_the_report_lists_collapses(train):
    with pytest.warns(LayerCollapseWarning):
        _, folder = train(learning_rate=0.0, before=[AtStep(2, flatten)])
    html = (folder / "report.html").read_text()
    assert "has collapsed by step 4" in html
    assert "3 more collapses are listed below." in html


def test_a_model_that_cannot_be_measured_any_more_goes_on_training(train):
    with pytest.warns(LayerCollapseWarning) as caught:
        trainer, folder = train(steps=6, before=[AtStep(3, poison)])
    told = [str(warning.message) for warning in caught if warning.category is LayerCollapseWarning]
    assert [message[:53] for message in told] == ["step 4 could not be evaluated: the hidden states of l"]
    assert trainer.state.global_step == 6
    assert steps_in(folder) == logged(trainer) == [0, 2]
    html = (folder / "report.html").read_text()
    assert "Step 4 could not be evaluated" in html
    assert "1 more evaluations failed after that." in html


def test_a_resumed_training_goes_on_with_its_report(train):
    saving = {"save_strategy": "steps", "save_steps": 2}
    trainer, folder = train(**saving)
    (folder / "step-000001").mkdir()  # what another training has left
    (folder / "step-000004").rename(folder / "gone")
    resumed, _ = train(steps=6, resume=f"{trainer.args.output_dir}/checkpoint-2", **saving)
    assert logged(resumed) == [0, 2, 4, 6]
    html = (folder / "report.html").read_text()
    assert "4 evaluations of 3 texts" in html
    assert "step-000001" not in html


def test_a_resumed_training_leaves_out_what_does_not_compare(train):
    trainer, folder = train(save_strategy="steps", save_steps=2)
    train(resume=f"{trainer.args.output_dir}/checkpoint-2", options={"max_length": 8})
    assert "2 evaluations of 3 texts" in (folder / "report.html").read_text()


def test_a_training_that_stops_early_is_evaluated_at_its_end(train):
    _, folder = train(before=[AtStep(3, stop)])
    assert steps_in(folder) == [0, 2, 3]


def test_the_weights_of_another_step_are_not_evaluated_as_those_of_the_last(train):
    best = {"load_best_model_at_end": True, "metric_for_best_model": "loss", "eval_steps": 2, "save_steps": 2}
    strategies = {"eval_strategy": "steps", "save_strategy": "steps"}
    _, folder = train(before=[AtStep(3, stop)], **best, **strategies)
    assert steps_in(folder) == [0, 2]


def test_other_processes_evaluate_and_write_nothing(tiny_model, tmp_path):
    folder = tiny_model("llama")
    model = AutoModelForCausalLM.from_pretrained(folder)
    state = SimpleNamespace(
        global_step=0, max_steps=9, epoch=0.0, log_history=[], is_world_process_zero=False
    )
    callback = EvaluationCallback(TEXTS, output=tmp_path / "spectra", metrics=["loss"], every=1)
    training = {"model": model, "processing_class": AutoTokenizer.from_pretrained(folder)}
    callback.on_train_begin(None, state, None, **training)
    state.global_step = 1
    callback.on_step_end(None, state, None, **training)
    assert [entry["step"] for entry in state.log_history] == [0, 1]
    assert not (tmp_path / "spectra").exists()


def test_takes_the_tokenizer_of_a_processor_and_the_model_in_an_adapter(tiny_model, tmp_path):
    folder = tiny_model("llama")
    model = AutoModelForCausalLM.from_pretrained(folder)
    adapter = torch.nn.ModuleDict({"inner": model})
    adapter.get_base_model = lambda: model
    processor = SimpleNamespace(tokenizer=AutoTokenizer.from_pretrained(folder))
    callback = EvaluationCallback(TEXTS, output=tmp_path, metrics=["loss"], layers="last")
    begin(callback, adapter, processing_class=processor)
    found = load_evaluation(tmp_path / "step-000000")
    assert [layer.index for layer in found.layers] == [3]
    assert found.settings["metrics"] == ["loss", "effective_rank"]


@pytest.mark.parametrize(("metrics", "alone"), [(None, ["rankme", "alpha_req"]), ("all", [])])
def test_costly_metrics_are_of_the_last_layer_unless_asked_for(tiny_model, tmp_path, metrics, alone):
    folder = tiny_model("llama")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    callback = EvaluationCallback(TEXTS, output=tmp_path, metrics=metrics)
    begin(callback, AutoModelForCausalLM.from_pretrained(folder), processing_class=tokenizer)
    found = load_evaluation(tmp_path / "step-000000")
    assert found.settings["last_layer_only"] == alone
    assert [layer.metrics["rankme"].mean is None for layer in found.layers] == [bool(alone)] * 3 + [False]


def test_evaluates_without_autocast_and_leaves_it_on(tiny_model, tmp_path):
    """As accelerate prepares a model for mixed precision."""
    model = AutoModelForCausalLM.from_pretrained(tiny_model("llama"))
    model._original_forward = model.forward
    model.forward = forward = lambda *args, **kwargs: pytest.fail("the wrapper was called")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model("llama"))
    begin(EvaluationCallback(TEXTS, output=tmp_path), model, processing_class=tokenizer)
    assert model.forward is forward


@pytest.mark.parametrize(
    ("texts", "options", "said"),
    [
        ([], {}, "0 given texts holds no text"),
        ("no/such/file", {}, "there is no file no/such/file"),
        (TEXTS, {"every": 0}, "every must be at least 1, got 0"),
        (TEXTS, {"max_length": 1}, "max_length must be at least 2, got 1"),
        (TEXTS, {"batch_tokens": 0}, "batch_tokens must be at least 1, got 0"),
        (TEXTS, {"metrics": ["entropie"]}, "metrics must be one of .*; got 'entropie'"),
        (TEXTS, {"layers": "middle"}, "layers must be one of 'all', 'last'; got 'middle'"),
        (TEXTS, {"collapse": 1.0}, "collapse must lie between 0 and 1, got 1.0"),
    ],
)
def test_bad_input_is_refused_when_it_is_given(texts, options, said):
    with pytest.raises(ValueError, match=said):
        EvaluationCallback(texts, **options)


def test_what_only_training_shows_is_refused_at_its_start(tiny_model, tmp_path):
    folder = tiny_model("llama")
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with pytest.raises(ValueError, match="needs a tokenizer: give it one"):
        begin(EvaluationCallback(TEXTS, output=tmp_path), model, processing_class=None)
    with pytest.raises(ValueError, match="layer 9 is not there"):
        begin(EvaluationCallback(TEXTS, output=tmp_path, layers=[9]), model, processing_class=tokenizer)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot write to the output folder"):
        begin(EvaluationCallback(TEXTS, output=tmp_path / "file"), model, processing_class=tokenizer)
    with pytest.raises(ValueError, match="no text of 1 given texts can be scored"):
        begin(EvaluationCallback(["x"], output=tmp_path), model, processing_class=tokenizer)
    model.lm_head.weight.ds_id = 0  # as ZeRO-3 marks its shards
    with pytest.raises(ValueError, match="weights are sharded"):
        begin(EvaluationCallback(TEXTS, output=tmp_path), model, processing_class=tokenizer)


def test_importing_matropy_does_not_import_transformers(run_python):
    script = "import sys, matropy, matropy.evaluation\nprint({'torch', 'transformers'} & set(sys.modules))"
    assert run_python(script) == "set()\n"


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_a_missing_extra_is_named(run_python, missing):
    script = """
try:
    from matropy import EvaluationCallback
except ImportError as error:
    print(error)
"""
    said = f"EvaluationCallback needs {missing}, which is not installed: pip install 'matropy[llm]'\n"
    assert run_python(script, without=(missing,)) == said


# The definition of a collapse, on courses of one layer's effective rank; the isotropic rank is 40.


@pytest.fixture(scope="module")
def template(tiny_model):
    folder = tiny_model("llama")
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    return evaluate(
        LanguageModel(model, AutoTokenizer.from_pretrained(folder), "<b>model</b>, step 0", "model"),
        TEXTS,
        metrics=FEW,
    )


def course(template, ranks):
    def evaluation(rank):
        layer = template.layers[1]
        rank_metric = replace(layer.metrics["effective_rank"], mean=rank)
        layer = replace(layer, metrics={**layer.metrics, "effective_rank": rank_metric})
        null = {**template.settings["isotropic_null"], "matrix_entropy": math.log(40)}
        return replace(template, layers=[layer], settings={**template.settings, "isotropic_null": null})

    return {10 * number: evaluation(rank) for number, rank in enumerate(ranks)}


@pytest.mark.parametrize(
    ("ranks", "falls"),
    [
        ([16, 12, 4, 3, 6, 15], []),
        ([16, 1.5, 6, 15], []),  # a dip that healthy training shows
        ([16, 1.6, 1.5, 1.9, 1.5, 1.5, 3], [(20, None)]),  # hovers about the threshold
        ([16, 1.5, 1.5, 4, 1.5, 1.2], [(20, 30), (50, None)]),
        ([2, 32, 1.9, 1.9], [(30, None)]),  # the best comes later
        ([1.4, 1.0, 1.0, 1.3], []),  # never had anything to lose
        ([16, 1.5, None, 1.5], [(30, None)]),
        ([1.0], []),
    ],
)
def test_what_a_collapse_is(template, ranks, falls):
    found = find_collapses(course(template, ranks), 0.2)
    assert [(collapse.step, collapse.recovered_step) for collapse in found] == falls


def test_a_collapse_tells_its_figures(template):
    (collapse,) = find_collapses(course(template, [8, 16, 1.4, 1.5]), 0.2)
    assert str(collapse) == (
        "hidden state 1 (layer 1) has collapsed by step 30: a text fills 1.5 directions, after 16.0 at step 10"
        " (states without structure fill 40)"
    )


def test_report_of_many_evaluations_stays_small_and_shows_no_markup(template):
    ranks = [16 + math.sin(number) for number in range(300)]
    html = training_report(course(template, ranks), [], []).to_html()
    assert len(html) < 400_000
    assert "<b>model" not in html
    assert "step-002990/report.html" in html


@pytest.mark.slow
def test_two_processes_train_and_evaluate_together(tiny_model, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"""
import torch
from transformers import (
    AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments, default_data_collator
)
from matropy import EvaluationCallback
rows = [{{"input_ids": torch.arange(i, i + 24)}} for i in range(16)]
rows = [{{**row, "labels": row["input_ids"]}} for row in rows]
arguments = TrainingArguments(
    "trainer", max_steps=4, per_device_train_batch_size=2, use_cpu=True, report_to="none", save_strategy="no"
)
Trainer(
    AutoModelForCausalLM.from_pretrained({str(tiny_model("llama"))!r}),
    arguments,
    train_dataset=rows,
    data_collator=default_data_collator,
    processing_class=AutoTokenizer.from_pretrained({str(tiny_model("llama"))!r}),
    callbacks=[EvaluationCallback({TEXTS!r}, every=2, output="spectra", batch_tokens=64)],
).train()
""")
    for name, launcher in (
        ("one", []),
        ("two", ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]),
    ):
        (tmp_path / name).mkdir()
        command = [sys.executable, *launcher, str(script)]
        done = subprocess.run(
            command,
            cwd=tmp_path / name,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert steps_in(tmp_path / name / "spectra") == [0, 2, 4]
    one, two = (load_evaluation(tmp_path / name / "spectra/step-000000") for name in ("one", "two"))
    for name, metric in one.summary.items():
        assert two.summary[name].mean == pytest.approx(metric.mean, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "layers", "rate", "fallen"), [(192, 3, 1e-3, set()), (64, 4, 0.1, {1, 2, 3, 4})]
)
def test_real_training_is_quiet_and_a_huge_learning_rate_is_not(tmp_path, width, layers, rate, fallen):
    """On the Python manual: the early dip of a healthy training is no collapse."""
    from matropy.studies._ladder import Rung, _byte_tokenizer, _new_model, _split

    training, held_out = _split(256)
    starts = range(0, len(training) - 256, 256)
    rows = [torch.from_numpy(training[start : start + 256].copy()).long() for start in starts]
    arguments = TrainingArguments(
        str(tmp_path / "trainer"),
        max_steps=100,
        per_device_train_batch_size=8,
        learning_rate=rate,
        warmup_steps=10,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = Trainer(
        _new_model(Rung(width, layers), 256, 0),
        arguments,
        train_dataset=[{"input_ids": row, "labels": row} for row in rows],
        data_collator=default_data_collator,
        processing_class=_byte_tokenizer(),
        callbacks=[EvaluationCallback(held_out[::60], every=10, output=tmp_path / "spectra")],
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.train()
    told = [str(warning.message) for warning in caught if warning.category is LayerCollapseWarning]
    assert {int(message.split()[2]) for message in told} == fallen
