"""The kernels agree with double precision: interpreted on a CPU here, and on a GPU with ``pytest -m gpu``."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

import torch

HERE = Path(__file__).parent
TOLERANCE = {"float32": 1e-5, "float16": 5e-4, "bfloat16": 1e-2}


def _cases():
    spec = importlib.util.spec_from_file_location("kernel_cases", HERE / "kernel_cases.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CASES


CASES = [
    f"{name}, {dtype}"
    for name in _cases()
    for dtype in (TOLERANCE if name != "two slabs" else ["float16"])
    if not (name in ("every token", "nothing kept") and dtype != "float32")
]


@pytest.fixture(
    scope="module",
    params=[
        "cpu",
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
            ],
        ),
    ],
)
def found(request):
    """All cases in one fresh process, since the interpreter has to be chosen before Triton is imported."""
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    if request.param == "cuda":
        del environment["TRITON_INTERPRET"]
    done = subprocess.run(
        [sys.executable, str(HERE / "kernel_cases.py"), request.param],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradients(found, case):
    measured = found["cases"][case]
    assert max(measured["apart"]) <= TOLERANCE[case.rpartition(", ")[2]]
    assert measured["same"], "a second call gave other bits"


def test_skipping_finds_the_dead_tiles_and_says_so_in_small_errors_only(found):
    skipped = found["skipping"]
    # Nothing, then both gradients, then only the input's, which leaves all tiles to the classifier's.
    exact, both, input_only = skipped["live"]
    assert exact == input_only == 1
    # 128 likely classes of 640 fill one tile of five, once they are sorted, or touch a second.
    assert 0.2 <= both <= 0.4
    assert all(1e-5 < error < 1e-2 for error in skipped["apart"]["both"])
    by_input, by_weight = skipped["apart"]["input only"]
    assert by_input == skipped["apart"]["both"][0]
    # The other order of classes rounds otherwise.
    assert by_weight < 1e-6


def test_only_what_is_exact_has_a_second_derivative(found):
    assert found["second"]["exact"] == ""
    assert "no second derivative" in found["second"]["filtered"]


def test_statistics(found):
    measured = found["statistics"]
    assert max(measured["apart"]) <= 2e-5
    assert measured["same"]
    assert measured["nan"] == [1, 1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_kernels_compile_for_a_gpu_without_having_one(dtype, run_python):
    """Down to machine code for compute capability 8.0, within the shared memory of small cards."""
    assert run_python((HERE / "compile_kernels.py").read_text() + f"\nmain({dtype!r})") == "ok\n"
