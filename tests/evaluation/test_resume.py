import numpy as np
import pytest

from matropy import evaluate, load_evaluation, load_model
from matropy.evaluation import _run


class Killed(BaseException):
    """Stands for Ctrl-C and worse: nothing catches it."""


TEXTS = [f"Text number {i} " + "goes on " * (i % 5) + "and ends." for i in range(12)] + [
    "x",
    " ".join(["long"] * 80),
]
OPTIONS = {"batch_tokens": 100, "max_length": 300}


@pytest.fixture(scope="module")
def model(tiny_model):
    return load_model(tiny_model("llama"), device="cpu")


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return evaluate(model, TEXTS, output=folder, **OPTIONS)


def figures(evaluation):
    content = evaluation.to_dict()
    del content["created"], content["timing"]
    return content


def kill_after(monkeypatch, batches):
    """Let a run end in the middle of a batch, after so many whole ones."""
    measured, left = _run.measure_batch, [batches]

    def measure(*args, **kwargs):
        if not left[0]:
            raise Killed
        left[0] -= 1
        return measured(*args, **kwargs)

    monkeypatch.setattr(_run, "measure_batch", measure)


@pytest.mark.parametrize("batches", [0, 1, 4, 6])
def test_a_killed_run_goes_on_to_the_same_figures(model, whole, tmp_path, monkeypatch, batches):
    with monkeypatch.context() as patch:
        kill_after(patch, batches)
        with pytest.raises(Killed):
            evaluate(model, TEXTS, output=tmp_path, **OPTIONS)
    resumed = evaluate(model, TEXTS, output=tmp_path, resume=True, **OPTIONS)
    assert figures(resumed) == figures(whole)
    assert [*load_evaluation(tmp_path).records] == [*whole.records]
    assert {file.name for file in tmp_path.iterdir()} == {"evaluation.json", "report.html", "texts.jsonl"}


def test_a_run_may_be_killed_again_and_again(model, whole, tmp_path, monkeypatch):
    for attempt in range(20):
        try:
            with monkeypatch.context() as patch:
                kill_after(patch, 2)
                evaluate(model, TEXTS, output=tmp_path, resume=True, **OPTIONS)
            break
        except Killed:
            assert (tmp_path / "resume.npz").exists() or attempt == 0
    assert attempt > 2
    assert figures(load_evaluation(tmp_path)) == figures(whole)


def test_no_batch_is_run_twice(model, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, 3)
        with pytest.raises(Killed):
            evaluate(model, TEXTS, output=tmp_path, **OPTIONS)
    ran, measured = [], _run.measure_batch
    monkeypatch.setattr(_run, "measure_batch", lambda *a, **k: ran.append(1) or measured(*a, **k))
    evaluate(model, TEXTS, output=tmp_path, resume=True, **OPTIONS)
    resumed = len(ran)
    evaluate(model, TEXTS, output=tmp_path, **OPTIONS)
    assert resumed == len(ran) - resumed - 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_length": 200}, "max_length was 300, is 200"),
        ({"seed": 5}, "seed was 0, is 5"),
        ({"layers": "last"}, r"layers was \[0, 1, 2, 3\], is \[3\]"),
        ({"texts": TEXTS[:5]}, "corpus sha256 was"),
        ({"model": "untrained"}, "model was 'tiny-llama', is 'tiny-llama .untrained.'"),
    ],
)
def test_another_run_is_refused_by_what_differs(model, tmp_path, monkeypatch, change, message):
    with monkeypatch.context() as patch:
        kill_after(patch, 2)
        with pytest.raises(Killed):
            evaluate(model, TEXTS, output=tmp_path, **OPTIONS)
    options = {**OPTIONS, **change}
    other = model.untrained() if options.pop("model", None) else model
    with pytest.raises(ValueError, match=f"is another one: .*{message}"):
        evaluate(other, options.pop("texts", TEXTS), output=tmp_path, resume=True, **options)


def test_another_version_and_a_damaged_state_are_refused(model, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, 2)
        patch.setattr(_run, "__version__", "0.0.1")
        with pytest.raises(Killed):
            evaluate(model, TEXTS, output=tmp_path, **OPTIONS)
    with pytest.raises(ValueError, match=r"matropy was '0.0.1', is"):
        evaluate(model, TEXTS, output=tmp_path, resume=True, **OPTIONS)
    state = tmp_path / "resume.npz"
    state.write_bytes(state.read_bytes()[:500])
    with pytest.raises(ValueError, match="is damaged; start without --resume"):
        evaluate(model, TEXTS, output=tmp_path, resume=True, **OPTIONS)


def test_without_resume_a_run_starts_anew(model, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, 2)
        with pytest.raises(Killed):
            evaluate(model, TEXTS[:6], output=tmp_path, **OPTIONS)
    assert figures(evaluate(model, TEXTS, output=tmp_path, **OPTIONS)) == figures(whole)


def test_an_earlier_evaluation_stays_whole_until_the_next_is_done(model, tmp_path, monkeypatch):
    evaluate(model, TEXTS[:4], output=tmp_path, **OPTIONS)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with monkeypatch.context() as patch:
        kill_after(patch, 3)
        with pytest.raises(Killed):
            evaluate(model, TEXTS, output=tmp_path, **OPTIONS)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_resume_needs_a_folder_and_nothing_else(model, whole, tmp_path):
    with pytest.raises(ValueError, match="resume needs the output folder"):
        evaluate(model, TEXTS, resume=True)
    assert figures(evaluate(model, TEXTS, output=tmp_path, resume=True, **OPTIONS)) == figures(whole)


def test_records_hold_every_scored_text(model, whole):
    records = {record.index: record for record in whole.records}
    assert sorted(records) == [*range(12), 13]
    mean = np.mean([record.values["matrix_entropy"] for record in records.values()])
    assert mean == pytest.approx(whole.summary["matrix_entropy"].mean, rel=1e-12)
    bits = sum(record.values["bits_per_byte"] * record.bytes for record in records.values())
    total = sum(record.bytes for record in records.values())
    assert bits / total == pytest.approx(whole.summary["bits_per_byte"].mean, rel=1e-9)
    assert records[3].excerpt == TEXTS[3]
