"""Records of tokens beside a softmax in float64, and what makes them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, logsumexp

from matropy.information import Decoding, TokenRecord, token_record

torch = pytest.importorskip("torch")

LAMBDAS = (-0.5, -0.25, -0.1, 0.05, 0.1, 0.2)
FIELDS = ("surprise", "entropy", "variance", "cumulant", "rank", "tokens")
LAWS = [Decoding(), Decoding(0.7), Decoding(1.4, 40), Decoding(1.0, None, 0.9), Decoding(0.8, 100, 0.7)]


def reference(logits, tokens, decoding, lambdas=LAMBDAS):
    """Straight from the definitions, in float64; the support is that of the law in its own precision."""
    allowed = np.isfinite(decoding.apply(logits))
    exact = np.where(allowed, logits.astype(np.float64) / decoding.temperature, -math.inf)
    log_p = log_softmax(exact, axis=-1)
    p = np.exp(log_p)
    finite = np.where(allowed, log_p, 0.0)
    entropy = -(p * finite).sum(-1)
    own = logits[np.arange(len(tokens)), tokens]
    return {
        "surprise": -log_p[np.arange(len(tokens)), tokens],
        "entropy": entropy,
        "variance": (p * (finite + entropy[:, None]) ** 2).sum(-1),
        "cumulant": np.stack([logsumexp((1 - value) * log_p, axis=-1) for value in lambdas], -1),
        "rank": (logits > own[:, None]).sum(-1),
    }


def some_logits(rows=40, vocabulary=49_152, scale=3.0, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    logits = scale * rng.standard_normal((rows, vocabulary)).astype(dtype)
    logits[: rows // 4, 7] += 4 * scale  # some rows are nearly certain
    return logits, rng.integers(vocabulary, size=rows)


@pytest.mark.parametrize("decoding", LAWS, ids=str)
def test_float32_logits_of_a_real_vocabulary(decoding):
    logits, tokens = some_logits(rows=12)
    expected = reference(logits, tokens, decoding)
    for given_logits in (logits, torch.from_numpy(logits)):
        record = TokenRecord.from_logits(given_logits, tokens, decoding=decoding)
        for name, tolerance in (
            ("surprise", 1e-6),
            ("entropy", 1e-6),
            ("variance", 1e-5),
            ("cumulant", 5e-6),
        ):
            np.testing.assert_allclose(getattr(record, name), expected[name], rtol=0, atol=tolerance)
        np.testing.assert_array_equal(record.rank, expected["rank"])


@pytest.mark.parametrize("vocabulary", [2, 3, 50, 257, 1000])
@pytest.mark.parametrize("decoding", LAWS, ids=str)
def test_float64_logits(vocabulary, decoding):
    logits, tokens = some_logits(30, vocabulary, dtype=np.float64) if vocabulary > 7 else (
        np.random.default_rng(0).standard_normal((30, vocabulary)), np.arange(30) % vocabulary)  # fmt: skip
    expected = reference(logits, tokens, decoding)
    record = TokenRecord.from_logits(logits, tokens, decoding=decoding)
    for name in ("surprise", "entropy", "variance", "cumulant"):
        np.testing.assert_allclose(getattr(record, name), expected[name], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    "lambdas", [(0.3,), (1 / 3,), (-1, -0.5, 0.35, 0.9), (0.123456789, -0.2, 0.7), LAMBDAS[::-1]]
)
def test_other_bets(lambdas):
    logits, tokens = some_logits(10, 400, dtype=np.float64)
    record = TokenRecord.from_logits(logits, tokens, decoding=Decoding(top_k=50), lambdas=lambdas)
    expected = reference(logits, tokens, Decoding(top_k=50), lambdas)["cumulant"]
    np.testing.assert_allclose(record.cumulant, expected, atol=1e-11)
    assert record.lambdas == lambdas


@pytest.mark.parametrize("decoding", LAWS, ids=str)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_blocks_of_any_size_give_the_same_bits(decoding, library):
    logits, tokens = some_logits(23, 700)
    logits = torch.from_numpy(logits) if library == "torch" else logits
    whole = TokenRecord.from_logits(logits, tokens, decoding=decoding)
    for block in (1, 4, 100):
        other = TokenRecord.from_logits(logits, tokens, decoding=decoding, block=block)
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(other, name), getattr(whole, name))


@pytest.mark.parametrize("decoding", LAWS, ids=str)
def test_forbidden_tokens_beside_the_vocabulary_change_nothing(decoding):
    logits, tokens = some_logits(10, 300)
    padded = np.pad(logits, ((0, 0), (0, 45)), constant_values=-math.inf)
    bare, beside = (TokenRecord.from_logits(x, tokens, decoding=decoding) for x in (logits, padded))
    for name in FIELDS:
        np.testing.assert_allclose(getattr(beside, name), getattr(bare, name), rtol=1e-6, atol=1e-6)
    assert (bare.vocabulary, beside.vocabulary) == (300, 345)


@given(st.floats(-1e30, 1e30), st.sampled_from(LAWS))
def test_a_shift_of_all_logits_changes_nothing(shift, decoding):
    logits = np.log(np.array([[0.5, 0.25, 0.125, 0.125]]))
    shifted = np.array([[2.0, 1.0, 0.0, -1.0]]) * max(1.0, abs(shift)) + shift
    record = TokenRecord.from_logits(np.concatenate([logits, shifted]), [3, 0], decoding=decoding)
    assert np.isfinite(record.entropy).all()
    assert (record.variance >= 0).all()
    assert (record.surprise >= 0).all()


def test_a_token_outside_the_support_is_infinitely_surprising_and_nothing_else_is():
    logits, _ = some_logits(8, 100, dtype=np.float64)
    record = TokenRecord.from_logits(logits, np.argmin(logits, axis=1), decoding=Decoding(top_k=40))
    assert np.isposinf(record.surprise).all()
    assert np.isfinite(record.cumulant).all()
    assert (record.rank == 99).all()


def test_ties_on_the_edge_of_the_nucleus_are_all_allowed():
    logits = np.log(np.array([[0.4, 0.2, 0.2, 0.1, 0.1]] * 5))
    record = TokenRecord.from_logits(logits, [0, 1, 2, 3, 4], decoding=Decoding(top_p=0.5))
    assert np.isfinite(record.surprise).tolist() == [True, True, True, False, False]
    np.testing.assert_allclose(np.exp(-record.surprise[:3]), [0.5, 0.25, 0.25])


def test_half_precision_is_computed_in_float32_and_gradients_are_left_alone():
    logits, tokens = some_logits(10, 300)
    half = torch.from_numpy(logits).bfloat16().requires_grad_()
    record = TokenRecord.from_logits(half, torch.from_numpy(tokens))
    expected = TokenRecord.from_logits(half.detach().float(), tokens)
    np.testing.assert_array_equal(record.surprise, expected.surprise)
    assert half.grad is None


def test_a_certain_law():
    record = TokenRecord.from_logits(np.array([[0.0, -math.inf]] * 8), [0] * 8)
    assert record.surprise.tolist() == record.entropy.tolist() == record.variance.tolist() == [0] * 8
    assert (record.cumulant == 0).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"logits": np.full((9, 5), math.nan)}, ValueError, "logits hold NaN"),
        ({"logits": np.full((9, 5), math.inf)}, ValueError, r"logits hold \+inf"),
        ({"logits": np.full((9, 5), -math.inf)}, ValueError, "forbid every token"),
        ({"logits": np.zeros((9, 1))}, ValueError, "two or more tokens"),
        ({"logits": np.zeros((9, 5, 2))}, ValueError, "logits must have 2 axes"),
        ({"logits": np.zeros((0, 5))}, ValueError, "logits is empty"),
        ({"logits": np.zeros((9, 5), dtype=complex)}, TypeError, "must be real"),
        ({"tokens": [5] * 9}, ValueError, "hold the id 5, and the vocabulary ends at 4"),
        ({"tokens": [-1] * 9}, ValueError, "hold the id -1"),
        ({"tokens": [0.5] * 9}, TypeError, "tokens must be integers"),
        ({"tokens": [[0] * 9]}, ValueError, "tokens must be one row"),
        ({"tokens": [0] * 8}, ValueError, "9 rows for 8 tokens"),
        ({"lambdas": ()}, ValueError, "lambdas"),
        ({"lambdas": (0.1, 0)}, ValueError, "none of them 0"),
        ({"lambdas": (1.0,)}, ValueError, "below 1"),
        ({"lambdas": (math.nan,)}, ValueError, "lambdas"),
        ({"lambdas": (0.1, 0.1)}, ValueError, "differ"),
        ({"block": 0}, ValueError, "block must be at least 1"),
    ],
)
def test_bad_input(change, error, message):
    arguments = {"logits": np.zeros((9, 5)), "tokens": [0] * 9} | change
    with pytest.raises(error, match=message):
        TokenRecord.from_logits(arguments.pop("logits"), arguments.pop("tokens"), **arguments)


def test_some_of_the_tokens():
    logits, tokens = some_logits(12, 30)
    record = TokenRecord.from_logits(logits, tokens)
    assert len(record) == 12
    assert len(record[:5]) == 5
    np.testing.assert_array_equal(record[np.array([3, 1])].surprise, record.surprise[[3, 1]])
    np.testing.assert_array_equal(record[2:].cumulant, record.cumulant[2:])
    assert len(record[3]) == 1
    assert record.log_likelihood == pytest.approx(-record.surprise.sum())


def test_a_saved_record_comes_back(tmp_path):
    logits, tokens = some_logits(12, 100)
    record = TokenRecord.from_logits(logits, tokens, decoding=Decoding(0.7, 40, 0.9), lambdas=(0.3, -0.1))
    record = dataclasses.replace(record, model="Some model")
    file = record.save(tmp_path / "record.dat")
    again = TokenRecord.load(file)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(again, name), getattr(record, name))
    assert np.isinf(record.surprise).any()
    for name in ("lambdas", "decoding", "vocabulary", "model"):
        assert getattr(again, name) == getattr(record, name)
    assert [path.name for path in tmp_path.iterdir()] == ["record.dat"]


def test_records_that_cannot_be_read(tmp_path):
    logits, tokens = some_logits(12, 100)
    content = TokenRecord.from_logits(logits, tokens).save(tmp_path / "good").read_bytes()
    with pytest.raises(ValueError, match="No such file"):
        TokenRecord.load(tmp_path / "absent")
    broken = {"cut": content[:200], "empty": b"", "text": b"no record"}
    pickled = tmp_path / "pickled"
    with pickled.open("wb") as stream:
        np.savez(stream, about=np.array({"a": 1}, dtype=object))
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
    for name in (*broken, "pickled"):
        with pytest.raises(ValueError, match="is not a record of tokens"):
            TokenRecord.load(tmp_path / name)


def test_a_record_made_by_hand_is_checked():
    logits, tokens = some_logits(12, 30)
    record = TokenRecord.from_logits(logits, tokens)
    for change, message in (
        ({"entropy": record.entropy[:-1]}, "a row for every token"),
        ({"entropy": np.full(12, math.nan)}, "NaN or infinite"),
        ({"surprise": np.full(12, -math.inf)}, "NaN or infinite"),
        ({"lambdas": (0.1,)}, "6 columns for 1 lambdas"),
        ({"vocabulary": 3}, "the vocabulary ends at 2"),
        ({"vocabulary": 1}, "vocabulary must be at least 2"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(record, **change)


def bigram(ids):
    """A model that any callable may be: the next token depends on the last."""
    rng = np.random.default_rng(5)
    table = rng.standard_normal((11, 11))
    return table[np.asarray(ids)]


def test_any_callable_is_a_model():
    ids = np.random.default_rng(0).integers(11, size=50)
    record = token_record(bigram, ids, context=10)
    expected = TokenRecord.from_logits(bigram(ids)[9:-1], ids[10:])
    for name in FIELDS:
        np.testing.assert_allclose(getattr(record, name), getattr(expected, name), rtol=1e-12, atol=1e-12)
    for given_ids in (ids[None], torch.from_numpy(ids), list(map(int, ids))):
        again = token_record(bigram, given_ids, context=10)
        np.testing.assert_array_equal(again.surprise, record.surprise)

    class Output:
        logits = torch.from_numpy(bigram(ids))[None]

    by_attribute = token_record(lambda _: Output, ids, context=10)
    np.testing.assert_allclose(by_attribute.surprise, record.surprise, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"ids": [1] * 39}, ValueError, r"at least 8 tokens to score, got 7 \(39 tokens"),
        ({"ids": []}, (ValueError, TypeError), "tokens"),
        ({"ids": [[1] * 50] * 2}, ValueError, "input_ids must be one text"),
        ({"ids": [1.5] * 50}, TypeError, "integers"),
        ({"ids": [11] * 50, "model": lambda ids: np.zeros((1, 50, 11))}, ValueError, "hold the id 11"),
        ({"context": 0}, ValueError, "context must be at least 1"),
        ({"model": lambda ids: np.full((1, 50, 11), math.nan)}, ValueError, "NaN"),
        ({"model": lambda ids: np.zeros((1, 49, 11))}, ValueError, r"shape \(1, 50, V\)"),
        ({"model": lambda ids: "logits"}, TypeError, "an array of logits"),
    ],
)
def test_bad_texts_and_models(change, error, message):
    arguments = {"ids": [1] * 50, "model": bigram, "context": 32} | change
    with pytest.raises(error, match=message):
        token_record(arguments["model"], arguments["ids"], context=arguments["context"])


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize("block", [None, 1, 7])
def test_a_causal_model_is_read_without_all_its_logits(tiny_model, architecture, block):
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model(architecture))
    ids = torch.randint(0, 256, (60,), generator=torch.Generator().manual_seed(0))
    shapes = []
    model.get_output_embeddings().register_forward_hook(lambda *a: shapes.append(tuple(a[2].shape)))
    record = token_record(model, ids, context=20, decoding=Decoding(0.8, 30), block=block)
    assert shapes == [(1, 1, 259)], "the model itself forms one row of logits"
    expected = token_record(lambda x: model(x).logits, ids, context=20, decoding=Decoding(0.8, 30))
    for name in ("surprise", "entropy", "variance", "cumulant"):
        np.testing.assert_allclose(getattr(record, name), getattr(expected, name), rtol=2e-5, atol=2e-5)


def test_training_mode_is_given_back_and_dropout_is_off(tiny_model):
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(
        tiny_model("gpt2"), resid_pdrop=0.5, embd_pdrop=0.5
    ).train()
    ids = list(range(50))
    first, second = (token_record(model, ids).surprise for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert all(module.training for module in model.modules())


def test_a_failure_leaves_no_mode_behind(tiny_model):
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model("llama")).train()
    with torch.no_grad():
        model.get_output_embeddings().weight[:] = math.nan
    with pytest.raises(ValueError, match="NaN") as caught:
        token_record(model, list(range(60)))
    assert caught.value is not None
    assert not torch.is_inference_mode_enabled()
    assert model.training


def test_a_text_that_the_model_cannot_hold_or_read(tiny_model):
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model("llama"))
    with pytest.raises(ValueError, match="129 tokens, and the model can hold 128"):
        token_record(model, [1] * 129)
    with pytest.raises(ValueError, match="hold the id 259, and the vocabulary ends at 258"):
        token_record(model, [259] * 60)


def test_logits_made_in_another_way_are_refused(tiny_model):
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model("llama"))
    forward = model.forward

    def doubled(*args, logits_to_keep=0, **kwargs):
        output = forward(*args, logits_to_keep=logits_to_keep, **kwargs)
        output.logits = 2 * output.logits
        return output

    model.forward = doubled
    with pytest.raises(ValueError, match="otherwise than by its output layer"):
        token_record(model, list(range(60)))


def test_records_need_no_torch(run_python):
    script = (
        "import numpy as np\n"
        "from matropy.information import Decoding, TokenRecord, provenance_test, token_record\n"
        "record = TokenRecord.from_logits(np.log(np.full((9, 4), 0.25)), [0] * 9, decoding=Decoding(0.7, 2, 0.9))\n"
        "print(round(provenance_test(record).p_value, 9))\n"
        "print(len(token_record(lambda ids: np.zeros((1, 40, 3)), [0] * 40)))\n"
        "try: from matropy.information import TokenSurprise\nexcept ImportError as error: print(error)\n"
        "import sys; print('torch' in sys.modules)"
    )
    lines = run_python(script, without=("torch",)).splitlines()
    assert lines == [
        "1.0",
        "8",
        "TokenSurprise needs torch, which is not installed: pip install 'matropy[torch]'",
        "False",
    ]
