"""The map from a model's last hidden state to its logits."""

import pytest
import torch

from matropy import evaluate
from matropy.lm import load_corpus, load_model, token_windows
from matropy.lm._hidden_states import run_layers
from matropy.lm._prediction_head import checked_prediction_head

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


def test_it_gives_the_models_own_logits(model):
    ids = torch.randint(0, 256, (2, 30), generator=torch.Generator().manual_seed(0))
    states = run_layers(model, ids, [], lambda *_: None)
    with torch.inference_mode():
        own = model.model(input_ids=ids).logits
        logits = checked_prediction_head(model)(states)
        plain = model.model.get_output_embeddings()(states)
    torch.testing.assert_close(logits, own, rtol=1e-5, atol=1e-5)
    # The scalings matter here: without them the logits would be others.
    scaled = model.architecture.startswith(("Gemma2", "Cohere", "Granite"))
    assert torch.allclose(plain, own, rtol=0.01) != scaled


def test_scores_of_an_evaluation_are_those_of_the_models_own_logits(model):
    text = "Each head has its own way to scale."
    summary = evaluate(model, [text], metrics=["loss", "conditional_entropy"]).summary
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    with torch.inference_mode():
        own = model.model(input_ids=ids, labels=ids)
    entropy = torch.distributions.Categorical(logits=own.logits[0, :-1].double()).entropy().mean()
    assert summary["loss"].mean == pytest.approx(float(own.loss), rel=1e-5)
    assert summary["conditional_entropy"].mean == pytest.approx(float(entropy), rel=1e-5)


def test_logits_made_in_another_way_are_refused(tiny_model):
    model = load_model(tiny_model("llama"), device="cpu")
    model.model.config.logit_scale = 0.5  # said, but not done
    with pytest.raises(ValueError, match="LlamaForCausalLM makes its logits in a way that is not supported"):
        checked_prediction_head(model)


@pytest.mark.model
def test_loss_of_a_real_model_equals_the_librarys_own(smollm2):
    (window,) = token_windows([max(load_corpus(), key=len)], smollm2.tokenizer, 128)
    summary = evaluate(smollm2, [max(load_corpus(), key=len)], max_length=128, metrics=["loss"]).summary
    ids = torch.from_numpy(window.ids)[None]
    with torch.inference_mode():
        own = smollm2.model(input_ids=ids, labels=ids)
    assert summary["loss"].mean == pytest.approx(float(own.loss), rel=1e-5)
