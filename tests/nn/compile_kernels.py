"""Compile every kernel for compute capability 8.0, with the arguments that the launches give."""

import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from matropy.nn.cut_cross_entropy import _kernels

SHARED_MEMORY = 99 * 1024
LONGS = {"rows_ptr", "target_ptr", "order_ptr", "argmax_ptr"}
SHORTS = {"rank_ptr", "blocks_ptr", "tiles_ptr", "count_ptr"}
OPERANDS = {"input_ptr", "weight_ptr", "bias_ptr", "gradient_ptr"}


def kind(name, dtype):
    if name in OPERANDS:
        return f"*{dtype}"
    if name in LONGS:
        return "*i64"
    if name in SHORTS:
        return "*i32"
    if name == "live_ptr":
        return "*i8"
    if name == "tile_peak_ptr":
        return "*bf16"
    if name.endswith("_ptr"):
        return "*fp32"
    return "fp32" if name in ("softcap", "log_eps") else "i32"


def compile_kernel(kernel, dtype, constants):
    names = kernel.arg_names
    signature = {name: "constexpr" if name in constants else kind(name, dtype) for name in names}
    values = {(names.index(name),): value for name, value in constants.items()}
    aligned = {
        (index,): [["tt.divisibility", 16]]
        for index, name in enumerate(names)
        if name.endswith("_ptr") or name == "WIDTH"
    }
    source = ASTSource(kernel, signature, values, aligned)
    return triton.compile(source, target=GPUTarget("cuda", 80, 32), options={"num_warps": 8})


def main(dtype):
    tile = {
        "TOKENS": 128,
        "CLASSES": 128,
        "STEP": 32 if dtype == "fp32" else 64,
        "WIDEN": False,
        "PRECISION": "ieee",
    }
    capped = tile | {"HAS_BIAS": True, "CAPPED": True}
    product = tile | {"COLUMNS": 128}
    sums = capped | {"SUMS": True, "ORDERED": True, "STATISTICS": True, "KEEPS_PEAKS": True}
    kernels = {
        "sums_over_slices": sums,
        "logit_gradient": capped | {"SUMS": True, "COLUMN_SUMS": True},
        "weight_gradient": product,
        "input_gradient": product,
        "live_tiles": {"TOKENS": 128, "GROUP": 64},
        "target_logits": {"TOKENS": 32, "STEP": 64, "HAS_BIAS": True, "CAPPED": True},
    }
    assert set(kernels) | {"INTERPRETED"} == set(_kernels.__all__)
    for name, constants in kernels.items():
        compiled = compile_kernel(getattr(_kernels, name), dtype, constants)
        assert compiled.metadata.shared <= SHARED_MEMORY, name
    sys.stdout.write("ok\n")
