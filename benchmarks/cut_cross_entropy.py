"""The loss without its logits beside torch's own chunked loss and the loss with all logits; with a GPU, beside kernels.

On a processor, in one thread: loss and both gradients, and token statistics beside a log-softmax over blocks of logits.
The floor is the three matrix products that any exact way needs, at the same chunk.

    python -m benchmarks.cut_cross_entropy        # a few minutes; the GPU part is skipped without one
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch
from rich.console import Console
from torch.nn import functional

from benchmarks._harness import Contender, Row, compare, report
from matropy.nn import linear_cross_entropy, token_statistics

TORCH = f"installed torch {torch.__version__}"
ROUNDS = 3

Way = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def ours(input: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return linear_cross_entropy(input, weight, target)


def materialized(input: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(input @ weight.T, target)


def native(input: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    options = torch.nn.LinearCrossEntropyOptions()
    return functional.linear_cross_entropy(input, weight, target, options=options)


def native_256(input: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """With chunks as large as ours, which a user has to ask for."""
    options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=256, chunking_method=None)
    return functional.linear_cross_entropy(input, weight, target, options=options)


def operands(
    n: int, v: int, d: int, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    input = torch.randn(n, d, generator=generator).to(device, dtype)
    weight = (torch.randn(v, d, generator=generator) / d**0.5).to(device, dtype)
    target = torch.randint(0, v, (n,), generator=generator).to(device)
    return input.requires_grad_(), weight.requires_grad_(), target


def trained(way: Way, arguments: tuple[torch.Tensor, ...]) -> Callable[[], tuple[torch.Tensor, ...]]:
    def call() -> tuple[torch.Tensor, ...]:
        leaves = arguments[:2]
        loss = way(*arguments)
        return loss.detach(), *torch.autograd.grad(loss, leaves)

    return call


def agree(dtype: torch.dtype) -> Callable[[Any, Any], None]:
    """Losses and gradients; a bfloat16 peer rounds its logits, so that only its gradients' direction can be held to."""
    loose = dtype == torch.bfloat16

    def check(mine: tuple[torch.Tensor, ...], theirs: tuple[torch.Tensor, ...]) -> None:
        for one, other in zip(mine, theirs, strict=True):
            apart = float((one.double() - other.double()).norm() / other.double().norm())
            assert apart <= (0.05 if loose else 1e-5), f"the answers differ by {apart:.2g}"

    return check


def products(arguments: tuple[torch.Tensor, ...]) -> Callable[[], None]:
    """The three products, over chunks of 256 rows, in float32."""
    input, weight, _ = (x.detach() for x in arguments)
    input, weight = input.float(), weight.float()
    z = torch.empty(256, len(weight))
    by_input, by_weight = torch.empty_like(input), torch.zeros_like(weight)

    def call() -> None:
        for start in range(0, len(input), 256):
            states = input[start : start + 256]
            torch.mm(states, weight.T, out=z[: len(states)])
            torch.mm(z[: len(states)], weight, out=by_input[start : start + 256])
            by_weight.addmm_(z[: len(states)].T, states)

    return call


def losses() -> list[Row]:
    rows = []
    for n, v, d, dtype, peer, aim in (
        (1024, 32_768, 512, torch.float32, "materialized", 1 / 1.15),
        (1024, 32_768, 64, torch.float32, "materialized", 1 / 1.15),
        (512, 32_768, 256, torch.float32, "native", 1 / 0.6),
        (512, 32_768, 256, torch.float32, "native, 256 rows", 1 / 1.15),
        (256, 16_384, 512, torch.bfloat16, "native", 1 / 0.3),
    ):
        if peer.startswith("native") and not hasattr(functional, "linear_cross_entropy"):
            continue
        arguments = operands(n, v, d, dtype)
        way, name = {
            "materialized": (materialized, "all logits at once"),
            "native": (native, "torch's linear_cross_entropy"),
            "native, 256 rows": (native_256, "the same with chunks of 256 rows"),
        }[peer]
        rows.append(
            compare(
                f"N={n}, V={v}, D={d}, {str(dtype).removeprefix('torch.')}",
                Contender("linear_cross_entropy", trained(ours, arguments), "matropy"),
                Contender(name, trained(way, arguments), TORCH),
                agree=agree(dtype),
                aim=aim,
                floor=products(arguments),
                rounds=ROUNDS,
            )
        )
    return rows


def ignored_rows() -> Row:
    """Three quarters of the tokens ignored, beside none."""
    arguments = operands(512, 32_768, 256)
    sparse = (*arguments[:2], arguments[2].clone())
    sparse[2][torch.arange(512) % 4 != 0] = -100

    def nothing(*_: Any) -> None:
        """The two have different answers; the tests compare the first with dropped rows."""

    return compare(
        "N=512, V=32768, D=256, 75 % ignored",
        Contender("with ignored tokens", trained(ours, sparse), "matropy"),
        Contender("without", trained(ours, arguments), "matropy"),
        agree=nothing,
        aim=1 / 0.35,
        rounds=ROUNDS,
    )


def statistics() -> list[Row]:
    """Likelihood, entropy, rank and arg max beside likelihood and entropy alone from a log-softmax of blocks."""

    def blocked(input: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found, step = [], max(1, 2**23 // len(weight))
        for start in range(0, len(input), step):
            log_p = (input[start : start + step] @ weight.T).float().log_softmax(-1)
            nll = -log_p.gather(-1, target[start : start + step, None])[:, 0]
            found.append((nll, -log_p.exp().mul_(log_p).sum(-1)))
        return tuple(torch.cat(parts) for parts in zip(*found, strict=True))

    def mine(*arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = token_statistics(*arguments)
        return found.nll, found.entropy

    rows = []
    for dtype in (torch.float32, torch.bfloat16):
        arguments = tuple(x.detach() for x in operands(256, 49_152, 576, dtype))
        rows.append(
            compare(
                f"statistics, N=256, V=49152, D=576, {str(dtype).removeprefix('torch.')}",
                Contender("token_statistics", lambda given=arguments: mine(*given), "matropy"),
                Contender("log-softmax of blocks", lambda given=arguments: blocked(*given), TORCH),
                agree=agree(dtype),
                aim=1.0,
                rounds=ROUNDS,
            )
        )
    return rows


def on_a_gpu() -> list[Row]:
    """Gemma 2 2B's shape beside torch.compile, apple's and Liger's kernels."""
    arguments = operands(8192, 256_000, 2304, torch.bfloat16, "cuda")
    peers: dict[str, tuple[Way, str]] = {
        "torch.compile": (
            torch.compile(lambda e, c, t: functional.cross_entropy((e @ c.T).float(), t)),
            TORCH,
        )
    }
    if importlib.util.find_spec("cut_cross_entropy") is not None:
        apple = importlib.import_module("cut_cross_entropy").linear_cross_entropy
        peers["cut-cross-entropy"] = (apple, f"installed cut-cross-entropy {version('cut-cross-entropy')}")
    if importlib.util.find_spec("liger_kernel") is not None:
        liger = importlib.import_module("liger_kernel.transformers").LigerFusedLinearCrossEntropyLoss()
        peers["liger-kernel"] = (
            lambda e, c, t: liger(c, e, t),
            f"installed liger-kernel {version('liger-kernel')}",
        )

    def synchronized(call: Callable[[], Any]) -> Callable[[], Any]:
        def whole() -> Any:
            found = call()
            torch.cuda.synchronize()
            return found

        return whole

    def filtered(e: torch.Tensor, c: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return linear_cross_entropy(e, c, t, filter_eps="auto", implementation="triton")

    return [
        compare(
            "GPU, N=8192, V=256000, D=2304, bfloat16",
            Contender(
                "linear_cross_entropy, filtered", synchronized(trained(filtered, arguments)), "matropy"
            ),
            Contender(name, synchronized(trained(way, arguments)), source),
            agree=agree(torch.bfloat16),
            aim=1.0,
            rounds=ROUNDS,
        )
        for name, (way, source) in peers.items()
    ]


def main() -> None:
    torch.set_num_threads(1)
    rows = [*losses(), ignored_rows(), *statistics()]
    notes = [
        "One thread; loss and both gradients unless said otherwise. The floor is the three products alone, in"
        " float32 over chunks of 256 rows.",
        "Extra memory is the peak of resident memory during one call, gradients included.",
    ]
    if torch.cuda.is_available():
        rows += on_a_gpu()
    else:
        notes.append("No CUDA device: the kernels' part was skipped.")
        Console().print(notes[-1])
    report("cut_cross_entropy", "Cross-entropy without logits", rows, ("torch",), notes)


if __name__ == "__main__":
    main()
