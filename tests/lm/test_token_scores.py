"""How well a model predicts each token, without holding the logits of a batch."""

import math

import pytest
import torch
from torch.nn import functional

from matropy.lm import _token_scores as module
from matropy.lm import load_corpus, load_model, token_scores, token_windows
from matropy.lm._hidden_states import run_layers
from matropy.lm._token_scores import prediction_head

# Each of the scalings that a model may put between its last state and its logits.
HEADS = {
    "llama": {},
    "gpt2": {},
    "gemma": {},
    "qwen2": {"tie_word_embeddings": True},
    "gemma2": {"final_logit_softcapping": 2.0},
    "cohere": {"logit_scale": 0.25},
    "granite": {"logits_scaling": 3.0},
}


@pytest.fixture(params=HEADS)
def model(request, tiny_model):
    return load_model(tiny_model(request.param, **HEADS[request.param]), device="cpu")


def own_logits(model, ids):
    with torch.inference_mode():
        return model.model(input_ids=ids).logits


def full_scores(logits, targets):
    """Loss and entropy with all logits at once, in double precision."""
    logits = logits.double()
    loss = functional.cross_entropy(logits, targets, reduction="none")
    return loss, torch.distributions.Categorical(logits=logits).entropy()


def test_the_head_gives_the_models_own_logits(model):
    ids = torch.randint(0, 256, (2, 30), generator=torch.Generator().manual_seed(0))
    own = own_logits(model, ids)
    states = run_layers(model, ids, [], lambda *_: None)
    with torch.inference_mode():
        logits, plain = prediction_head(model)(states), model.model.get_output_embeddings()(states)
    torch.testing.assert_close(logits, own, rtol=1e-5, atol=1e-5)
    # The scalings matter here: without them the logits would be others.
    scaled = model.architecture.startswith(("Gemma2", "Cohere", "Granite"))
    assert torch.allclose(plain, own, rtol=0.01) != scaled


@pytest.mark.parametrize("at_once", [1, 259 * 7, 2**23])
def test_streaming_equals_all_logits_at_once(model, at_once, monkeypatch):
    monkeypatch.setattr(module, "_LOGITS_AT_ONCE", at_once)
    ids = torch.randint(0, 256, (1, 60), generator=torch.Generator().manual_seed(1))
    states = run_layers(model, ids, [], lambda *_: None)[0]
    scores = token_scores(states[:-1], ids[0, 1:], prediction_head(model))
    loss, entropy = full_scores(own_logits(model, ids)[0, :-1], ids[0, 1:])
    assert scores.loss.dtype == scores.entropy.dtype == torch.float32
    torch.testing.assert_close(scores.loss.double(), loss, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(scores.entropy.double(), entropy, rtol=1e-5, atol=1e-5)


def test_never_more_logits_at_once_than_said():
    rows = []

    def head(states):
        rows.append(len(states))
        return torch.zeros(len(states), 1 << 20)

    token_scores(torch.zeros(40, 1), torch.zeros(40, dtype=torch.long), head)
    assert sum(rows) == 40
    assert max(rows[1:]) << 20 <= 2**23


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_logits(dtype):
    logits = torch.tensor([[0.0, 500, -500], [0, 0, -math.inf], [-1000, -1000, -1000]], dtype=dtype)
    scores = token_scores(logits, torch.tensor([1, 0, 2]), lambda states: states)
    torch.testing.assert_close(scores.loss, torch.tensor([0, math.log(2), math.log(3)]))
    torch.testing.assert_close(scores.entropy, torch.tensor([0, math.log(2), math.log(3)]))


def test_nothing_to_predict():
    scores = token_scores(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.nn.Linear(4, 9))
    assert scores.loss.shape == scores.entropy.shape == (0,)


def test_the_head_leaves_its_states_alone(tiny_model):
    model = load_model(tiny_model("llama"), device="cpu")
    states = torch.randn(5, 32)
    before = states.clone()
    token_scores(states, torch.zeros(5, dtype=torch.long), prediction_head(model))
    assert torch.equal(states, before)


def test_logits_made_in_another_way_are_refused(tiny_model):
    model = load_model(tiny_model("llama"), device="cpu")
    model.model.config.logit_scale = 0.5  # said, but not done
    with pytest.raises(ValueError, match="LlamaForCausalLM makes its logits in a way that is not supported"):
        prediction_head(model)


@pytest.mark.model
def test_loss_of_a_real_model_equals_the_librarys_own(smollm2):
    (window,) = token_windows([max(load_corpus(), key=len)], smollm2.tokenizer, 128)
    ids = torch.from_numpy(window.ids)[None]
    states = run_layers(smollm2, ids, [], lambda *_: None)[0]
    scores = token_scores(states[:-1], ids[0, 1:], prediction_head(smollm2))
    with torch.inference_mode():
        own = smollm2.model(input_ids=ids, labels=ids)
    assert float(scores.loss.mean()) == pytest.approx(float(own.loss), rel=1e-5)
    _, entropy = full_scores(own.logits[0, :-1], ids[0, 1:])
    assert float(scores.entropy.mean()) == pytest.approx(float(entropy.mean()), rel=1e-5)
