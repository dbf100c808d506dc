"""The loss is that of all logits at once, with its gradients, for every option; and it says what it cannot take."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("torch")

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from matropy.nn import linear_cross_entropy
from matropy.nn.cut_cross_entropy import _chunked_logits

N, V, D = 2 * 13, 37, 8


def reference(
    input,
    weight,
    target,
    bias=None,
    *,
    class_weight=None,
    softcap=None,
    shift=0,
    reduction="mean",
    label_smoothing=0.0,
    z_loss=0.0,
):
    """Everything materialised, put together from torch's own parts."""
    z = functional.linear(input, weight, bias)
    if softcap is not None:
        z = softcap * torch.tanh(z / softcap)
    if shift:
        z, target = z[..., :-shift, :], target[..., shift:]
    flat, kept = z.reshape(-1, z.shape[-1]), target.reshape(-1) != -100
    loss = functional.cross_entropy(
        flat,
        target.reshape(-1),
        weight=class_weight,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )
    penalty = z_loss * flat.logsumexp(-1).square() * kept
    if reduction == "none":
        return (loss + penalty).reshape(target.shape)
    return loss + penalty.sum() / (kept.sum() if reduction == "mean" else 1)


def operands(dtype=torch.float64, *, n=N, v=V, d=D, ignored=0.2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    input, weight, bias = draw(2, n // 2, d), draw(v, d) / d**0.5, draw(v)
    target = torch.randint(0, v, (2, n // 2), generator=generator)
    target[torch.rand(2, n // 2, generator=generator) < ignored] = -100
    return *(x.to(dtype).requires_grad_() for x in (input, weight, bias)), target


def relative(found, exact):
    found, exact = found.detach().double(), exact.detach().double()
    return float((found - exact).norm() / exact.norm())


@pytest.fixture(params=[1, 7, N])
def rows_at_once(request, monkeypatch):
    """Chunks of one row, of a few, of all."""
    monkeypatch.setattr(_chunked_logits, "chunk_rows", lambda *_: request.param)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("softcap", [None, 5.0])
@pytest.mark.parametrize("has_bias", [False, True])
def test_loss_and_gradients_are_those_of_all_logits(rows_at_once, has_bias, softcap, reduction):
    input, weight, bias, target = operands()
    class_weights = torch.rand(V, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.5
    wanted = (input, weight, bias) if has_bias else (input, weight)
    kinds = ((0.0, 0.0, None), (0.1, 0.01, None), (0.0, 0.01, class_weights), (0.1, 0.0, class_weights))
    for shift, (label_smoothing, z_loss, class_weight) in itertools.product((0, 1, 2), kinds):
        options = {
            "softcap": softcap,
            "shift": shift,
            "reduction": reduction,
            "label_smoothing": label_smoothing,
            "z_loss": z_loss,
        }
        given_bias = bias if has_bias else None
        exact = reference(input, weight, target, given_bias, class_weight=class_weight, **options)
        found = linear_cross_entropy(
            input, weight, target, linear_bias=given_bias, weight=class_weight, **options
        )
        assert found.shape == exact.shape
        assert relative(found, exact) <= 1e-12
        upstream = torch.linspace(-1, 2, exact.numel(), dtype=torch.float64).reshape(exact.shape) + 0.1
        expected = torch.autograd.grad(exact, wanted, upstream)
        once = torch.autograd.grad(found, wanted, upstream, retain_graph=True)
        again = torch.autograd.grad(found, wanted, upstream)
        for want, first, second in zip(expected, once, again, strict=True):
            assert relative(first, want) <= 1e-12
            assert torch.equal(first, second)


@pytest.mark.parametrize("shape", [(256, 512, 128), (252, 507, 123)])
def test_single_precision(shape):
    n, v, d = shape
    input, weight, bias, target = operands(torch.float32, n=n, v=v, d=d)
    exact = [x.detach().double().requires_grad_() for x in (input, weight, bias)]
    loss = linear_cross_entropy(input, weight, target, linear_bias=bias)
    truth = reference(exact[0], exact[1], target, exact[2])
    assert loss.dtype == torch.float32
    assert relative(loss, truth) <= 1e-6
    for found, want in zip(
        torch.autograd.grad(loss, (input, weight, bias)), torch.autograd.grad(truth, exact), strict=True
    ):
        assert relative(found, want) <= 2e-6


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 5e-4), (torch.bfloat16, 4e-3)])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_half_precision_is_lost_only_in_the_gradients_last_rounding(dtype, tolerance, reduction, monkeypatch):
    monkeypatch.setattr(_chunked_logits, "_SLAB", 100 * 64 * 4)  # three slabs and a rest
    input, weight, bias, target = operands(dtype, n=96, v=300, d=64)
    exact = [x.detach().double().requires_grad_() for x in (input, weight, bias)]
    loss = linear_cross_entropy(input, weight, target, linear_bias=bias, reduction=reduction)
    truth = reference(exact[0], exact[1], target, exact[2], reduction=reduction)
    assert loss.dtype == torch.float32
    assert relative(loss, truth) <= 1e-6
    found = torch.autograd.grad(loss.sum(), (input, weight, bias))
    for one, want in zip(found, torch.autograd.grad(truth.sum(), exact), strict=True):
        assert one.dtype == dtype
        assert relative(one, want) <= tolerance


def test_loss_scaling_reaches_half_precision_gradients_before_they_are_rounded():
    input, weight, _, target = operands(torch.float16, n=4096, v=64, ignored=0)
    scale = 2.0**12
    loss = linear_cross_entropy(input, weight, target)
    scaled = torch.autograd.grad(loss, input, torch.tensor(scale))[0].double() / scale
    truth = reference(input.double(), weight.double(), target)
    assert relative(scaled, torch.autograd.grad(truth, input)[0].double()) <= 1e-3


def test_bias_counts_once_however_wide_the_states_are():
    input, weight, bias, target = operands(d=640, ignored=0)
    exact = reference(input, weight, target, bias)
    assert relative(linear_cross_entropy(input, weight, target, linear_bias=bias), exact) <= 1e-12


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("softcap", [None, 2.0])
def test_derivatives_by_finite_differences(reduction, softcap):
    input, weight, bias, target = operands(n=6, v=5, d=3)

    def loss(input, weight, bias):
        return linear_cross_entropy(
            input,
            weight,
            target,
            linear_bias=bias,
            reduction=reduction,
            softcap=softcap,
            shift=1,
            label_smoothing=0.1,
            z_loss=0.01,
            return_lse=reduction == "none",
        )

    assert torch.autograd.gradcheck(loss, (input, weight, bias))
    assert torch.autograd.gradgradcheck(loss, (input, weight, bias))


@pytest.mark.parametrize("frozen", ["input", "weight", "bias"])
@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_only_wanted_gradients_are_made(frozen, reduction):
    input, weight, bias, target = operands()
    named = {"input": input, "weight": weight, "bias": bias}
    named[frozen].requires_grad_(False)
    linear_cross_entropy(input, weight, target, linear_bias=bias, reduction=reduction).sum().backward()
    exact = reference(input, weight, target, bias, reduction="sum")
    for name, operand in named.items():
        if name == frozen:
            assert operand.grad is None
        else:
            assert relative(operand.grad, torch.autograd.grad(exact, operand, retain_graph=True)[0]) <= 1e-12


def test_log_sum_exp_has_a_gradient_of_its_own():
    input, weight, bias, target = operands()
    loss, lse = linear_cross_entropy(
        input, weight, target, linear_bias=bias, shift=1, softcap=4.0, return_lse=True
    )
    z = 4 * torch.tanh(functional.linear(input, weight, bias) / 4)
    exact = z.logsumexp(-1)[:, :-1] * (target[:, 1:] != -100)
    torch.testing.assert_close(lse, exact, rtol=1e-12, atol=0)
    truth = reference(input, weight, target, bias, shift=1, softcap=4.0) + (exact**2).sum()
    found = torch.autograd.grad(loss + (lse**2).sum(), (input, weight, bias))
    for one, want in zip(found, torch.autograd.grad(truth, (input, weight, bias)), strict=True):
        assert relative(one, want) <= 1e-12


def test_shift_stays_within_a_sequence():
    input, weight, _, target = operands(ignored=0)
    whole = linear_cross_entropy(input, weight, target, shift=2, reduction="none")
    assert whole.shape == (2, N // 2 - 2)
    alone = [
        linear_cross_entropy(one, weight, row, shift=2, reduction="none")
        for one, row in zip(input, target, strict=True)
    ]
    torch.testing.assert_close(whole, torch.stack(alone), rtol=1e-13, atol=0)


def test_a_single_row_needs_no_batch():
    input, weight, _, target = operands(ignored=0)
    one = linear_cross_entropy(input[0, 0], weight, target[0, 0], reduction="none")
    assert one.shape == ()
    exact = reference(input[0, :1], weight, target[0, :1])
    assert relative(one, exact) <= 1e-12


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(3, 4), (0,)])
def test_where_all_is_ignored_the_loss_and_its_gradients_are_zero(reduction, shape):
    input = torch.randn(*shape, D, requires_grad=True)
    weight = torch.randn(V, D, requires_grad=True)
    loss = linear_cross_entropy(
        input, weight, torch.full(shape, -100), reduction=reduction, z_loss=0.1, label_smoothing=0.1
    )
    loss.sum().backward()
    assert loss.shape == (shape if reduction == "none" else ())
    assert not loss.any()
    assert not input.grad.any()
    assert not weight.grad.any()


@given(
    st.integers(1, 40),
    st.integers(1, 30),
    st.integers(1, 9),
    st.floats(0, 1),
    st.integers(0, 2**31),
)
def test_any_shape_and_ignored_rows_are_as_if_they_were_not_there(n, v, d, ignored, seed):
    input, weight, _, target = operands(n=2 * n, v=v, d=d, ignored=ignored, seed=seed)
    kept = target != -100
    loss = linear_cross_entropy(input, weight, target, reduction="sum")
    by_input, by_weight = torch.autograd.grad(loss, (input, weight))
    dropped = linear_cross_entropy(input[kept], weight, target[kept], reduction="sum")
    want_input, want_weight = torch.autograd.grad(dropped, (input, weight))
    torch.testing.assert_close(loss, dropped, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(by_input, want_input, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(by_weight, want_weight, rtol=1e-12, atol=1e-12)


def test_ignored_rows_cost_no_products(monkeypatch):
    made = []
    original = torch.mm
    monkeypatch.setattr(
        torch, "mm", lambda a, *rest, **out: (made.append(len(a)), original(a, *rest, **out))[1]
    )
    input, weight, _, target = operands(n=400, ignored=0.75)
    linear_cross_entropy(input, weight, target)
    assert sum(made) == int((target != -100).sum())


def test_masked_classes_have_no_probability_and_no_gradient():
    input, weight, bias, target = operands(ignored=0)
    masked = bias.detach().clone()
    masked[5:9] = -torch.inf
    target = target.masked_fill((target >= 5) & (target < 9), 0)
    loss = linear_cross_entropy(input, weight, target, linear_bias=masked)
    left = [v for v in range(V) if not 5 <= v < 9]
    renumbered = torch.tensor([left.index(int(t)) for t in target.reshape(-1)]).reshape(target.shape)
    exact = reference(input, weight[left], renumbered, bias[left])
    assert relative(loss, exact) <= 1e-12
    by_weight = torch.autograd.grad(loss, weight)[0]
    assert not by_weight[5:9].any()
    assert relative(by_weight, torch.autograd.grad(exact, weight)[0]) <= 1e-12


def test_nan_is_not_hidden():
    input, weight, _, target = operands(ignored=0)
    spoilt = input.detach().clone()
    spoilt[1, 3, 0] = torch.nan
    per_token = linear_cross_entropy(spoilt, weight, target, reduction="none")
    assert per_token.isnan().nonzero().tolist() == [[1, 3]]
    assert linear_cross_entropy(spoilt, weight, target).isnan()


def test_confident_logits_do_not_overflow():
    input, weight, _, target = operands(ignored=0)
    exact = reference(1e4 * input, weight, target)
    assert relative(linear_cross_entropy(1e4 * input, weight, target), exact) <= 1e-12


@pytest.mark.parametrize("budget", [1e-3, 3e-2])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_filter_by_mass_keeps_its_promise(budget, reduction):
    input, weight, bias, target = operands(n=200, v=600, d=16, ignored=0.1)
    confident = 3 * input.detach()
    loss = linear_cross_entropy(
        confident, weight, target, linear_bias=bias, filter_mass=budget, reduction=reduction
    )
    exact = linear_cross_entropy(confident, weight, target, linear_bias=bias, reduction=reduction)
    assert torch.equal(loss.detach(), exact.detach())
    upstream = torch.full_like(loss, 1.0 if reduction == "mean" else 1 / float((target != -100).sum()))
    (by_bias,) = torch.autograd.grad(loss, bias, upstream)
    (want,) = torch.autograd.grad(exact, bias, upstream)
    dropped = by_bias == 0
    assert dropped.any()
    assert not dropped[target[target >= 0]].any()
    # What the mean gradient by the bias lost is the mass that was dropped.
    assert 0 < float(want[dropped].abs().sum()) <= budget
    torch.testing.assert_close(by_bias[~dropped], want[~dropped], rtol=1e-9, atol=1e-15)


def test_filtered_gradients_have_no_second_derivative():
    input, weight, _, target = operands()
    loss = linear_cross_entropy(input, weight, target, filter_mass=0.01)
    (by_input,) = torch.autograd.grad(loss, input, create_graph=True)
    with pytest.raises(ValueError, match=r"filter_mass.*second derivative"):
        by_input.sum().backward()


def test_the_kernels_filter_leaves_the_chunked_path_exact():
    input, weight, _, target = operands()
    plain = linear_cross_entropy(input, weight, target)
    permitted = linear_cross_entropy(
        input, weight, target, filter_eps="auto", filter_grads=("input",), implementation="torch"
    )
    for one, other in zip(
        torch.autograd.grad(plain, (input, weight)),
        torch.autograd.grad(permitted, (input, weight)),
        strict=True,
    ):
        assert torch.equal(one, other)


def test_the_same_call_gives_the_same_bits():
    assert all(torch.equal(one, other) for one, other in zip(_bits(), _bits(), strict=True))


def _bits():
    input, weight, bias, target = operands(torch.float32, n=300, v=500, d=64)
    loss = linear_cross_entropy(input, weight, target, linear_bias=bias, softcap=3.0)
    return loss.detach(), *torch.autograd.grad(loss, (input, weight, bias))


@pytest.mark.parametrize("rows", [1, 100, 128, 129, 4096])
@pytest.mark.parametrize("classes", [10, 65_536, 256_000])
def test_chunks_fit_the_budget_or_have_128_rows(rows, classes):
    budget = 64 * 2**20
    chunk = _chunked_logits.chunk_rows(rows, 4 * classes, budget)
    assert 1 <= chunk <= min(rows, 1024)
    assert chunk <= 128 or chunk * 4 * classes <= budget
    chunks = -(-rows // chunk)
    assert chunks == -(-rows // min(1024, max(128, budget // (4 * classes))))


BAD = {
    "target past the vocabulary": ({"target": {(1, 2): V}}, r"target\[1, 2\] is 37; .*0 to 36"),
    "first of two bad targets": ({"target": {(1, 2): -7, (0, 3): 99}}, r"target\[0, 3\] is 99"),
    "ignored by another number": ({"target": {(0, 0): -100}, "ignore_index": -1}, r"target\[0, 0\] is -100"),
    "width": ({"input": torch.zeros(2, 13, D + 1)}, r"input must have shape \(\.\.\., 8\)"),
    "weight of one axis": ({"linear_weight": torch.zeros(V)}, r"linear_weight must have shape \(V, D\)"),
    "no class": ({"linear_weight": torch.zeros(0, D)}, "linear_weight must have shape"),
    "target's shape": ({"target": torch.zeros(26, dtype=torch.long)}, r"target must have shape \(2, 13\)"),
    "bias's shape": ({"linear_bias": torch.zeros(V + 1)}, r"linear_bias must have shape \(37,\)"),
    "class weights' shape": ({"weight": torch.ones(V - 1)}, "weight must hold 37 floating numbers"),
    "dtypes": ({"linear_weight": torch.zeros(V, D, dtype=torch.float64)}, "must be of one dtype"),
    "integer states": ({"input": torch.zeros(2, 13, D, dtype=torch.long)}, "input must be float64"),
    "floating targets": ({"target": torch.zeros(2, 13)}, "target must hold integers"),
    "softcap of zero": ({"softcap": 0.0}, "softcap must be a finite number, more than 0, got 0.0"),
    "negative softcap": ({"softcap": -1.0}, "softcap must be"),
    "shift of a whole sequence": ({"shift": 13}, "shift must be less than the length of a sequence, got 13"),
    "negative shift": ({"shift": -1}, "shift must be at least 0"),
    "reduction": ({"reduction": "average"}, "reduction must be one of 'mean', 'sum', 'none'"),
    "label smoothing": ({"label_smoothing": 1.5}, "label_smoothing must be"),
    "z-loss": ({"z_loss": -0.1}, "z_loss must be"),
    "mass": ({"filter_mass": 2.0}, "filter_mass must be"),
    "epsilon": ({"filter_eps": "big"}, "filter_eps must be None, 'auto' or a number"),
    "filtered gradients": ({"filter_grads": ("bias",)}, "filter_grads must name 'input', 'weight' or both"),
    "budget": ({"memory_budget": 0}, "memory_budget must be at least 1"),
    "implementation": ({"implementation": "cuda"}, "implementation must be one of"),
    "kernels on a CPU": (
        {"implementation": "triton"},
        "implementation='triton' (works on CUDA|needs Triton)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name):
    changes, message = BAD[name]
    arguments = {
        "input": torch.zeros(2, 13, D),
        "linear_weight": torch.zeros(V, D),
        "target": torch.zeros(2, 13, dtype=torch.long),
    }
    for argument, value in changes.items():
        if isinstance(value, dict):
            for place, number in value.items():
                arguments["target"][place] = number
        else:
            arguments[argument] = value
    with pytest.raises(ValueError, match=message):
        linear_cross_entropy(**arguments)


def test_a_list_is_no_tensor():
    with pytest.raises(TypeError, match="input must be a tensor, got list"):
        linear_cross_entropy([[1.0]], torch.zeros(3, 1), torch.zeros(1, dtype=torch.long))
