"""What has to be installed for what."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

LOSS = """
import sys
sys.modules["triton"] = None
import torch
from matropy.nn import linear_cross_entropy
arguments = torch.randn(4, 3), torch.randn(9, 3), torch.arange(4)
print(round(float(linear_cross_entropy(*arguments) - torch.nn.functional.cross_entropy(arguments[0] @ arguments[1].T, arguments[2])), 6))
try:
    linear_cross_entropy(*arguments, implementation="triton")
except ValueError as error:
    print(error)
"""


def test_the_room_and_the_batch_plan_need_no_torch(run_python):
    script = "from matropy.nn import max_batch_tokens\nprint(max_batch_tokens(100, 1, 8, 10, gpus=1).tokens_before)"
    assert int(run_python(script, without=("torch",))) > 0


def test_triton_is_optional(run_python):
    difference, message = run_python(LOSS).splitlines()
    assert abs(float(difference)) <= 1e-6
    assert message == "implementation='triton' needs Triton, which is not installed: pip install triton"


def test_the_loss_does_not_load_triton(run_python):
    script = "import sys\nfrom matropy.nn import linear_cross_entropy\nprint(*sys.modules)"
    assert "triton" not in run_python(script).split()
