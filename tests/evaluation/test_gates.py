"""The sign codes of gated units in an evaluation."""

import numpy as np
import pytest
import torch

from matropy import evaluate, load_model
from matropy.evaluation._gates import Gates

TEXTS = ["Entropy, entropy, entropy.", "abababababababab", "A matrix is a table of numbers."]
GATES = {
    "llama": lambda block: block.mlp.gate_proj,
    "gemma3_text": lambda block: block.mlp.gate_proj,
    "qwen2": lambda block: block.mlp.gate_proj,
    "gpt2": lambda block: block.mlp.c_fc,
}


def blocks_of(model):
    base = model.model.base_model
    return base.h if hasattr(base, "h") else base.layers


def gate_bits(model, text, gate):
    """Whether each unit of each block is on, (tokens, units) a block, from the layer before the activation."""
    seen = []
    hooks = [
        gate(block).register_forward_hook(lambda module, given, came: seen.append(came[0] > 0))
        for block in blocks_of(model)
    ]
    with torch.no_grad():
        model.model(torch.tensor([model.tokenizer(text)["input_ids"]]))
    for hook in hooks:
        hook.remove()
    return [bits.numpy() for bits in seen]


def surplus(bits):
    return 1 - len(np.unique(bits, axis=0)) / len(bits)


@pytest.mark.parametrize("architecture", GATES)
def test_codes_equal_a_plain_computation(tiny_model, architecture):
    model = load_model(tiny_model(architecture), device="cpu")
    evaluation = evaluate(model, TEXTS, metrics=["code_redundancy"])
    by_text = [gate_bits(model, text, GATES[architecture]) for text in TEXTS]
    assert evaluation.layers[0].codes is None
    for layer in evaluation.layers[1:]:
        of_block = [bits[layer.index - 1] for bits in by_text]
        on = np.concatenate(of_block).mean(0)
        assert layer.codes.bits == len(on)
        assert layer.codes.redundancy == pytest.approx(np.mean([surplus(bits) for bits in of_block]))
        assert layer.codes.dead == np.mean(on == 0)
        assert layer.codes.always_on == np.mean(on == 1)
        p = np.clip(on, 1e-300, 1 - 1e-16)
        entropy = -p * np.log(p) - (1 - p) * np.log(1 - p)
        assert layer.codes.bit_entropy == pytest.approx(entropy.mean(), rel=1e-9)
    together = [surplus(np.concatenate(bits, axis=1)) for bits in by_text]
    assert evaluation.summary["code_redundancy"].mean == pytest.approx(np.mean(together))
    assert evaluation.summary["code_redundancy"].standard_error == pytest.approx(
        np.std(together, ddof=1) / np.sqrt(3)
    )


def test_a_gate_of_zeros_is_dead(tiny_model):
    model = load_model(tiny_model("llama"), device="cpu")
    with torch.no_grad():
        blocks_of(model)[1].mlp.gate_proj.weight.zero_()
    layers = evaluate(model, TEXTS, metrics=["code_redundancy"]).layers
    assert [layer.codes.dead == 1 for layer in layers[1:]] == [False, True, False]
    assert layers[2].codes.redundancy == pytest.approx(
        np.mean([1 - 1 / len(model.tokenizer(text)["input_ids"]) for text in TEXTS])
    )
    assert layers[2].codes.bit_entropy == 0


def test_batches_windows_and_padding_change_no_code(tiny_model):
    model = load_model(tiny_model("llama"), device="cpu")
    whole, apart = (
        evaluate(model, TEXTS, metrics=["code_redundancy"], batch_tokens=tokens) for tokens in (4096, 1)
    )
    assert [layer.codes for layer in whole.layers] == [layer.codes for layer in apart.layers]
    assert whole.summary == apart.summary


def test_without_gates_nothing_is_said(tiny_model, monkeypatch):
    model = load_model(tiny_model("llama"), device="cpu")
    shared = torch.nn.SiLU()
    for block in blocks_of(model):
        monkeypatch.setattr(block.mlp, "act_fn", shared)
    assert Gates.of(model).bits == [0, 0, 0]
    evaluation = evaluate(model, TEXTS, metrics=["code_redundancy", "loss"])
    assert evaluation.summary["code_redundancy"].mean is None
    assert [layer.codes for layer in evaluation.layers] == [None] * 4


def test_hooks_are_gone_afterwards(tiny_model):
    model = load_model(tiny_model("llama"), device="cpu")
    evaluate(model, TEXTS)
    assert not any(module._forward_pre_hooks for module in model.model.modules())
