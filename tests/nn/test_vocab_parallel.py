"""A vocabulary over two processes gives the loss and gradients of one."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from matropy.nn import LinearCrossEntropyLoss, linear_cross_entropy

V, D, SPLIT = 31, 6, 12
CASES = {
    "plain": {},
    "all options": {
        "label_smoothing": 0.1,
        "z_loss": 0.01,
        "softcap": 3.0,
        "shift": 1,
        "return_lse": True,
        "weighted": True,
    },
    "every token": {"reduction": "none", "shift": 1},
    "masked shard": {"masked": True},
}


def operands():
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    input, weight, bias, class_weight = draw(2, 9, D), draw(V, D), draw(V), draw(V).exp()
    target = torch.randint(SPLIT, V, (2, 9), generator=generator)
    target[0, :4] = torch.arange(4)
    target[1, 2] = -100
    return input, weight, bias, class_weight, target


def run(name, rows, group=None):
    """Loss and gradients of some rows of the classifier."""
    options = dict(CASES[name])
    input, weight, bias, class_weight, target = operands()
    if options.pop("masked", False):
        bias[:SPLIT] = -torch.inf
        target = target.masked_fill((target >= 0) & (target < SPLIT), V - 1)
    class_weight = class_weight if options.pop("weighted", False) else None
    leaves = [x.clone().requires_grad_() for x in (input, weight[rows], bias[rows])]
    loss = linear_cross_entropy(
        leaves[0],
        leaves[1],
        target,
        linear_bias=leaves[2],
        weight=class_weight,
        vocab_parallel_group=group,
        **options,
    )
    value = loss[0] + loss[1].square().sum() if isinstance(loss, tuple) else loss.sum()
    value.backward()
    return [value.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)]


def work(split):
    group = torch.distributed.group.WORLD
    rows = slice(0, split) if torch.distributed.get_rank() == 0 else slice(split, None)
    found = {name: run(name, rows, group) for name in CASES}
    module = LinearCrossEntropyLoss(D, V, bias=True, vocab_parallel_group=group)
    return found, (len(module.weight), len(module.bias)), _bad_target(rows, group)


def _bad_target(rows, group):
    input, weight, _, _, target = operands()
    target[1, 1] = V
    try:
        linear_cross_entropy(input, weight[rows], target, vocab_parallel_group=group)
    except ValueError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def ranks(two_processes):
    """What each process found, in the order of their shards."""
    return sorted(two_processes.run(work, SPLIT), key=lambda rank: len(rank[0]["plain"][3]))


@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradients_are_those_of_one_process(ranks, name):
    value, by_input, by_weight, by_bias = map(torch.from_numpy, run(name, slice(None)))
    for found, rows in zip(
        (rank[0][name] for rank in ranks), (slice(0, SPLIT), slice(SPLIT, None)), strict=True
    ):
        close = {"rtol": 1e-11, "atol": 1e-13}
        torch.testing.assert_close(torch.from_numpy(found[0]), value, **close)
        torch.testing.assert_close(torch.from_numpy(found[1]), by_input, **close)
        torch.testing.assert_close(torch.from_numpy(found[2]), by_weight[rows], **close)
        torch.testing.assert_close(torch.from_numpy(found[3]), by_bias[rows], **close)


def test_a_module_deals_its_rows_out(ranks):
    assert [rank[1] for rank in ranks] == [(16, 16), (15, 15)]


def test_a_bad_target_is_named_on_every_process(ranks):
    for rank in ranks:
        assert rank[2].startswith("target[1, 1] is 31; it must be a class, 0 to 30")
