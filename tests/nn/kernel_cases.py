"""Run the kernels on ``cpu`` (interpreted) or ``cuda`` and print, for every case, how far they are from double precision.

TRITON_INTERPRET=1 python tests/nn/kernel_cases.py cpu
"""

import json
import sys

import torch

from matropy.nn import linear_cross_entropy, token_statistics
from matropy.nn.cut_cross_entropy import _launch
from matropy.nn.cut_cross_entropy._targets import KeptRows

SMALL, RAGGED = (96, 300, 64), (192, 700, 100)
EVERYTHING = {
    "softcap": 5.0,
    "shift": 1,
    "z_loss": 0.01,
    "label_smoothing": 0.1,
    "bias": True,
    "ignored": 0.2,
}
CASES = {
    "plain": (SMALL, {}),
    "all options": (SMALL, EVERYTHING),
    "kept rows and capped logits": (RAGGED, {"softcap": 5.0, "bias": True, "ignored": 0.3}),
    "filter": (SMALL, {"filter_eps": "auto", "ignored": 0.2, "bias": True}),
    "every token": (SMALL, {"reduction": "none", "return_lse": True}),
    "two slabs": (SMALL, {"memory_budget": 128 * 256 * 2}),
    "nothing kept": (SMALL, {"ignored": 1.1}),
}
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def errors(name, dtype, device):
    """Relative errors of the loss and of each gradient, and whether a second call gives the same bits."""
    (n, v, d), options = CASES[name]
    options = dict(options)
    has_bias, ignored = options.pop("bias", False), options.pop("ignored", 0.0)
    generator = torch.Generator().manual_seed(0)
    input = torch.randn(n, d, generator=generator).to(dtype)
    weight = (torch.randn(v, d, generator=generator) / d**0.5).to(dtype)
    bias = torch.randn(v, generator=generator).to(dtype) if has_bias else None
    target = torch.randint(0, v, (n,), generator=generator)
    target[torch.rand(n, generator=generator) < ignored] = -100

    def measure(operands, device, **more):
        leaves = [None if x is None else x.to(device).requires_grad_() for x in operands]
        found = linear_cross_entropy(
            leaves[0], leaves[1], target.to(device), linear_bias=leaves[2], **options, **more
        )
        loss = found[0].sum() + found[1].square().sum() if isinstance(found, tuple) else found
        gradients = torch.autograd.grad(loss, [x for x in leaves if x is not None])
        return [loss.detach().cpu(), *(gradient.cpu() for gradient in gradients)]

    operands = (input, weight, bias)
    exact = measure([None if x is None else x.double() for x in operands], "cpu", implementation="torch")
    found = measure(operands, device, implementation="triton")
    # The interpreter is slow, and what it runs in one precision it runs in all.
    repeats = dtype == torch.float16 or device != "cpu"
    again = measure(operands, device, implementation="triton") if repeats else found
    apart = [
        float((one.double() - want).norm() / max(float(want.norm()), 1e-30))
        for one, want in zip(found, exact, strict=True)
    ]
    return {"apart": apart, "same": all(torch.equal(a, b) for a, b in zip(found, again, strict=True))}


def skipping(device):
    """A confident, sorted classifier: the gradients with tiles skipped, and the tiles that were."""
    generator = torch.Generator().manual_seed(1)
    n, v, d = 128, 640, 32
    input, weight = torch.randn(n, d, generator=generator), torch.randn(v, d, generator=generator)
    input *= 0.2
    input[:, 0] = 6
    # Classes of every fifth place are likely, which only sorting brings together.
    weight[:, 0] = 0.0
    weight[::5, 0] = 1.5
    target = torch.randint(0, v // 5, (n,), generator=generator) * 5
    found = {}
    launched = []
    original = _launch._Live.of.__func__

    def counted(cls, *arguments):
        live = original(cls, *arguments)
        launched.append(float(live.weight.float().mean()))
        return live

    _launch._Live.of = classmethod(counted)
    for name, options in {
        "exact": {},
        "both": {"filter_eps": 1e-3},
        "input only": {"filter_eps": 1e-3, "filter_grads": ("input",)},
    }.items():
        leaves = [x.to(device).requires_grad_() for x in (input, weight)]
        loss = linear_cross_entropy(*leaves, target.to(device), implementation="triton", **options)
        found[name] = [gradient.cpu() for gradient in torch.autograd.grad(loss, leaves)]
    _launch._Live.of = classmethod(original)
    apart = {
        name: [float((a - b).norm() / b.norm()) for a, b in zip(found[name], found["exact"], strict=True)]
        for name in ("both", "input only")
    }
    return {"apart": apart, "live": launched}


def second_derivatives(device):
    """What is said when the gradient of a filtered loss is differentiated."""
    input = torch.randn(4, 16, device=device, requires_grad=True)
    weight = torch.randn(130, 16, device=device, requires_grad=True)
    target = torch.arange(4, device=device)
    said = {}
    for name, eps in (("exact", None), ("filtered", "auto")):
        loss = linear_cross_entropy(input, weight, target, implementation="triton", filter_eps=eps)
        (by_input,) = torch.autograd.grad(loss, input, create_graph=True)
        try:
            torch.autograd.grad(by_input.square().sum(), weight)
            said[name] = ""
        except ValueError as error:
            said[name] = str(error)
    return said


def statistics(device):
    """How far the statistics are from the chunked ones, with two whole slices of classes masked."""
    generator = torch.Generator().manual_seed(2)
    input, weight = torch.randn(70, 40, generator=generator), torch.randn(1300, 40, generator=generator)
    bias = torch.randn(1300, generator=generator)
    bias[:384] = -torch.inf
    target = torch.randint(384, 1300, (70,), generator=generator)
    exact = token_statistics(input.double(), weight.double(), target, linear_bias=bias.double())
    operands = (x.to(device) for x in (input, weight, bias))
    nll, entropy, lse, rank, argmax = (
        x.cpu() for x in _launch.statistics(*operands, KeptRows(None, target.to(device)), None)
    )
    spoilt = input.clone()
    spoilt[3, 0] = torch.nan
    of_nan = _launch.statistics(
        spoilt.to(device), weight.to(device), bias.to(device), KeptRows(None, target.to(device)), None
    )
    return {
        "apart": [
            float((one - want).abs().max())
            for one, want in ((nll, exact.nll), (entropy, exact.entropy), (lse, exact.lse))
        ],
        "same": torch.equal(rank.long(), exact.rank) and torch.equal(argmax, exact.argmax),
        "nan": [int(one.isnan().sum()) for one in of_nan[:3]],
    }


def main(device):
    found = {
        f"{name}, {dtype}": errors(name, DTYPES[dtype], device)
        for name in CASES
        for dtype in (DTYPES if name != "two slabs" else ["float16"])
        if not (name in ("every token", "nothing kept") and dtype != "float32")
    }
    extra = {"skipping": skipping, "second": second_derivatives, "statistics": statistics}
    sys.stdout.write(
        json.dumps({"cases": found} | {name: function(device) for name, function in extra.items()})
    )


if __name__ == "__main__":
    main(sys.argv[1])
