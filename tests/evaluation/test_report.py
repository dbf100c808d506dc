import io
from dataclasses import replace

import pytest
from rich.console import Console

from matropy import evaluate, load_model
from matropy.evaluation._report import notes, report

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>'


@pytest.fixture(scope="module")
def evaluation(tiny_model):
    model = load_model(tiny_model("llama"), device="cpu")
    texts = [
        "One text that is long enough to be measured.",
        "x",
        "Another text, of another length, is here as well.",
    ]
    return evaluate(model, texts, max_length=45)


def test_page_shows_every_metric_and_stays_small(evaluation):
    html = report(evaluation).to_html()
    assert len(html) < 2_000_000
    for heading in (
        "What was found",
        "Layer by layer",
        "All figures",
        "How to read them",
        "Texts",
        "Settings",
    ):
        assert heading in html
    for title in ("Matrix entropy, calibrated", "RankMe", "Spectral decay", "Bits per byte"):
        assert title in html
    assert "shorter than two tokens" in html


def test_what_only_the_last_layer_has_is_said_and_not_drawn(evaluation):
    said = "RankMe, Spectral decay (α-ReQ): of the last hidden state alone"
    everywhere = evaluate(
        load_model(evaluation.model.path_or_id, device="cpu"), ["Enough text to measure."], metrics="all"
    )
    for one, drawn in ((evaluation, False), (everywhere, True)):
        assert any(said in line for line in notes(one)) is not drawn
        assert ("<figcaption><h3>RankMe</h3>" in report(one).to_html()) is drawn
        console = Console(width=80, record=True, file=io.StringIO())
        console.print(one.table())
        row = next(line for line in console.export_text().splitlines() if "rankme" in line)
        assert any(bar in row for bar in "▁▂▃▄▅▆▇█") is drawn


def test_nothing_from_outside_is_markup(evaluation):
    hostile = replace(
        evaluation,
        model=replace(evaluation.model, name=HOSTILE, path_or_id=HOSTILE),
        corpus=replace(evaluation.corpus, name=HOSTILE),
        settings={**evaluation.settings, HOSTILE: HOSTILE},
    )
    html = report(hostile).to_html()
    assert "<script>alert" not in html
    assert "<img src=x" not in html


def test_table_fits_eighty_columns(evaluation):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(evaluation.table())
    text = console.export_text()
    assert "matrix_nuclear_norm_calibrated" in text
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80


def test_notes_say_what_was_left_out(evaluation):
    said = " ".join(notes(evaluation))
    assert "1 text skipped: shorter than two tokens." in said
    assert "1 text cut to the first 45 tokens." in said
    assert "Only 2 texts scored" in said


def test_page_without_layers(tiny_model):
    model = load_model(tiny_model("llama"), device="cpu")
    html = report(evaluate(model, ["Scores alone."], metrics=["loss"])).to_html()
    assert "Layer by layer" not in html
    assert "Loss" in html


def test_texts_that_stand_apart_are_shown_with_their_beginning(tiny_model):
    from matropy.evaluation._outliers import outliers

    model = load_model(tiny_model("llama"), device="cpu")
    texts = [f"An ordinary text, number {i} of some, says so." for i in range(12)] + [
        f"{HOSTILE} zzzzzz qqqqqq" * 2
    ]
    evaluation = evaluate(model, texts)
    found = outliers(evaluation)
    assert found[0].record.index == 12
    assert abs(found[0].deviations) > 2
    assert [abs(one.deviations) for one in found] == sorted(
        (abs(one.deviations) for one in found), reverse=True
    )
    html = report(evaluation).to_html()
    assert 'href="#text-12"' in html
    assert 'id="text-12"' in html
    assert "&lt;script&gt;alert" in html
    assert "<script>alert" not in html
