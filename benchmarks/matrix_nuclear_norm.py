"""matropy's measures beside the paper's formulation, on the same hidden states, in one thread.

The authors' scripts are on no registry, so both peers are re-implemented from the formulas of the paper: rows
centered and normalized; entropy from the full singular value decomposition of the ``d x d`` covariance; the norm from
sorted column norms. They run in torch, in float32, like ours.

    python -m benchmarks.matrix_nuclear_norm
"""

from __future__ import annotations

import math

import torch

from benchmarks._harness import Contender, Row, compare, report
from matropy.metrics import matrix_entropy, matrix_nuclear_norm

SOURCE = "re-implemented from arXiv 2410.10672"
WIDTH = 2048


def normalized(hidden: torch.Tensor) -> torch.Tensor:
    centered = hidden - hidden.mean(0, keepdim=True)
    return centered / torch.norm(centered, dim=1, keepdim=True)


def paper_entropy(hidden: torch.Tensor) -> float:
    z = normalized(hidden)
    _, eigenvalues, _ = torch.linalg.svd(z.T @ z / z.shape[0])
    terms = eigenvalues * torch.log(eigenvalues)
    return -terms[~terms.isnan()].sum().item() / math.log(hidden.shape[1])


def paper_norm(hidden: torch.Tensor) -> float:
    z = normalized(hidden)
    norms = torch.sqrt(torch.sum(z**2, dim=0))
    largest, _ = torch.sort(norms, descending=True)
    return largest[: min(z.shape)].sum().item() / z.shape[0]


def close(ours: float, theirs: float) -> None:
    assert math.isclose(ours, theirs, rel_tol=1e-4), f"the answers differ: {ours} and {theirs}"


def cases(n_tokens: int, entropy_aim: float) -> list[Row]:
    hidden = torch.randn(n_tokens, WIDTH, generator=torch.Generator().manual_seed(0))
    case = f"N={n_tokens}, d={WIDTH}"

    def three_reads() -> None:
        for _ in range(3):
            hidden.sum()

    return [
        compare(
            case,
            Contender("matrix_entropy", lambda: matrix_entropy(hidden, relative=True).item(), "matropy"),
            Contender("entropy by SVD", lambda: paper_entropy(hidden), SOURCE),
            agree=close,
            aim=entropy_aim,
            rounds=3,
        ),
        compare(
            case,
            Contender("matrix_nuclear_norm", lambda: matrix_nuclear_norm(hidden).item(), "matropy"),
            Contender("norm by columns", lambda: paper_norm(hidden), SOURCE),
            agree=close,
            aim=1.0,
            floor=three_reads,
            rounds=21,
        ),
    ]


def main() -> None:
    torch.set_num_threads(1)
    rows = cases(256, 100) + cases(1024, 10)
    sizes = {n: n * WIDTH * 4 / 1e6 for n in (256, 1024)}
    notes = [
        "One thread, float32. The floor is three reads of the matrix (mean, row norms, column norms), each timed as one"
        " sum over it.",
        "One matrix of hidden states is "
        + " and ".join(f"{size:.1f} MB at N={n}" for n, size in sizes.items())
        + "; extra memory is the peak of resident memory during one call.",
    ]
    report("matrix_nuclear_norm", "Matrix nuclear-norm and matrix entropy", rows, ("torch", "numpy"), notes)


if __name__ == "__main__":
    main()
