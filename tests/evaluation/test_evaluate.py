import math

import numpy as np
import pytest
import torch

import matropy.metrics as metrics
from matropy import evaluate, load_model
from matropy.evaluation import METRICS
from matropy.evaluation._glossary import MEASURES, SCORES
from matropy.lm import load_corpus

TEXTS = [
    "Entropy measures how surprised one should be.",
    "A matrix is a table of numbers, and a spectrum is what it does.",
    "Nothing.",
    "Compression is understanding; understanding is compression, or so they say in the hallway.",
]


@pytest.fixture(scope="module")
def model(tiny_model):
    return load_model(tiny_model("llama"), device="cpu")


@pytest.fixture(scope="module")
def evaluation(model):
    return evaluate(model, TEXTS)


def states_of(model, text):
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    with torch.no_grad():
        output = model.model(ids, output_hidden_states=True)
    return ids[0], [state[0] for state in output.hidden_states], output.logits[0]


def test_every_layer_and_metric_equals_the_plain_computation(model):
    evaluation = evaluate(model, TEXTS, metrics="all")
    assert [layer.index for layer in evaluation.layers] == [0, 1, 2, 3]
    assert [layer.name for layer in evaluation.layers] == ["embedding", "layer 1", "layer 2", "final norm"]
    functions = {
        "matrix_nuclear_norm": metrics.matrix_nuclear_norm,
        "matrix_nuclear_norm_exact": lambda h: metrics.matrix_nuclear_norm(h, method="exact"),
        "matrix_entropy": metrics.matrix_entropy,
        "matrix_entropy_relative": lambda h: metrics.matrix_entropy(h, relative=True),
        "effective_rank": metrics.effective_rank,
        "renyi_entropy_2": lambda h: metrics.matrix_entropy(h, order=2),
        "participation_ratio": lambda h: metrics.effective_rank(h, order=2),
        "anisotropy": metrics.anisotropy,
        "rankme": metrics.rankme,
        "alpha_req": lambda h: metrics.alpha_req(h) if len(h) > 8 else torch.tensor(math.nan),
        "matrix_nuclear_norm_calibrated": lambda h: (
            metrics.matrix_nuclear_norm(h) / metrics.isotropic_null(*h.shape).matrix_nuclear_norm
        ),
        "matrix_entropy_calibrated": lambda h: (
            metrics.matrix_entropy(h) / metrics.isotropic_null(*h.shape).matrix_entropy
        ),
    }
    assert set(functions) == set(MEASURES)
    states = [[state.double() for state in states_of(model, text)[1]] for text in TEXTS]
    for layer in evaluation.layers:
        for name, function in functions.items():
            expected = np.nanmean([float(function(state[layer.index])) for state in states])
            assert layer.metrics[name].mean == pytest.approx(expected, rel=2e-5), (layer.index, name)


def test_summary_repeats_the_last_hidden_state(evaluation):
    for name in MEASURES:
        assert evaluation.summary[name].mean == evaluation.layers[-1].metrics[name].mean
        assert evaluation.summary[name].ci95 == evaluation.layers[-1].metrics[name].ci95


def test_scores_equal_the_plain_computation(model, evaluation):
    losses, entropies = [], []
    for text in TEXTS:
        ids, _, logits = states_of(model, text)
        log_p = logits[:-1].double().log_softmax(-1)
        losses.append(-log_p.gather(-1, ids[1:, None])[:, 0])
        entropies.append(-(log_p.exp() * log_p).sum(-1))
    pooled = float(torch.cat(losses).mean())
    size = sum(len(text.encode()) for text in TEXTS)
    summary = evaluation.summary
    assert summary["loss"].mean == pytest.approx(np.mean([float(loss.mean()) for loss in losses]), rel=1e-5)
    assert summary["loss"].token_weighted_mean == pytest.approx(pooled, rel=1e-5)
    assert summary["perplexity"].mean == pytest.approx(math.exp(pooled), rel=1e-5)
    assert summary["bits_per_byte"].mean == pytest.approx(
        float(torch.cat(losses).sum()) / math.log(2) / size, rel=1e-5
    )
    assert summary["conditional_entropy"].mean == pytest.approx(float(torch.cat(entropies).mean()), rel=1e-5)


def test_token_weighted_mean_and_standard_error(model, evaluation):
    values = np.array([float(metrics.matrix_entropy(states_of(model, text)[1][-1])) for text in TEXTS])
    weights = [len(model.tokenizer(text)["input_ids"]) for text in TEXTS]
    metric = evaluation.summary["matrix_entropy"]
    assert metric.token_weighted_mean == pytest.approx(np.average(values, weights=weights), rel=1e-5)
    assert metric.standard_error == pytest.approx(values.std(ddof=1) / 2, rel=1e-5)
    assert metric.ci95[0] < metric.mean < metric.ci95[1]


def test_spectrum_falls_and_adds_up_to_one(evaluation):
    for layer in evaluation.layers:
        assert layer.spectrum == sorted(layer.spectrum, reverse=True)
        assert sum(layer.spectrum) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("batch_tokens", [1, 70, 4096])
def test_batching_changes_nothing(model, evaluation, batch_tokens):
    other = evaluate(model, TEXTS, batch_tokens=batch_tokens)
    for name, metric in evaluation.summary.items():
        assert other.summary[name].mean == pytest.approx(metric.mean, rel=1e-4), name


def test_same_seed_same_figures(model, evaluation):
    first, second = evaluation.to_dict(), evaluate(model, TEXTS).to_dict()
    for one in (first, second):
        del one["created"], one["timing"]
    assert first == second


def test_seed_moves_only_the_intervals(model, evaluation):
    other = evaluate(model, TEXTS, seed=1)
    assert other.summary["matrix_entropy"].mean == evaluation.summary["matrix_entropy"].mean
    assert other.summary["matrix_entropy"].ci95 != evaluation.summary["matrix_entropy"].ci95


def test_chosen_layers_and_metrics(model, evaluation):
    some = evaluate(model, TEXTS, layers=[-1, 0], metrics=["rankme", "loss"])
    assert [layer.index for layer in some.layers] == [0, 3]
    assert list(some.summary) == ["rankme", "loss"]
    assert some.summary["rankme"].mean == pytest.approx(evaluation.summary["rankme"].mean, rel=1e-6)
    assert some.layers[0].metrics.keys() == {"rankme"}


def test_the_costly_metrics_are_of_the_last_layer_unless_layers_or_metrics_are_named(model, evaluation):
    everywhere = evaluate(model, TEXTS, metrics="all")
    assert evaluation.settings["last_layer_only"] == ["rankme", "alpha_req"]
    assert everywhere.settings["last_layer_only"] == []
    assert everywhere.summary == evaluation.summary
    for layer, whole in zip(evaluation.layers, everywhere.layers, strict=True):
        for name, metric in whole.metrics.items():
            if name in evaluation.settings["last_layer_only"] and layer.index < 3:
                assert layer.metrics[name].mean is layer.metrics[name].ci95 is None
                assert metric.mean is not None
            else:
                assert layer.metrics[name] == metric
    for options in ({"layers": [1, 3]}, {"layers": "last"}, {"metrics": ["alpha_req", "rankme"]}):
        some = evaluate(model, TEXTS, **options)
        assert some.settings["last_layer_only"] == []
        for layer in some.layers:
            assert layer.metrics["rankme"] == everywhere.layers[layer.index].metrics["rankme"]


def test_metrics_of_a_layer_that_was_not_measured_are_null(model):
    some = evaluate(model, TEXTS, layers=[1], metrics=["rankme"])
    assert some.summary["rankme"].mean is None
    assert some.layers[0].metrics["rankme"].mean is not None


def test_scores_alone_measure_no_layer(model):
    scores = evaluate(model, TEXTS, metrics=list(SCORES))
    assert scores.layers == []
    assert list(scores.summary) == list(SCORES)


def test_short_and_repeated_texts_are_skipped_with_their_reason(model):
    evaluation = evaluate(model, ["", "a", *TEXTS, "aaaaaaaa"])
    assert evaluation.texts.scored == 4
    assert [(text.index, text.reason) for text in evaluation.texts.skipped] == [
        (0, "shorter than two tokens"),
        (1, "shorter than two tokens"),
        (6, "a token's state equals the mean of all tokens (layer 0)"),
    ]


def test_nothing_to_score_is_an_error(model):
    with pytest.raises(ValueError, match=r"no text .* can be scored: shorter than two tokens"):
        evaluate(model, ["a", "b"])


def test_two_tokens_leave_the_calibrated_entropy_undefined(model):
    evaluation = evaluate(model, ["ab"])
    assert evaluation.summary["matrix_entropy_calibrated"].mean is None
    assert evaluation.summary["alpha_req"].mean is None
    assert evaluation.summary["matrix_entropy"].mean == pytest.approx(0, abs=1e-5)
    assert evaluation.summary["matrix_entropy"].standard_error is None
    assert evaluation.summary["matrix_entropy"].ci95 is None


def test_truncation_is_counted(model):
    evaluation = evaluate(model, TEXTS, max_length=20)
    assert evaluation.corpus.truncated == 3
    assert evaluation.corpus.max_length == 20
    ids, _, logits = states_of(model, TEXTS[0][:20])
    alone = evaluate(model, TEXTS[:1], max_length=20)
    loss = torch.nn.functional.cross_entropy(logits[:-1], ids[1:])
    assert alone.summary["loss"].mean == pytest.approx(float(loss), rel=1e-5)
    assert alone.summary["bits_per_byte"].mean == pytest.approx(float(loss) * 19 / math.log(2) / 20, rel=1e-5)


def test_texts_beyond_the_context_are_windowed(model):
    text = " ".join(TEXTS * 2)[:300]
    evaluation = evaluate(model, [text, TEXTS[0]])
    assert evaluation.settings["windowed_texts"] == 1
    assert evaluation.corpus.truncated == 0
    alone = evaluate(model, [text], metrics=["matrix_entropy", "loss"])
    windows = [text[i : i + 100] for i in (0, 100, 200)]
    parts = evaluate(model, windows, metrics=["matrix_entropy", "loss"])
    for name in ("matrix_entropy", "loss"):
        assert alone.summary[name].mean == pytest.approx(parts.summary[name].mean, rel=1e-5)


def test_drop_bos_leaves_out_the_first_state(tiny_model):
    model = load_model(tiny_model("gemma"), device="cpu")
    kept = evaluate(model, TEXTS[:1])
    dropped = evaluate(model, TEXTS[:1], drop_bos=True)
    states = states_of(model, TEXTS[0])[1][-1]
    assert kept.summary["matrix_entropy"].mean == pytest.approx(
        float(metrics.matrix_entropy(states)), rel=1e-5
    )
    assert dropped.summary["matrix_entropy"].mean == pytest.approx(
        float(metrics.matrix_entropy(states[1:])), rel=1e-5
    )
    assert dropped.summary["loss"].mean == kept.summary["loss"].mean


def test_hidden_states_that_are_not_finite_name_the_layer(tiny_model):
    broken = load_model(tiny_model("llama"), device="cpu")
    with torch.no_grad():
        broken.model.model.layers[1].mlp.down_proj.weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="hidden states of layer 2 are not finite for text"):
        evaluate(broken, TEXTS)


def test_memory_holds_one_layer_at_a_time(model):
    """Hidden states are handed over while the model runs: none is alive when the next comes."""
    import weakref

    from matropy.lm._hidden_states import run_layers

    alive, most = [], 0

    def look(layer, states):
        nonlocal most
        alive.append(weakref.ref(states.untyped_storage()))
        most = max(most, sum(reference() is not None for reference in alive))

    run_layers(model, torch.arange(24)[None], [0, 1, 2, 3], look)
    assert len(alive) == 4
    assert most <= 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": [7]}, "layer 7 is not there"),
        ({"layers": "first"}, "layers must be 'all', 'last' or indices"),
        ({"layers": []}, "layers is empty"),
        ({"metrics": ["entropy"]}, "metrics must be one of"),
        ({"metrics": []}, "metrics is empty"),
        ({"metrics": "rankme"}, "metrics must be one of None, 'all'; got 'rankme'"),
        ({"max_length": 1}, "max_length must be at least 2"),
        ({"batch_tokens": 0}, "batch_tokens must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_wrong_options_are_refused_before_any_work(model, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(model, TEXTS, **options)


def test_diversity_is_that_of_the_mean_states_of_all_texts(model, evaluation):
    means = [[state.mean(0).numpy() for state in states_of(model, text)[1]] for text in TEXTS]
    for layer in evaluation.layers:
        expected = metrics.vendi_score(np.array([text[layer.index] for text in means]))
        assert layer.metrics["vendi_score"].mean == pytest.approx(expected, rel=1e-5)
        assert layer.metrics["vendi_score"].ci95 is None
    summary = evaluation.summary["vendi_score"]
    assert summary.mean == evaluation.layers[-1].metrics["vendi_score"].mean
    assert (summary.token_weighted_mean, summary.standard_error, summary.ci95) == (None, None, None)
    assert summary.unit == "texts"


def test_provenance_statistic_is_surprise_less_entropy(model, evaluation):
    gaps = []
    for text in TEXTS:
        ids, _, logits = states_of(model, text)
        log_p = logits[:-1].log_softmax(-1)
        surprise = -log_p.gather(1, ids[1:, None])[:, 0]
        gaps.append(float((surprise + (log_p.exp() * log_p).sum(-1)).mean()))
    assert evaluation.summary["provenance_statistic"].mean == pytest.approx(np.mean(gaps), abs=1e-5)


def test_glossary_names_every_metric_fully():
    for name, metric in METRICS.items():
        assert metric.title, name
        for sentence in (metric.what, metric.null, metric.caution):
            assert sentence.endswith("."), name


@pytest.mark.model
def test_real_model_on_real_text(smollm2, data):
    corpus = load_corpus(data("matrix-nuclear-norm/wikipedia_48.jsonl"), limit=1)
    summary = evaluate(smollm2, corpus, max_length=256, layers="last").summary
    assert summary["matrix_nuclear_norm"].mean == pytest.approx(0.7159, abs=5e-4)
    assert summary["matrix_entropy"].mean == pytest.approx(3.8524, abs=2e-3)
    assert summary["loss"].mean == pytest.approx(2.6778, abs=1e-3)
