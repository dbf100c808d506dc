"""The module that owns its classifier."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from matropy.nn import LinearCrossEntropyLoss, linear_cross_entropy


def test_it_is_the_function_with_its_own_parameters():
    module = LinearCrossEntropyLoss(6, 20, bias=True, dtype=torch.float64, shift=1, softcap=4.0)
    input, target = torch.randn(2, 5, 6, dtype=torch.float64), torch.randint(0, 20, (2, 5))
    exact = linear_cross_entropy(input, module.weight, target, linear_bias=module.bias, shift=1, softcap=4.0)
    assert torch.equal(module(input, target), exact)
    assert module.bias.dtype == torch.float64


def test_parameters_lie_as_in_a_linear_layer():
    module = LinearCrossEntropyLoss(64, 500, bias=True)
    linear = torch.nn.Linear(64, 500)
    assert {name: p.shape for name, p in module.named_parameters()} == {
        name: p.shape for name, p in linear.named_parameters()
    }
    linear.load_state_dict(module.state_dict())
    for parameter in module.parameters():
        assert parameter.abs().max() <= 1 / 8
        assert float(parameter.detach().std()) == pytest.approx(1 / 8 / 3**0.5, rel=0.1)


def test_the_weight_can_be_an_embeddings():
    embedding = torch.nn.Embedding(30, 4)
    module = LinearCrossEntropyLoss(4, 30)
    module.weight = embedding.weight
    tokens = torch.randint(0, 30, (7,))
    module(embedding(tokens), tokens).backward()
    states = embedding.weight.detach()[tokens].requires_grad_()
    classifier = embedding.weight.detach().clone().requires_grad_()
    torch.nn.functional.cross_entropy(states @ classifier.T, tokens).backward()
    both = classifier.grad.index_add(0, tokens, states.grad)
    torch.testing.assert_close(embedding.weight.grad, both)


def test_class_weights_move_with_the_module_and_are_not_saved():
    module = LinearCrossEntropyLoss(4, 3, weight=torch.tensor([1.0, 2.0, 0.5])).double()
    assert module.class_weight.dtype == torch.float64
    assert set(module.state_dict()) == {"weight"}
    input, target = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 1, 0])
    exact = torch.nn.functional.cross_entropy(input @ module.weight.T, target, weight=module.class_weight)
    torch.testing.assert_close(module(input, target), exact, rtol=1e-12, atol=0)


def test_it_says_what_it_is():
    text = repr(LinearCrossEntropyLoss(4, 3, shift=1))
    assert text == "LinearCrossEntropyLoss(in_features=4, num_classes=3, bias=False, shift=1)"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((0, 3), {}, ValueError, "in_features must be at least 1"),
        ((4, 2.5), {}, TypeError, "num_classes must be an integer"),
        ((4, 3), {"softcap": 0.0}, ValueError, "softcap must be"),
        ((4, 3), {"options": None}, TypeError, "there is no option 'options'; the options are reduction"),
    ],
)
def test_bad_options_are_named_when_it_is_made(arguments, options, error, message):
    with pytest.raises(error, match=message):
        LinearCrossEntropyLoss(*arguments, **options)
