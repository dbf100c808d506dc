"""Any causal model's own loss and gradients, without its logits."""

from __future__ import annotations

import copy

import pytest

pytest.importorskip("transformers")

import torch
import transformers

from matropy.nn import causal_lm_loss, causal_lm_statistics, prediction_head

# What models put between their last state and their logits.
HEADS = {
    "llama": {},
    "gpt2": {},
    "gemma": {},
    "gemma2": {"final_logit_softcapping": 2.0},
    "qwen2": {"tie_word_embeddings": True},
    "cohere": {"logit_scale": 0.25},
    "granite": {"logits_scaling": 3.0},
    "phi": {},
    "hyperclovax": {"logits_scaling": 2.0},
}
HAS_BIAS = "phi"


@pytest.fixture(params=HEADS)
def model(request, tiny_model):
    folder = tiny_model(request.param, **HEADS[request.param])
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    if request.param == HAS_BIAS:
        torch.nn.init.normal_(loaded.get_output_embeddings().bias, generator=torch.Generator().manual_seed(0))
    return loaded.eval()


@pytest.fixture
def batch():
    """Two texts of which the second is padded at its end."""
    ids = torch.randint(0, 256, (2, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    return ids, mask


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def test_loss_and_gradients_are_the_models_own(model, batch):
    ids, mask = batch
    labels = ids.masked_fill(mask == 0, -100)
    own = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    ours = causal_lm_loss(model, ids, mask)
    # Hugging Face takes its loss in single precision.
    torch.testing.assert_close(ours.float(), own.float(), rtol=1e-6, atol=0)
    expected, found = gradients(model, own), gradients(model, ours)
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7, msg=name)


def test_labels_of_ones_own_and_options_are_passed_on(model, batch):
    ids, mask = batch
    labels = ids.clone()
    labels[:, :5] = -100
    own = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    ours, lse = causal_lm_loss(model, ids, mask, labels, z_loss=0.5, return_lse=True)
    assert lse.shape == (2, 11)
    z_loss = 0.5 * lse.square().sum() / (labels[:, 1:] >= 0).sum()
    torch.testing.assert_close((ours - z_loss).float(), own.float(), rtol=1e-6, atol=1e-6)


def test_statistics_are_those_of_the_models_logits(model, batch):
    ids, mask = batch
    with torch.no_grad():
        log_p = model(input_ids=ids, attention_mask=mask).logits[:, :-1].double().log_softmax(-1)
    found = causal_lm_statistics(model, ids, mask)
    kept = mask[:, 1:] == 1
    nll = -log_p.gather(-1, ids[:, 1:, None])[..., 0]
    assert found.nll.shape == (2, 11)
    torch.testing.assert_close(found.nll, nll.masked_fill(~kept, 0), rtol=1e-6, atol=1e-7)
    entropy = torch.special.entr(log_p.exp()).sum(-1)
    torch.testing.assert_close(found.entropy[kept], entropy[kept], rtol=1e-6, atol=1e-7)
    assert torch.equal(found.argmax[kept], log_p.argmax(-1)[kept])
    assert not found.nll.requires_grad


def test_the_head_gives_the_models_logits(model, batch):
    ids, _ = batch
    with torch.no_grad():
        states = model.base_model(input_ids=ids).last_hidden_state
        torch.testing.assert_close(prediction_head(model)(states), model(input_ids=ids).logits)


def test_training_goes_the_same_way(tiny_model):
    first = transformers.AutoModelForCausalLM.from_pretrained(tiny_model("llama"))
    second = copy.deepcopy(first)
    losses = {"materialized": [], "ours": []}
    generator = torch.Generator().manual_seed(0)
    batches = torch.randint(97, 105, (30, 4, 16), generator=generator).sort(-1).values
    ways = {
        "materialized": (first, lambda ids: first(input_ids=ids, labels=ids).loss),
        "ours": (second, lambda ids: causal_lm_loss(second, ids)),
    }
    for name, (model, loss_of) in ways.items():
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for ids in batches:
            optimizer.zero_grad()
            loss = loss_of(ids)
            loss.backward()
            optimizer.step()
            losses[name].append(float(loss.detach()))
    assert losses["ours"][-1] < 0.7 * losses["ours"][0]
    assert losses["ours"] == pytest.approx(losses["materialized"], rel=1e-4)


def test_the_model_is_left_as_it_is(tiny_model, batch):
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model("llama"))
    before = (type(model).forward, dict(vars(model)), model.training)
    causal_lm_loss(model, *batch)
    assert (type(model).forward, dict(vars(model)), model.training) == before


class Wrapped(torch.nn.Linear):
    """An output layer that does more than its weight says, as an adapter does."""

    def forward(self, states):
        return super().forward(states) * 2


@pytest.mark.parametrize(
    ("spoil", "arguments", "message"),
    [
        (None, {"input_ids": torch.zeros(1, 1, dtype=torch.long)}, "two tokens at least"),
        (None, {"labels": torch.zeros(2, 3, dtype=torch.long)}, "labels must have the shape of input_ids"),
        (None, {"attention_mask": torch.ones(2, 3)}, "attention_mask must have the shape of input_ids"),
        ("head", {}, "must be a torch.nn.Linear, got Wrapped"),
        ("base", {}, "gives no last_hidden_state"),
    ],
)
def test_bad_input_is_named(tiny_model, batch, spoil, arguments, message):
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model("llama"))
    if spoil == "head":
        model.set_output_embeddings(Wrapped(32, 259))
    if spoil == "base":
        model.model.forward = lambda **_: {}
    with pytest.raises(ValueError, match=message):
        causal_lm_loss(model, **({"input_ids": batch[0]} | arguments))


def test_bad_labels_are_named(tiny_model, batch):
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model("llama"))
    labels = batch[0].clone()
    labels[1, 4] = 259
    with pytest.raises(ValueError, match=r"target\[1, 4\] is 259"):
        causal_lm_loss(model, batch[0], labels=labels)
