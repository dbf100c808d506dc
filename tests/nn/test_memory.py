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
print(growth(*{arguments}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
@pytest.mark.parametrize(
    ("n", "v", "d", "dtype", "how", "allowed"),
    [
        pytest.param(256, 16_384, 1024, "float32", "train", (65 + 16 + 24) * MIB, id="one chunk"),
        pytest.param(1024, 32_768, 16, "float32", "loss", 88 * MIB, id="loss"),
        pytest.param(1024, 32_768, 16, "float32", "statistics", 88 * MIB, id="statistics"),
        pytest.param(1024, 32_768, 16, "bfloat16", "statistics", 88 * MIB, id="narrow statistics"),
        *(
            pytest.param(
                n, 65_536, 256, dtype, how, allowed * MIB, marks=pytest.mark.slow, id=f"{how}-{dtype}-{n}"
            )
            for n, dtype, how, allowed in (
                (4096, "float32", "train", 68 + 88),
                (8192, "float32", "train", 72 + 88),
                (4096, "bfloat16", "train", 68 + 88),
                (4096, "float16", "train", 68 + 88),
                (4096, "float32", "loss", 88),
                (4096, "bfloat16", "loss", 88),
                (4096, "float32", "statistics", 88),
                (4096, "bfloat16", "statistics", 88),
            )
        ),
    ],
)
def test_growth(run_python, n, v, d, dtype, how, allowed):
    arguments = f"({n}, {v}, {d}, torch.{dtype}, {how!r})"
    assert int(run_python(MEASURE.replace("{arguments}", arguments))) <= allowed
