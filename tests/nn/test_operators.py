"""The operators meet torch's rules for operators; compiling and autocast change nothing that they should not."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from torch.nn import functional

import matropy.nn.cut_cross_entropy._one_pass  # noqa: F401, registers the operators
from matropy.nn import linear_cross_entropy

V, D = 11, 4


@pytest.fixture
def operands():
    generator = torch.Generator().manual_seed(0)
    input, weight = torch.randn(2, 5, D, generator=generator), torch.randn(V, D, generator=generator)
    target = torch.randint(0, V, (2, 5), generator=generator)
    target[0, 2] = -100
    return input.requires_grad_(), weight.requires_grad_(), torch.randn(V, requires_grad=True), target


def test_rules_of_the_one_pass_operator(operands):
    numbers = ("mean", -100, 0.1, None, 1, 0.01, None, 2**20, True, True, True)
    torch.library.opcheck(torch.ops.matropy.one_pass_cross_entropy.default, (*operands, None, *numbers))


def test_rules_of_the_two_pass_operators(operands):
    input, weight, bias, target = operands
    numbers = (0, V, -100, 1, 2.0)
    skips = (None, True, True, None, 2**20, False)
    arguments = (*operands, torch.ones(V), *numbers, *skips)
    torch.library.opcheck(torch.ops.matropy.logit_sums.default, arguments)
    lse, _, _, peaks, order = (one.detach() for one in torch.ops.matropy.logit_sums(*arguments))
    slopes = [torch.randn(2, 4, requires_grad=True) for _ in range(3)]
    torch.library.opcheck(
        torch.ops.matropy.logit_sums_backward.default,
        (*slopes, lse, peaks, order, *arguments, True, True, True),
    )
    operands = [x.detach() for x in (*slopes, input, weight, bias, target, torch.ones(V))]
    cotangents = [torch.randn_like(x) for x in (input, weight, bias)]
    torch.library.opcheck(
        torch.ops.matropy.logit_sums_second_derivative.default, (*operands, *numbers, *cotangents)
    )


@pytest.mark.parametrize("options", [{}, {"reduction": "none", "softcap": 3.0}, {"return_lse": True}])
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_graph_has_no_break(operands, backend, options):
    input, weight, _, target = operands

    def loss(input, weight):
        found = linear_cross_entropy(input, weight, target, shift=1, **options)
        return found[0] + found[1].sum() if isinstance(found, tuple) else found.sum()

    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    plain, made = loss(input, weight), compiled(input, weight)
    torch.testing.assert_close(made, plain)
    for one, want in zip(
        torch.autograd.grad(made, (input, weight)), torch.autograd.grad(plain, (input, weight)), strict=True
    ):
        torch.testing.assert_close(one, want)


def test_autocast_takes_what_layers_above_and_below_have(operands):
    input, weight, bias, target = operands
    with torch.autocast("cpu", torch.bfloat16):
        loss = linear_cross_entropy(input.bfloat16(), weight, target, linear_bias=bias)
        exact = functional.cross_entropy(
            functional.linear(input.bfloat16().float(), weight, bias).float().reshape(-1, V),
            target.reshape(-1),
        )
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact, rtol=2e-2, atol=0)
    by_weight = torch.autograd.grad(loss, weight)[0]
    assert by_weight.dtype == torch.float32
    rounded = input.detach().bfloat16().float()
    plain = functional.cross_entropy(
        functional.linear(rounded, weight, bias).reshape(-1, V), target.reshape(-1)
    )
    torch.testing.assert_close(by_weight, torch.autograd.grad(plain, weight)[0])


def test_without_autocast_dtypes_must_agree(operands):
    input, weight, _, target = operands
    with pytest.raises(ValueError, match=r"linear_weight is torch\.float32 and input torch\.bfloat16"):
        linear_cross_entropy(input.bfloat16(), weight, target)
