"""Statistics of the predicted distribution equal those of all probabilities at once."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from matropy.nn import token_statistics
from matropy.nn.cut_cross_entropy import _chunked_logits


def reference(input, weight, target, bias=None, softcap=None):
    """From all logits, in double precision."""
    z = torch.nn.functional.linear(input.double(), weight.double(), None if bias is None else bias.double())
    if softcap is not None:
        z = softcap * torch.tanh(z / softcap)
    p = z.softmax(-1)
    own = z.gather(-1, target.clamp(min=0)[..., None])
    return {
        "nll": z.logsumexp(-1) - own[..., 0],
        "entropy": torch.special.entr(p).sum(-1),
        "lse": z.logsumexp(-1),
        "rank": (z > own).sum(-1),
        "argmax": z.argmax(-1),
    }


def operands(n, v, d, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    input, weight = torch.randn(2, n, d, generator=generator), torch.randn(v, d, generator=generator)
    bias = torch.randn(v, generator=generator)
    target = torch.randint(0, v, (2, n), generator=generator)
    return input.to(dtype), weight.to(dtype), bias.to(dtype), target


@pytest.mark.parametrize("rows", [1, 7, 4096])
@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("v", [37, 1024, 1300])
def test_they_are_those_of_all_probabilities(rows, softcap, v, monkeypatch):
    monkeypatch.setattr(_chunked_logits, "chunk_rows", lambda *_: rows)
    input, weight, bias, target = operands(20, v, 8)
    found = token_statistics(input, weight, target, linear_bias=bias, softcap=softcap)
    for name, exact in reference(input, weight, target, bias, softcap).items():
        one = getattr(found, name)
        if exact.dtype == torch.int64:
            assert torch.equal(one, exact), name
        else:
            torch.testing.assert_close(one, exact, rtol=1e-12, atol=1e-12, msg=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_narrow_heads_are_worked_on_in_single_precision(dtype):
    input, weight, bias, target = operands(60, 700, 32, dtype)
    found = token_statistics(input, weight, target, linear_bias=bias)
    exact = reference(input, weight, target, bias)
    for name in ("nll", "entropy", "lse"):
        assert getattr(found, name).dtype == torch.float32
        torch.testing.assert_close(getattr(found, name).double(), exact[name], rtol=2e-6, atol=5e-6)
    assert torch.equal(found.argmax, exact["argmax"])


def test_ignored_places_have_no_likelihood_but_a_distribution():
    input, weight, _, target = operands(9, 30, 4)
    target[0, 3] = -100
    found = token_statistics(input, weight, target, shift=1)
    exact = reference(input[:, :-1], weight, target[:, 1:])
    assert found.nll.shape == (2, 8)
    assert found.nll[0, 2] == 0
    assert found.rank[0, 2] == -1
    torch.testing.assert_close(found.entropy, exact["entropy"], rtol=1e-12, atol=1e-12)
    kept = target[:, 1:] >= 0
    torch.testing.assert_close(found.nll[kept], exact["nll"][kept], rtol=1e-12, atol=1e-12)


def test_without_targets_there_is_a_distribution():
    input, weight, _, target = operands(9, 30, 4)
    found = token_statistics(input, weight, shift=2)
    assert found.nll is None
    assert found.rank is None
    exact = reference(input[:, :-2], weight, target[:, :-2])
    torch.testing.assert_close(found.entropy, exact["entropy"], rtol=1e-12, atol=1e-12)
    assert torch.equal(found.argmax, exact["argmax"])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_blocks_of_masked_classes_leave_the_rest(dtype):
    input, weight, bias, target = operands(30, 1500, 8, dtype)
    bias[:600] = -torch.inf
    bias[1000:] = -torch.inf
    target = 600 + target % 400
    found = token_statistics(input, weight, target, linear_bias=bias)
    left = token_statistics(input, weight[600:1000], target - 600, linear_bias=bias[600:1000])
    for name in ("nll", "entropy", "lse"):
        torch.testing.assert_close(getattr(found, name), getattr(left, name), rtol=1e-5, atol=1e-5)
    assert torch.equal(found.rank, left.rank)
    assert torch.equal(found.argmax, left.argmax + 600)


def test_nan_is_nan_in_its_own_token_and_has_no_rank():
    input, weight, _, target = operands(5, 600, 4)
    input[1, 2, 0] = torch.nan
    found = token_statistics(input, weight, target)
    for one in (found.nll, found.entropy, found.lse):
        assert one.isnan().nonzero().tolist() == [[1, 2]]
    assert (found.rank < 0).nonzero().tolist() == [[1, 2]]


def test_one_nan_in_the_classifier_is_nan_everywhere():
    input, weight, _, target = operands(5, 600, 4)
    weight[7, 0] = torch.nan
    found = token_statistics(input, weight, target)
    assert found.nll.isnan().all()
    assert found.entropy.isnan().all()


def test_a_certain_prediction_has_neither_likelihood_nor_entropy():
    found = token_statistics(1e4 * torch.eye(3), torch.eye(3), torch.arange(3))
    assert not found.nll.any()
    assert not found.entropy.any()
    assert not found.rank.any()


def test_a_uniform_prediction_and_the_first_of_equals():
    found = token_statistics(torch.zeros(2, 3), torch.randn(2000, 3), torch.tensor([5, 1999]))
    torch.testing.assert_close(found.entropy, torch.full((2,), math.log(2000)))
    torch.testing.assert_close(found.nll, torch.full((2,), math.log(2000)))
    assert found.rank.tolist() == [0, 0]
    assert found.argmax.tolist() == [0, 0]


@given(st.integers(1, 30), st.integers(1, 1200), st.integers(1, 6), st.integers(0, 2**31))
def test_bounds(n, v, d, seed):
    input, weight, bias, target = operands(n, v, d, seed=seed)
    found = token_statistics(input, weight, target, linear_bias=bias)
    assert (found.nll >= -1e-12).all()
    assert ((found.entropy >= -1e-12) & (found.entropy <= math.log(v) + 1e-12)).all()
    assert ((found.rank >= 0) & (found.rank < v)).all()
    assert torch.equal(found.rank == 0, found.argmax == target)


def test_no_graph_is_built():
    input, weight, _, target = operands(5, 30, 4)
    found = token_statistics(input.requires_grad_(), weight.requires_grad_(), target)
    assert not found.nll.requires_grad


def test_shipped_head_has_its_known_averages(data):
    shipped = np.load(data("cut-cross-entropy/docs_lm_head.npz"))
    states, classifier = torch.from_numpy(shipped["E"]), torch.from_numpy(shipped["C"])
    found = token_statistics(states[:1024], classifier, torch.from_numpy(shipped["targets"][:1024]))
    exact = reference(states[:1024], classifier, torch.from_numpy(shipped["targets"][:1024]).long())
    assert float(found.nll.mean()) == pytest.approx(float(exact["nll"].mean()), abs=1e-5)
    assert float(found.entropy.mean()) == pytest.approx(float(exact["entropy"].mean()), abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": torch.tensor([0, 30])}, r"target\[1\] is 30; it must be a class, 0 to 29"),
        ({"shift": 2}, "shift must be less than the length of a sequence, got 2"),
        ({"softcap": 0}, "softcap must be"),
        ({"linear_bias": torch.zeros(3, dtype=torch.float64)}, "linear_bias must have shape"),
        ({"target": torch.zeros(3, dtype=torch.long)}, "target must have shape"),
    ],
)
def test_bad_input_is_named(changes, message):
    input, weight, _, target = operands(2, 30, 4)
    arguments = {"input": input[0], "linear_weight": weight, "target": target[0]}
    with pytest.raises(ValueError, match=message):
        token_statistics(**(arguments | changes))
