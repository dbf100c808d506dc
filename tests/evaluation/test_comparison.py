import io
import json
import math
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from rich.console import Console
from stand_in import mean_of, stand_in

import matropy
from matropy import compare, load_evaluation
from matropy._core._random import poisson_weights
from matropy._core._schema import json_schema
from matropy.evaluation import Comparison
from matropy.evaluation._accumulators import REPLICATES, StreamingMeans, StreamingRatio
from matropy.evaluation._comparison_report import report
from matropy.evaluation._comparison_schema import SCHEMA_FILE
from matropy.evaluation._comparison_words import notes

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>[red]'


@pytest.fixture
def make(tmp_path):
    """Make stand-ins, each in a folder of its own."""
    count = iter(range(100))
    return lambda **options: stand_in(tmp_path / str(next(count)), **options)


def comparable(comparison, place=0):
    return {name: metric.differences[place].comparable for name, metric in comparison.metrics.items()}


def test_plain_means_differ_as_their_texts_do(make):
    a, b = make(), make(seed=1)
    found = compare(a, b, seed=7).metrics["matrix_entropy_calibrated"]
    values = [
        np.array([record.values["matrix_entropy_calibrated"] for record in one.records]) for one in (a, b)
    ]
    differences = values[1] - values[0]
    one = found.differences[0]
    assert one.value == pytest.approx(differences.mean(), rel=1e-12)
    assert one.standard_error == pytest.approx(differences.std(ddof=1) / math.sqrt(30), rel=1e-12)
    weights = np.array([poisson_weights(7, index, REPLICATES) for index in range(30)]).T.astype(float)
    replicates = weights @ differences / weights.sum(axis=1)
    np.testing.assert_allclose(one.ci95, np.percentile(replicates, [2.5, 97.5]), rtol=1e-10)
    streamed = StreamingMeans(1, 7)
    for index, difference in enumerate(differences):
        streamed.update(index, np.array([difference]), 1.0)
    np.testing.assert_allclose(one.ci95, streamed.intervals()[:, 0], rtol=1e-10)
    assert [value.value for value in found.values] == pytest.approx([one.mean() for one in values])


@pytest.mark.parametrize(
    ("metric", "weight"),
    [("bits_per_byte", "bytes"), ("conditional_entropy", "predicted"), ("perplexity", "predicted")],
)
def test_pooled_figures_are_pooled_before_they_are_compared(make, metric, weight):
    a, b = make(), make(seed=1)
    found = compare(a, b).metrics[metric]
    resampled = []
    draws = np.array([poisson_weights(0, index, REPLICATES) for index in range(30)]).T.astype(float)
    for one in (a, b):
        records = list(one.records)
        weights = np.array([getattr(record, weight) for record in records])
        values = np.array([record.values[metric] for record in records])
        values = np.log(values) if metric == "perplexity" else values
        resampled.append((draws @ (values * weights)) / (draws @ weights))
    ends = np.percentile(resampled[1] - resampled[0], [2.5, 97.5])
    means = [mean_of(metric, list(one.records)) for one in (a, b)]
    one = found.differences[0]
    if metric == "perplexity":
        assert found.kind == "ratio"
        assert one.value == pytest.approx(means[1] / means[0])
        np.testing.assert_allclose(one.ci95, np.exp(ends), rtol=1e-10)
        spread = one.value * np.std(resampled[1] - resampled[0])
    else:
        assert found.kind == "difference"
        assert one.value == pytest.approx(means[1] - means[0])
        np.testing.assert_allclose(one.ci95, ends, rtol=1e-10)
        spread = np.std(resampled[1] - resampled[0])
    assert one.standard_error == pytest.approx(spread, rel=0.15)
    assert [value.value for value in found.values] == pytest.approx(means)


def test_each_model_alone_has_the_interval_of_its_evaluation(make):
    a, b = make(), make(seed=1)
    ratio = StreamingRatio(0)
    for record in b.records:
        ratio.update(record.index, record.values["bits_per_byte"] * record.bytes, record.bytes)
    value = compare(a, b).metrics["bits_per_byte"].values[1]
    assert value.value == pytest.approx(ratio.value)
    np.testing.assert_allclose(value.ci95, ratio.interval(), rtol=1e-10)


def test_pairing_finds_a_shift_that_means_alone_would_not(make, tmp_path):
    a, b = make(), make(shift=0.01)
    paired = compare(a, b).metrics["matrix_entropy_calibrated"].differences[0]
    assert paired.ci95 == pytest.approx((0.01, 0.01))
    alone = compare(a, b.with_records(None))
    unpaired = alone.metrics["matrix_entropy_calibrated"].differences[0]
    assert unpaired.ci95[0] < 0 < unpaired.ci95[1]
    errors = [one.summary["matrix_entropy_calibrated"].standard_error for one in (a, b)]
    assert unpaired.standard_error == pytest.approx(math.hypot(*errors))
    assert unpaired.ci95[1] - unpaired.value == pytest.approx(1.96 * unpaired.standard_error)
    ratio = alone.metrics["perplexity"].differences[0]
    assert ratio.value == pytest.approx(b.summary["perplexity"].mean / a.summary["perplexity"].mean)
    assert ratio.ci95[0] * ratio.ci95[1] == pytest.approx(ratio.value**2)
    assert alone.common_texts is None
    assert not any(model.paired for model in alone.models)
    assert "by means alone" in notes(alone)[0]
    assert comparable(alone)["loss"] == "with care"


def test_corpora_that_overlap_in_part(make):
    a, b = make(texts=range(30)), make(texts=range(20, 60), seed=1, corpus="others.jsonl")
    comparison = compare(a, b)
    assert comparison.common_texts == 10
    ours, theirs = list(a.records)[20:], list(b.records)[:10]
    found = comparison.metrics["matrix_entropy"]
    assert found.values[0].value == pytest.approx(mean_of("matrix_entropy", ours))
    # Lengths go by the place in the corpus here, so those of one text differ: shown, and not compared.
    assert found.differences[0].value is None
    means = [mean_of("matrix_entropy_calibrated", records) for records in (ours, theirs)]
    one = comparison.metrics["matrix_entropy_calibrated"].differences[0]
    assert one.comparable == "with care"
    assert one.value == pytest.approx(means[1] - means[0])
    assert "10 common texts (A has 30, B has 40)" in notes(comparison)[0]


def test_the_first_of_a_repeated_text_counts_and_order_does_not(make, tmp_path):
    a, b = make(texts=[0, 1, 2, 1, 0]), make(texts=[2, 1, 0], seed=1, tokens=lambda place: 22 - place)
    lines = (tmp_path / "0" / "texts.jsonl").read_text().splitlines()
    (tmp_path / "0" / "texts.jsonl").write_text("\n".join(reversed(lines)) + "\n")
    comparison = compare(a, b)
    assert comparison.common_texts == 3
    first = [json.loads(line)["values"]["anisotropy"] for line in lines[:3]]
    assert comparison.metrics["anisotropy"].values[0].value == pytest.approx(np.mean(first))


def test_a_text_without_a_value_is_left_out_for_all(make, tmp_path):
    a, b = make(), make(seed=1)
    path = tmp_path / "1" / "texts.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    records[4]["values"]["anisotropy"] = None
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    rest = [record["values"]["anisotropy"] for record in records if record["index"] != 4]
    b = replace(
        b, summary={"anisotropy": replace(b.summary["anisotropy"], mean=float(np.mean(rest)))}
    ).with_records(b.records)
    found = compare(a, b).metrics["anisotropy"]
    ours = [record.values["anisotropy"] for record in a.records if record.index != 4]
    assert found.values[0].value == pytest.approx(np.mean(ours))
    assert found.differences[0].value == pytest.approx(np.mean(rest) - np.mean(ours))


def test_one_common_text_has_no_interval(make):
    one = compare(make(texts=[1]), make(texts=[1], seed=1)).metrics["anisotropy"].differences[0]
    assert one.value is not None
    assert (one.standard_error, one.ci95) == (None, None)


def test_without_a_common_text(make):
    with pytest.raises(ValueError, match="no text is common to 'small', 'large'"):
        compare(make(name="small"), make(name="large", texts=range(50, 60)))


def test_records_of_another_evaluation_are_not_believed(make, tmp_path):
    make()
    make(seed=1)
    (tmp_path / "0" / "texts.jsonl").replace(tmp_path / "1" / "texts.jsonl")
    make(seed=2)
    assert not compare(tmp_path / "1", tmp_path / "2").models[0].paired


@pytest.mark.parametrize(
    ("options", "yes", "care", "no"),
    [
        ({}, 8, 0, 0),
        ({"width": 128}, 6, 1, 1),
        # More tokens for the same bytes: another tokenizer.
        ({"vocabulary": 900, "tokens": lambda place: 30 + place % 7}, 1, 2, 5),
        # The same tokens under another size of vocabulary: that of a tokenizer whose table was padded.
        ({"vocabulary": 264}, 5, 3, 0),
        # Reads half of every text.
        (
            {"max_length": 10, "truncated": 30, "tokens": lambda place: 10, "size": lambda place: 40},
            0,
            0,
            8,
        ),
        # As many tokens of other, somewhat longer stretches.
        ({"vocabulary": 900, "size": lambda place: 82 + 3 * (place % 5)}, 0, 5, 3),
        # Other lengths text by text that add up to the same.
        ({"vocabulary": 900, "tokens": lambda place: 26 - place % 7, "texts": range(28)}, 1, 2, 5),
        ({"settings": {"windowed_texts": 3, "context": 16}}, 4, 2, 2),
        ({"settings": {"drop_bos": True}, "max_length": 256}, 8, 0, 0),
    ],
)
def test_what_may_be_compared(make, options, yes, care, no):
    found = list(comparable(compare(make(), make(seed=1, **options))).values())
    assert (found.count("yes"), found.count("with care"), found.count("no")) == (yes, care, no)


def test_models_of_other_width_are_not_ranked_by_raw_figures(make):
    comparison = compare(make(), make(width=128, seed=1))
    raw = comparison.metrics["matrix_entropy"]
    assert raw.order is None
    assert raw.differences[0].value is None
    assert raw.values[1].value is not None
    assert "widths differ (64 and 128)" in raw.differences[0].because
    assert comparison.metrics["matrix_entropy_calibrated"].order is not None
    assert "matrix_entropy" not in comparison.profiles
    assert list(comparison.metrics)[:2] == ["matrix_entropy_calibrated", "matrix_nuclear_norm_calibrated"]


@pytest.mark.parametrize("metric", matropy.evaluation.METRICS)
def test_every_raw_measure_is_refused_across_widths(make, metric):
    free = {"matrix_entropy_calibrated", "matrix_nuclear_norm_calibrated", "anisotropy"}
    glossary = matropy.evaluation._glossary
    measured = metric in glossary.MEASURES or metric in glossary.CODES
    pair = make(metrics=(metric,)), make(metrics=(metric,), width=65)
    refused = comparable(compare(*pair))[metric] == "no"
    assert refused == (measured and metric not in free)


def test_other_tokens_refuse_the_loss_and_leave_bits_per_byte(make):
    found = compare(make(), make(vocabulary=900, tokens=lambda place: 30 + place % 7)).metrics
    for name in ("loss", "perplexity", "conditional_entropy"):
        assert found[name].differences[0].comparable == "no"
        assert "tokens differ" in found[name].differences[0].because
    assert found["bits_per_byte"].differences[0].comparable == "yes"


def test_without_records_settings_decide(make):
    a = make(records=False)
    assert set(comparable(compare(a, make(records=False, corpus="other.jsonl"))).values()) == {"no"}
    other = comparable(compare(a, make(records=False, vocabulary=900)))
    assert (other["loss"], other["bits_per_byte"], other["matrix_entropy"]) == ("no", "yes", "no")
    cut = comparable(compare(a, make(records=False, max_length=64, truncated=3)))
    assert set(cut.values()) == {"no"}


def test_three_models_and_metrics_that_not_all_have(make):
    few = ("matrix_entropy_calibrated", "loss")
    comparison = compare(make(), make(seed=1, width=128), make(seed=2, metrics=few), names=["x", "y", "z"])
    calibrated = comparison.metrics["matrix_entropy_calibrated"]
    assert sorted(calibrated.order) == ["x", "y", "z"]
    assert len(calibrated.differences) == 2
    assert comparison.metrics["anisotropy"].values[2].value is None
    assert comparison.metrics["anisotropy"].differences[1].value is None
    assert [len(one.depth) for one in comparison.profiles["anisotropy"]] == [3, 3, 0]
    assert comparison.profiles["matrix_entropy_calibrated"][0].depth == [0, 0.5, 1]


def test_the_same_seed_gives_the_same(make):
    a, b = make(), make(seed=1)
    one, again, other = (replace(compare(a, b, seed=seed), created="") for seed in (3, 3, 4))
    assert one == again
    assert one.metrics["loss"].differences[0].ci95 != other.metrics["loss"].differences[0].ci95
    assert one.metrics["loss"].differences[0].value == other.metrics["loss"].differences[0].value


def test_an_evaluation_equals_itself(make):
    comparison = compare(one := make(), one)
    assert [model.name for model in comparison.models] == ["model (1)", "model (2)"]
    for metric in comparison.metrics.values():
        nothing = 1.0 if metric.kind == "ratio" else 0.0
        assert metric.differences[0].ci95 == pytest.approx((nothing, nothing))


def test_names(make, tmp_path):
    make()
    make()
    assert [one.name for one in compare(tmp_path / "0", tmp_path / "1").models] == ["model (0)", "model (1)"]
    assert [one.name for one in compare(tmp_path / "0", make(name="b")).models] == ["model", "b"]
    for names in (["x"], ["x", "x"]):
        with pytest.raises(ValueError, match="names must be 2 different names"):
            compare(tmp_path / "0", tmp_path / "1", names=names)


def test_what_cannot_be_compared(make, tmp_path):
    a = make()
    with pytest.raises(ValueError, match="two evaluations or more, got 1"):
        compare(a)
    with pytest.raises(ValueError, match="no metric in common"):
        compare(a.with_records(None), make(metrics=("rankme",), records=False))
    with pytest.raises(ValueError, match="seed"):
        compare(a, a, seed=-1)
    path = tmp_path / "0" / "evaluation.json"
    content = json.loads(path.read_text())
    content["layers"][1]["metrics"]["anisotropy"]["ci95"] = [2.0, 1.0]
    path.write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=r"evaluation.json is damaged: the interval of anisotropy at layer 1"
    ):
        compare(path, a)
    (tmp_path / "0" / "texts.jsonl").write_text('{"index": "first"}\n')
    with pytest.raises(ValueError, match=r"texts.jsonl, line 1 is damaged"):
        compare(a, a)


def test_saved_file_is_valid_and_complete(make, tmp_path):
    comparison = compare(make(), make(seed=1, width=128))
    folder = comparison.save(tmp_path / "out")
    content = json.loads((folder / "comparison.json").read_text())
    jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text())).validate(content)
    assert content == comparison.to_dict()
    assert (content["format"], content["version"]) == ("matropy.comparison", 1)
    assert sorted(file.name for file in folder.iterdir()) == ["comparison.json", "report.html"]
    with pytest.raises(ValueError, match=r"its format is 'matropy.comparison', not 'matropy.evaluation'"):
        load_evaluation(folder / "comparison.json")


def test_schema_in_the_package_is_that_of_the_types():
    assert json.loads(SCHEMA_FILE.read_text()) == json_schema(Comparison)


def test_table_fits_eighty_columns(make):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(compare(make(), make(seed=1, width=128), make(seed=2, shift=1e-7)).table())
    text = console.export_text()
    lines = text.splitlines()
    assert "matrix_nuclear_norm_calibrated" in text
    assert "not compared" in text
    assert "…" not in text
    assert max(len(line.rstrip()) for line in lines) <= 80
    # One line a model and metric, and those that are not compared last.
    assert text.index("matrix_entropy  ") > text.index("conditional_entropy")


def test_page_says_what_differs_and_what_follows(make):
    html = report(compare(make(), make(width=128, shift=0.3), names=["small", "large"])).to_html()
    for part in (
        "What differs, and can I believe it?",
        "A: small; B: large",
        "B predicts worse than A",
        "The last states of B fill more directions",
        "Shown, not compared",
        "the widths differ (64 and 128); 1 of 8 figures are not compared",
        "relative depth",
        "Differences and what follows from them",
        "The same for all",
    ):
        assert part in html
    assert html.index("Matrix entropy, calibrated") < html.index("Shown, not compared")


def test_page_of_one_model_twice_and_of_scores_alone(make):
    assert "Nothing that matters" in report(compare(make(), make(seed=1))).to_html()
    html = report(compare(*(make(seed=seed, metrics=("loss",)) for seed in (0, 1)))).to_html()
    assert "Layer by layer" not in html
    assert "No figure that says who predicts or compresses better" in html


def test_nothing_from_outside_is_markup(make):
    settings = {HOSTILE: {HOSTILE: [HOSTILE]}, "context": HOSTILE, "windowed_texts": HOSTILE}
    pair = [make(name=HOSTILE + str(i), corpus=HOSTILE + str(i), settings=settings) for i in range(2)]
    comparison = compare(*pair)
    html = report(comparison).to_html()
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(comparison.table())
    assert "[red]" in console.export_text()


WHOLE = ["vendi_score", "code_redundancy", "provenance_statistic"]
LINES = [f"Line {index} of a few that differ{' and go on' * (index % 3)}." for index in range(5)]


@pytest.fixture(scope="module")
def tiny(tiny_model):
    return lambda texts=LINES, **config: matropy.evaluate(
        matropy.load_model(tiny_model("llama", **config), device="cpu"), texts, metrics=WHOLE
    )


def test_figures_of_all_texts_and_codes_are_compared(tiny):
    a, b = tiny(), tiny(rms_norm_eps=0.1)
    found = compare(a, b).metrics
    diversity = found["vendi_score"].differences[0]
    assert diversity.value == pytest.approx(b.summary["vendi_score"].mean - a.summary["vendi_score"].mean)
    assert (diversity.comparable, diversity.standard_error, diversity.ci95) == ("yes", None, None)
    assert found["vendi_score"].values[0].value == a.summary["vendi_score"].mean
    assert found["code_redundancy"].differences[0].comparable == "yes"
    courses = compare(a, b).profiles
    assert courses["code_redundancy"][0].mean == [layer.codes.redundancy for layer in a.layers[1:]]
    assert courses["vendi_score"][1].mean == [layer.metrics["vendi_score"].mean for layer in b.layers]


def test_diversity_of_other_texts_and_codes_of_other_width_are_refused(tiny):
    fewer = compare(tiny(), tiny(LINES[:4])).metrics
    assert fewer["vendi_score"].differences[0].comparable == "no"
    assert fewer["vendi_score"].differences[0].because == "the corpora differ"
    assert fewer["provenance_statistic"].differences[0].comparable == "yes"
    wider = compare(tiny(), tiny(intermediate_size=80)).metrics["code_redundancy"].differences[0]
    assert wider.comparable == "no"
    assert "numbers of gated units" in wider.because
