"""Activation codes beside what does the same today, on one core: NumPy, scikit-learn, faiss where it is installed, torch.

The paper's scripts take ``numpy.unique`` over rows of int8 and scikit-learn's neighbours. The answers agree: the same
number of different codes, the same distances, the same predictions wherever the ninth distance differs from the tenth.

    python -m benchmarks.activation_codes
"""

from __future__ import annotations

import importlib.util
from importlib.metadata import version

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier

from benchmarks._harness import Contender, Row, compare, extra_memory, report
from matropy.metrics import ActivationRecorder, CodeBook, HammingKNN, redundancy_ratio

CODES, BITS, QUERIES, NEIGHBORS = 20_000, 400, 1_000, 9


def planted(rows: int, seed: int) -> np.ndarray:
    """Clustered codes, a quarter of them repeated: near and equal ones, as networks give them."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(0).random((10, BITS)) < 0.5
    bits = centers[rng.integers(0, 10, rows)] ^ (rng.random((rows, BITS)) < 0.2)
    bits[rows // 2 : 3 * rows // 4] = bits[: rows // 4]
    return bits


def same_number(ours: float, theirs: float) -> None:
    assert ours == theirs, f"the answers differ: {ours} and {theirs}"


def distinct_rows() -> list[Row]:
    bits = planted(CODES, 1)
    as_int8, book = bits.astype(np.int8), CodeBook.from_bits(bits)
    peer = Contender(
        "numpy.unique(axis=0) of int8",
        lambda: 1 - len(np.unique(as_int8, axis=0)) / CODES,
        f"installed NumPy {np.__version__}",
    )

    def agree(ours: float, theirs: float) -> None:
        same_number(round(ours, 12), round(theirs, 12))

    case = f"redundancy of {CODES} x {BITS} bits"
    return [
        compare(
            f"{case}, packed",
            Contender("CodeBook.redundancy", book.redundancy, "matropy"),
            peer,
            agree=agree,
            aim=15,
            floor=lambda: np.sort(book.packed[:, 0]),
        ),
        compare(
            f"{case}, packing included",
            Contender("redundancy_ratio", lambda: redundancy_ratio(as_int8), "matropy"),
            peer,
            agree=agree,
            aim=5,
            floor=lambda: as_int8.max(),
        ),
    ]


def neighbors() -> list[Row]:
    codes, queries = planted(CODES, 1), planted(QUERIES, 2)
    labels = np.random.default_rng(3).integers(0, 10, CODES)
    by_scikit_learn = KNeighborsClassifier(NEIGHBORS, metric="hamming", algorithm="brute").fit(codes, labels)
    tenth = KNeighborsClassifier(NEIGHBORS + 1, metric="hamming", algorithm="brute").fit(codes, labels)
    distances = tenth.kneighbors(queries)[0]
    clear = distances[:, -2] != distances[:, -1]
    assert clear.any()
    case = f"{NEIGHBORS} nearest of {CODES} x {BITS} bits, {QUERIES} queries"

    def same_predictions(ours: np.ndarray, theirs: np.ndarray) -> None:
        np.testing.assert_array_equal(ours[clear], theirs[clear])

    rows = [
        compare(
            f"{case}, {backend}",
            Contender("HammingKNN", lambda knn=knn: knn.predict(queries), "matropy"),
            Contender(
                "KNeighborsClassifier, brute force",
                lambda: by_scikit_learn.predict(queries),
                f"installed scikit-learn {version('scikit-learn')}",
            ),
            agree=same_predictions,
            aim=8,
            floor=lambda: signs_product(codes, queries),
            rounds=3,
        )
        for backend, knn in (
            (backend, HammingKNN(NEIGHBORS, backend).fit(codes, labels)) for backend in ("gemm", "popcount")
        )
    ]
    if importlib.util.find_spec("faiss") is not None:
        rows.append(beside_faiss(case, codes, queries, HammingKNN(NEIGHBORS).fit(codes, labels)))
    return rows


def signs_product(codes: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The flops of the matrix product, 2nqw, without anything around them."""
    return np.ones(queries.shape, np.float32) @ np.ones(codes.shape, np.float32).T


def beside_faiss(case: str, codes: np.ndarray, queries: np.ndarray, knn: HammingKNN) -> Row:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexBinaryFlat(BITS)
    index.add(np.packbits(codes, axis=1))
    packed, book = np.packbits(queries, axis=1), CodeBook.from_bits(queries)

    def same_distances(ours: tuple[np.ndarray, ...], theirs: tuple[np.ndarray, ...]) -> None:
        np.testing.assert_array_equal(ours[0], theirs[0])

    return compare(
        case,
        Contender("HammingKNN.kneighbors", lambda: knn.kneighbors(book), "matropy"),
        Contender(
            "faiss IndexBinaryFlat",
            lambda: index.search(packed, NEIGHBORS),
            f"installed faiss-cpu {version('faiss-cpu')}",
        ),
        agree=same_distances,
        aim=0.1,
    )


def recording() -> Row:
    generator = torch.Generator().manual_seed(0)
    model = torch.nn.Sequential(
        *(layer for _ in range(3) for layer in (torch.nn.Linear(1024, 1024), torch.nn.ReLU()))
    ).eval()
    x = torch.randn(256, 1024, generator=generator)

    def plain() -> torch.Tensor:
        with torch.inference_mode():
            return model(x)

    def recorded() -> torch.Tensor:
        with ActivationRecorder(model), torch.inference_mode():
            return model(x)

    def same_bits(ours: torch.Tensor, theirs: torch.Tensor) -> None:
        assert torch.equal(ours, theirs), "the outputs differ"

    return compare(
        "forward pass, 3 layers of 1024, batch 256",
        Contender("with ActivationRecorder", recorded, "matropy"),
        Contender("without", plain, f"installed torch {torch.__version__}"),
        agree=same_bits,
        aim=1 / 1.15,
        rounds=21,
    )


def main() -> None:
    torch.set_num_threads(1)
    batch = np.random.default_rng(0).random((250, 4096)) < 0.5

    def fill() -> CodeBook:
        book = CodeBook.from_bits(batch)
        for _ in range(239):
            book.append(batch)
        return book

    size = extra_memory(lambda: fill().packed)
    rows = [*distinct_rows(), *neighbors(), recording()]
    notes = [
        "One thread. The floor is: a sort of as many 64-bit numbers; one read of the bytes; the matrix product of the signs"
        " alone, 2nqw flops.",
        f"A code book of 60,000 x 4096 bits, filled in batches of 250 and read: {size:.1f} MB of extra memory; its bits are"
        f" {60_000 * 4096 / 8e6:.1f} MB, as int8 they are {60_000 * 4096 / 1e6:.0f} MB.",
        "faiss counts bits in compiled code with a heap in the loop; here they are counted by NumPy, array by array. Its"
        " row is there to be known, with an aim of a tenth of its speed.",
    ]
    report("activation_codes", "Activation codes", rows, ("numpy", "scikit-learn", "torch"), notes)


if __name__ == "__main__":
    main()
