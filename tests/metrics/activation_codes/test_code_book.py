"""Code books against NumPy on unpacked bits, closed forms and properties."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import entropy as scipy_entropy

from matropy.metrics import CodeBook, redundancy_ratio
from matropy.metrics._activation_codes import _distinct

few_bits = hnp.arrays(
    np.bool_,
    st.tuples(st.integers(1, 40), st.sampled_from([1, 2, 3, 63, 64, 65, 130])),
    elements=st.booleans(),
)


def planted(rows, width, seed):
    """Random codes some of which are repeated."""
    rng = np.random.default_rng(seed)
    return (rng.random((rows, width)) < 0.5)[rng.integers(0, rows, rows)]


def by_numpy(bits):
    return 1 - len(np.unique(bits, axis=0)) / len(bits)


@pytest.mark.parametrize("width", [1, 7, 63, 64, 65, 400])
def test_redundancy_equals_numpy_unique(width):
    for seed in range(34):
        bits = planted(3 + 5 * seed, width, seed)
        assert redundancy_ratio(bits) == pytest.approx(by_numpy(bits), abs=1e-15)
    assert redundancy_ratio(np.tile(bits[:1], (50, 1))) == 49 / 50
    assert redundancy_ratio(bits[:1]) == 0


def test_surplus_is_counted_not_collisions():
    book = CodeBook.from_bits([[0, 1], [0, 1], [0, 1], [1, 0]])
    assert book.redundancy() == 0.5
    assert book.collision_share() == 0.75


@given(few_bits)
def test_unique_codes_come_in_order_of_first_occurrence(bits):
    book, counts = CodeBook.from_bits(bits).unique(return_counts=True)
    seen = {}
    for row in map(tuple, bits.tolist()):
        seen[row] = seen.get(row, 0) + 1
    assert list(map(tuple, book.to_bits().tolist())) == list(seen)
    assert counts.tolist() == list(seen.values())
    np.testing.assert_array_equal(CodeBook.from_bits(bits).unique().packed, book.packed)


@pytest.mark.parametrize("hashes", ["constant", "seed 0 only", "two values"])
def test_forced_hash_collisions_change_nothing(monkeypatch, hashes):
    bits = planted(500, 130, 0)
    expected = CodeBook.from_bits(bits).unique(return_counts=True)
    genuine = _distinct.hash_rows

    def colliding(packed, seed):
        if hashes == "seed 0 only" and seed > 0:
            return genuine(packed, seed)
        return genuine(packed, seed) % np.uint64(2 if hashes == "two values" else 1)

    monkeypatch.setattr(_distinct, "hash_rows", colliding)
    book, counts = CodeBook.from_bits(bits).unique(return_counts=True)
    np.testing.assert_array_equal(book.packed, expected[0].packed)
    np.testing.assert_array_equal(counts, expected[1])


def test_hashes_tell_codes_apart_that_differ_in_a_few_bits():
    """One and two bits set of 256, and their complements: structure that a weak mix would fold together."""
    pairs = [(i, j) for i in range(256) for j in range(i, 256)]
    bits = np.zeros((len(pairs), 256), bool)
    for row, (i, j) in enumerate(pairs):
        bits[row, [i, j]] = True
    bits = np.concatenate([bits, ~bits])
    packed = CodeBook.from_bits(bits).packed
    assert len(np.unique(_distinct.hash_rows(packed, 0))) == len(bits)
    assert len(np.unique(_distinct.digest_rows(packed)[:, 0])) == len(bits)


def test_distances_equal_those_of_bits():
    rng = np.random.default_rng(0)
    for width in (1, 64, 400, 2049):
        left, right = rng.random((30, width)) < 0.5, rng.random((45, width)) < 0.4
        expected = (left[:, None] != right[None]).sum(-1)
        first, second = CodeBook.from_bits(left), CodeBook.from_bits(right)
        for block in (1, 7, 256):
            np.testing.assert_array_equal(first.hamming(second, block=block), expected)
        np.testing.assert_array_equal(second.hamming(first), expected.T)
    assert first.hamming().dtype.kind == "i"
    np.testing.assert_array_equal(first.hamming(), (left[:, None] != left[None]).sum(-1))


@given(few_bits)
def test_dropping_constant_units_changes_no_distance_and_no_redundancy(bits):
    book = CodeBook.from_bits(bits)
    dropped = book.drop_constant()
    varies = (bits != bits[0]).any(0)
    assert dropped.n_bits == varies.sum()
    np.testing.assert_array_equal(dropped.to_bits(), bits[:, varies])
    assert dropped.redundancy() == book.redundancy()
    np.testing.assert_array_equal(dropped.hamming(), book.hamming())
    np.testing.assert_array_equal(book.dead(), ~bits.any(0))
    np.testing.assert_array_equal(book.always_on(), bits.all(0))


def test_a_book_whose_units_are_all_constant_keeps_its_redundancy():
    book = CodeBook.from_bits(np.tile([[1, 0, 1]], (5, 1))).drop_constant()
    assert (book.n_bits, len(book), book.redundancy()) == (0, 5, 0.8)
    assert book.bit_entropy() == 0
    assert book.entropy() == 0
    assert book.to_bits().shape == (5, 0)
    assert book.hamming().tolist() == [[0] * 5] * 5


@pytest.mark.parametrize("order", [0, 0.5, 1, 2, math.inf])
def test_entropies_of_known_counts(order):
    counts = np.array([5, 3, 1, 1])
    bits = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], counts, axis=0)
    p = counts / 10
    expected = {
        0: np.log(4),
        0.5: 2 * np.log(np.sqrt(p).sum()),
        1: scipy_entropy(p),
        2: -np.log((p**2).sum()),
        math.inf: -np.log(0.5),
    }[order]
    book = CodeBook.from_bits(bits)
    assert book.entropy(order) == pytest.approx(expected, rel=1e-12)
    assert book.entropy(order, base=2) == pytest.approx(expected / np.log(2), rel=1e-12)
    assert book.effective_codes(order) == pytest.approx(np.exp(expected), rel=1e-12)


def test_bit_entropy_is_the_mean_over_units():
    bits = np.array([[1, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 1]])
    expected = 2 * scipy_entropy([0.25, 0.75]) / 4
    assert CodeBook.from_bits(bits).bit_entropy() == pytest.approx(expected, rel=1e-12)
    assert CodeBook.from_bits(bits).bit_entropy(base=2) == pytest.approx(expected / np.log(2), rel=1e-12)


def test_codebook_size_of_draws_from_equally_likely_codes():
    rng = np.random.default_rng(0)
    codes = rng.random((1000, 80)) < 0.5
    sizes = [CodeBook.from_bits(codes[rng.integers(0, 1000, 2000)]).codebook_size() for _ in range(5)]
    assert all(900 < size < 1100 for size in sizes)


@pytest.mark.parametrize(("n", "size"), [(50, 3.0), (2000, 1000.0), (500, 123456.0)])
def test_codebook_size_inverts_the_expected_number_of_codes(n, size, monkeypatch):
    """Where the expectation is not whole, the root lies between those of the whole numbers around it."""
    expected = size * (1 - (1 - 1 / size) ** n)

    def root(u):
        book = CodeBook(np.zeros((n, 1), np.uint64), 1)
        counts = np.ones(u, np.int64)
        monkeypatch.setattr(book, "_counts", lambda: counts)
        return book.codebook_size()

    low, high = root(math.floor(expected)), root(math.ceil(expected))
    assert low <= size * (1 + 1e-9)
    assert high >= size * (1 - 1e-9)
    if math.isfinite(high):
        assert high * (1 - (1 - 1 / high) ** n) == pytest.approx(math.ceil(expected), rel=1e-9)


def test_codebook_size_at_its_ends():
    assert CodeBook.from_bits(np.eye(4)).codebook_size() == math.inf
    assert CodeBook.from_bits(np.zeros((4, 3))).codebook_size() == 1
    assert CodeBook.from_bits([[1, 0]]).codebook_size() == math.inf


@pytest.mark.parametrize("seed", range(10))
def test_appending_equals_all_at_once(seed):
    rng = np.random.default_rng(seed)
    bits = planted(200, 70, seed)
    cuts = np.sort(rng.choice(np.arange(1, 200), 5, replace=False))
    first, *rest = np.split(bits, cuts)
    book = CodeBook.from_bits(first)
    for index, part in enumerate(rest):
        assert book.append(part if index % 2 else CodeBook.from_bits(torch.from_numpy(part))) is book
    assert len(book) == 200
    np.testing.assert_array_equal(book.to_bits(), bits)
    assert book.redundancy() == redundancy_ratio(bits)


def test_appending_a_book_to_itself_and_later_to_it_leaves_the_other_alone():
    book = CodeBook.from_bits([[0, 1], [1, 1]])
    other = CodeBook.from_bits([[0, 0]])
    other.append(book).append(other)
    book.append(book)
    assert other.to_bits().astype(int).tolist() == [[0, 0], [0, 1], [1, 1]] * 2
    assert book.to_bits().astype(int).tolist() == [[0, 1], [1, 1]] * 2


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident memory is not told here")
def test_sixty_thousand_codes_of_4096_bits_take_32_megabytes(run_python):
    """Resident memory, in a process of its own: the book, one batch, and no second copy when it is read."""
    script = """
import numpy as np, re
from matropy.metrics import CodeBook
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1e3
rng = np.random.default_rng(0)
bits = rng.random((250, 4096)) < 0.5
book = CodeBook.from_bits(bits)
before = peak()
for _ in range(239):
    book.append(bits)
packed = book.packed
print(len(book), packed.nbytes, peak() - before)
"""
    rows, size, extra = run_python(script).split()
    assert (int(rows), int(size)) == (60_000, 60_000 * 4096 // 8)
    assert float(extra) < 40


def test_a_saved_book_comes_back(tmp_path):
    book = CodeBook.from_bits(planted(20, 70, 0))
    loaded = CodeBook.load(book.save(tmp_path / "codes.npz"))
    assert loaded == book
    assert loaded.n_bits == 70
    assert [file.name for file in tmp_path.iterdir()] == ["codes.npz"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no archive", "holds no code book"),
        (b"", "holds no code book"),
        (None, "cannot read"),
        ({"packed": np.zeros((2, 1), np.uint64)}, "holds no code book"),
        ({"packed": np.zeros((2, 2), np.uint64), "n_bits": np.int64(5)}, "must have shape"),
        ({"packed": np.array([[64]], np.uint64), "n_bits": np.int64(5)}, "bits set beyond the width"),
        ({"packed": np.array([None]), "n_bits": np.int64(5)}, "holds no code book"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, message):
    path = tmp_path / "codes.npz"
    if isinstance(content, dict):
        np.savez(path, **content)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        CodeBook.load(path)


def test_books_are_equal_when_their_codes_are():
    book = CodeBook.from_bits([[1, 0], [0, 1]])
    assert book == CodeBook.from_bits([[1, 0]]).append([[0, 1]])
    assert book != CodeBook.from_bits([[0, 1], [1, 0]])
    assert book != CodeBook.from_bits([[1, 0, 0], [0, 1, 0]])
    assert book != [[1, 0], [0, 1]]


def test_the_words_are_read_only():
    book = CodeBook.from_bits([[1, 0]])
    with pytest.raises(ValueError, match="read-only"):
        book.packed[0] = 7
    assert repr(book) == "CodeBook(1 codes of 2 bits)"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda book: CodeBook(np.zeros((2, 1)), 3),
            TypeError,
            "packed must be a NumPy array of uint64, got float64",
        ),
        (lambda book: CodeBook([[1]], 3), TypeError, "got list"),
        (
            lambda book: CodeBook(np.zeros((2, 1), np.uint64), 65),
            ValueError,
            r"shape \(n, 2\) for codes of 65 bits",
        ),
        (lambda book: CodeBook(np.zeros((0, 1), np.uint64), 3), ValueError, "packed is empty"),
        (lambda book: CodeBook(np.full((1, 1), 8, np.uint64), 3), ValueError, "beyond the width of 3"),
        (lambda book: CodeBook(np.zeros((1, 1), np.uint64), 1.5), TypeError, "n_bits must be an integer"),
        (lambda book: book.append([[0, 1]]), ValueError, "codes must have 3 bits.*got 2"),
        (lambda book: book.append([[0, 1, 2]]), ValueError, "codes must be 0 or 1, got 2"),
        (lambda book: book.hamming(CodeBook.from_bits([[1]])), ValueError, "codes of 3 bits, got 1"),
        (lambda book: book.hamming([[1, 0, 1]]), TypeError, "other must be a CodeBook, got list"),
        (lambda book: book.hamming(block=0), ValueError, "block must be at least 1"),
        (lambda book: book.entropy(-1), ValueError, "order must be"),
        (lambda book: book.bit_entropy(base=1), ValueError, "base must be"),
        (lambda book: redundancy_ratio([[0.5]]), ValueError, "codes must be 0 or 1"),
        (lambda book: redundancy_ratio(np.zeros((0, 4))), ValueError, "codes is empty"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(call, error, message):
    book = CodeBook.from_bits([[0, 1, 1], [1, 1, 1]])
    with pytest.raises(error, match=message):
        call(book)
    assert len(book) == 2


def test_code_books_do_not_import_torch(run_python):
    said = run_python("import sys\nfrom matropy.metrics import CodeBook, phase_chart\nprint(*sys.modules)")
    assert "torch" not in said.split()
