"""Memory is that of the gradients and a bounded buffer, however many tokens and classes there are."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("torch")

MIB = 2**20
MEASURE = """
import ctypes, gc, re, sys, torch
from matropy.nn import linear_cross_entropy, token_statistics
torch.set_num_threads(1)

def resident(field):
    return int(re.search(rf"^{field}:\\s+(\\d+) kB", open("/proc/self/status").read(), re.M)[1]) * 1024

def growth(n, v, d, dtype, how):
    input, weight = torch.randn(n, d).to(dtype), (torch.randn(v, d) / d**0.5).to(dtype)
    target = torch.randint(0, v, (n,))
    input.requires_grad_(how == "train"), weight.requires_grad_(how == "train")
    gc.collect(); ctypes.CDLL(None).malloc_trim(0)
    before = resident("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")
    if how == "train":
        linear_cross_entropy(input, weight, target).backward()
    elif how == "loss":
        linear_cross_entropy(input, weight, target)
    else:
        token_statistics(input, weight, target)
    return resident("VmHWM") - before

growth(8, 64, 8, torch.float32, "train"), growth(8, 64, 8, torch.float32, "statistics")
for arguments in {cases}:
    print(growth(*arguments))
"""


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")

# Tokens, classes, width, dtype, what is done, and the bytes allowed: gradients (their sums in float32), 64 MiB of
# buffers and 24 MiB of everything else.
SMALL = (
    (256, 16_384, 512, "float32", "train", (33 + 16 + 24) * MIB),
    (1024, 32_768, 16, "float32", "loss", (64 + 24) * MIB),
    (1024, 32_768, 16, "float32", "statistics", (64 + 24) * MIB),
    (1024, 32_768, 16, "bfloat16", "statistics", (64 + 24) * MIB),
)
LARGE = (
    (4096, 65_536, 256, "float32", "train", (68 + 64 + 24) * MIB),
    (8192, 65_536, 256, "float32", "train", (72 + 64 + 24) * MIB),
    (4096, 65_536, 256, "bfloat16", "train", (68 + 64 + 24) * MIB),
    (4096, 65_536, 256, "float16", "train", (68 + 64 + 24) * MIB),
    (4096, 65_536, 256, "float32", "loss", (64 + 24) * MIB),
    (4096, 65_536, 256, "bfloat16", "loss", (64 + 24) * MIB),
    (4096, 65_536, 256, "float32", "statistics", (64 + 24) * MIB),
    (4096, 65_536, 256, "bfloat16", "statistics", (64 + 24) * MIB),
)


@pytest.mark.parametrize(
    "cases", [SMALL, pytest.param(LARGE, marks=pytest.mark.slow)], ids=["small", "large"]
)
def test_growth(run_python, cases):
    listed = ", ".join(f"({n}, {v}, {d}, torch.{dtype}, {how!r})" for n, v, d, dtype, how, _ in cases)
    grown = map(int, run_python(MEASURE.replace("{cases}", f"[{listed}]")).split())
    beyond = {case: growth for case, growth in zip(cases, grown, strict=True) if growth > case[-1]}
    assert beyond == {}
