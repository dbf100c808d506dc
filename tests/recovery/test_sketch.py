"""Sketches of rows that arrive in blocks."""

import hashlib
import pickle
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from matropy.recovery import Sketch

KINDS = ("srht", "pooled", "gaussian", "countsketch", "osnap")
every_kind = pytest.mark.parametrize("kind", KINDS)
rng = np.random.default_rng(0)


def matrix(kind, m, n, seed=0, **options):
    """The whole of S, from the columns of the identity."""
    return Sketch(kind, m, seed, **options).update(np.eye(n)).result()


def splitmix64(z):
    """In Python's own integers."""
    mask = 2**64 - 1
    z = (z + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


@every_kind
def test_equals_the_matrix_times_the_rows(kind):
    z = rng.normal(size=(512, 5))
    for options in ({}, {"chunk": 1024}):
        streamed = Sketch(kind, 60, 3, **options).update(z).result()
        np.testing.assert_allclose(streamed, matrix(kind, 60, 512, 3, **options) @ z, rtol=0, atol=1e-12)


def test_srht_is_signs_and_rows_of_a_large_hadamard_matrix():
    m, n, c = 40, 300, 64
    s = matrix("srht", m, n, seed=7, chunk=c)
    np.testing.assert_allclose(np.abs(s), 1 / np.sqrt(m), rtol=1e-14)
    # The same matrix from its definition: signs from a hash of the row, a row of H_c, the parity of a pattern.
    key = int(np.random.Philox(key=7, counter=[0, 0, 0, 0]).random_raw(1)[0])
    drawn = np.random.Philox(key=7 + (1 << 64), counter=[0, 0, 0, 0]).random_raw(m)
    h = scipy.linalg.hadamard(c)
    for i in range(m):
        pattern, offset = int(drawn[i]) >> 24, int(drawn[i]) % c
        for j in (0, 63, 64, 200, 299):
            sign = 1 - 2 * (splitmix64(j ^ key) >> 63)
            parity = 1 - 2 * ((pattern & (j // c)).bit_count() % 2)
            assert s[i, j] == pytest.approx(sign * parity * h[offset, j % c] / np.sqrt(m), rel=1e-14)


def test_a_short_chunk_is_transformed_at_its_own_length_to_the_same_end():
    z = rng.normal(size=(37, 3))
    padded = np.vstack([z, np.zeros((1024 - 37, 3))])
    for kind in ("srht", "pooled"):
        short = Sketch(kind, 20, 0, chunk=1024).update(z).result()
        np.testing.assert_allclose(short, Sketch(kind, 20, 0, chunk=1024).update(padded).result(), atol=1e-12)


def test_sparse_kinds_have_their_nonzeros():
    count = matrix("countsketch", 50, 700)
    assert (np.count_nonzero(count, axis=0) == 1).all()
    assert set(np.unique(np.abs(count))) == {0.0, 1.0}
    for s in (2, 3, 4):
        osnap = matrix("osnap", 50, 700, n_nonzeros=s)
        assert (np.count_nonzero(osnap, axis=0) == s).all()
        np.testing.assert_allclose(np.square(osnap).sum(axis=0), 1, rtol=1e-14)
    used = np.count_nonzero(matrix("osnap", 50, 4000), axis=1)
    assert abs(used / used.mean() - 1).max() < 0.25  # all rows are used alike


def normal(word):
    """By Python's own inverse of the distribution function."""
    return NormalDist().inv_cdf(((int(word) >> 12) + 0.5) / 2**52)


def test_pooled_sums_blocks_of_permuted_coordinates_with_normal_weights():
    c, m, n = 1024, 60, 1500
    s = matrix("pooled", m, n, seed=7, chunk=c)
    key = int(np.random.Philox(key=7, counter=[0, 0, 0, 0]).random_raw(1)[0])
    h = scipy.linalg.hadamard(c)
    for q in (0, 1):
        words = np.random.Philox(key=7 + (2 << 64), counter=[0, q, 0, 0]).random_raw(2 * c)
        order = sorted(range(c), key=lambda place, words=words: int(words[place]))
        for i in (0, 31, 59):
            block = range(i * c // m, (i + 1) * c // m)
            assert len(block) in (c // m, -(-c // m))
            for j in (q * c, q * c + 470):
                sign = 1 - 2 * (splitmix64(j ^ key) >> 63)
                pooled = sum(normal(words[c + place]) * h[order[place], j % c] for place in block)
                assert s[i, j] == pytest.approx(sign * pooled / np.sqrt(c), rel=1e-9, abs=1e-12)


def test_gaussian_entries_are_independent_normal_numbers():
    m, n = 100, 400
    s = matrix("gaussian", m, n, seed=7, chunk=256)
    for j in (0, 3, 256, 399):
        words = np.random.Philox(key=7 + (3 << 64), counter=[0, j // 256, 0, 0]).random_raw(256 * m)
        expected = [normal(word) / 10 for word in words[j % 256 * m :][:m]]
        np.testing.assert_allclose(s[:, j], expected, rtol=1e-9)
    assert scipy.stats.kstest(10 * s.ravel(), "norm").pvalue > 0.01


@every_kind
def test_the_mean_of_the_squared_matrix_is_the_identity(kind):
    n, m, draws = 12, 30, 400
    total = sum(s.T @ s for s in (matrix(kind, m, n, seed=i, chunk=512) for i in range(draws)))
    # The entries have a variance of about 2/m at most.
    assert np.abs(total / draws - np.eye(n)).max() < 5 * np.sqrt(2 / m / draws)


@every_kind
def test_cutting_changes_no_bit(kind):
    n, c = 5003, 512
    z = rng.standard_t(3, size=(n, 3))
    whole = Sketch(kind, 30, 1, chunk=c).update(z).result()
    cuts = [range(1, n, 97), range(1, 300), sorted(rng.integers(0, n + 1, 30)), [512, 1024, 1025]]
    for cut in cuts:
        sketch = Sketch(kind, 30, 1, chunk=c)
        for block in np.split(z, list(cut)):
            sketch.update(block)
        assert (sketch.result() == whole).all()
    assert (Sketch(kind, 30, 1, chunk=c).update(np.asfortranarray(z)).result() == whole).all()


@pytest.mark.slow
@every_kind
@pytest.mark.parametrize("size", [1, 997, 65_536, "random"])
def test_cutting_a_hundred_thousand_rows_changes_no_bit(kind, size):
    z = np.random.default_rng(1).standard_t(3, size=(100_003, 3))
    if size == "random":
        at = np.sort(np.random.default_rng(2).integers(0, len(z) + 1, 200))
    else:
        at = range(size, len(z), size)
    sketch = Sketch(kind, 64, 5)
    for block in np.split(z, list(at)):
        sketch.update(block)
    assert (sketch.result() == Sketch(kind, 64, 5).update(z).result()).all()


@every_kind
def test_merged_workers_equal_one(kind):
    n, c = 9000, 512
    z = rng.normal(size=(n, 4))
    whole = Sketch(kind, 30, 1, chunk=c).update(z).result()
    at = [0, 3, 8, 9, 18]
    workers = [Sketch(kind, 30, 1, chunk=c, start_chunk=a).update(z[a * c : b * c]) for a, b in pairwise(at)]
    merged = workers[2].merge(workers[0]).merge(workers[3]).merge(workers[1])
    assert merged is workers[2]
    assert merged.count == n
    np.testing.assert_allclose(merged.result(), whole, rtol=0, atol=1e-13 * np.abs(whole).max())


@settings(max_examples=20)
@given(
    cuts=st.lists(st.integers(0, 7), max_size=4),
    order=st.randoms(use_true_random=False),
    seed=st.integers(0, 99),
)
def test_merging_in_any_order_equals_one_worker(cuts, order, seed):
    c = 64
    z = np.random.default_rng(seed).normal(size=(7 * c + 13, 2))
    at = [0, *sorted(cuts), 8]
    shares = [
        Sketch("srht", 8, seed, chunk=c, start_chunk=a).update(z[a * c : b * c]) for a, b in pairwise(at)
    ]
    order.shuffle(shares)
    total = Sketch("srht", 8, seed, chunk=c)
    for share in shares:
        total.merge(share)
    whole = Sketch("srht", 8, seed, chunk=c).update(z)
    np.testing.assert_allclose(total.result(), whole.result(), atol=1e-12)
    more = np.random.default_rng(seed).normal(size=(100, 2))
    np.testing.assert_allclose(total.update(more).result(), whole.update(more).result(), atol=1e-12)


def test_merging_leaves_the_other_as_it_is_and_goes_on_after_both():
    z = rng.normal(size=(300, 2))
    left = Sketch("srht", 5, 0, chunk=64).update(z[:128])
    right = Sketch("srht", 5, 0, chunk=64, start_chunk=2).update(z[128:200])
    before = right.result()
    left.merge(right).update(z[200:])
    assert (right.result() == before).all()
    np.testing.assert_allclose(left.result(), Sketch("srht", 5, 0, chunk=64).update(z).result(), atol=1e-12)


@every_kind
def test_asking_changes_nothing_and_survives_pickling(kind):
    z = rng.normal(size=(1500, 3))
    sketch = Sketch(kind, 20, 4, chunk=1024).update(z[:1100])
    first = sketch.result()
    first[:] = 0
    halfway = pickle.loads(pickle.dumps(sketch))  # noqa: S301
    assert (sketch.result() == halfway.result()).all()
    whole = Sketch(kind, 20, 4, chunk=1024).update(z).result()
    assert (sketch.update(z[1100:]).result() == whole).all()
    assert (halfway.update(z[1100:]).result() == whole).all()


@every_kind
def test_sparse_blocks_and_other_types(kind):
    z = np.where(rng.random((700, 4)) < 0.2, rng.integers(-5, 5, (700, 4)), 0)
    whole = Sketch(kind, 20, 0, chunk=512).update(z.astype(float)).result()
    for block in (
        z,
        z.astype(np.float32),
        z.astype(np.int8),
        scipy.sparse.csr_array(z),
        scipy.sparse.csc_matrix(z.astype(float)),
        z.tolist(),
    ):
        assert (Sketch(kind, 20, 0, chunk=512).update(block).result() == whole).all()
    mixed = Sketch(kind, 20, 0, chunk=512).update(scipy.sparse.csr_matrix(z[:100])).update(z[100:])
    assert (mixed.result() == whole).all()


@pytest.mark.parametrize(
    ("kind", "digest"),
    [("srht", "3fe0197945d1c87b"), ("countsketch", "60dcf5f0434bc0ad"), ("osnap", "f7ef18f1c380891b")],
)
def test_the_same_seed_gives_the_same_signs_and_places_on_every_machine(kind, digest):
    signs = np.sign(matrix(kind, 30, 700, seed=2**63 + 5, chunk=512)).astype(np.int8)
    assert hashlib.sha256(signs.tobytes()).hexdigest()[:16] == digest


def test_an_empty_block_changes_nothing():
    z = rng.normal(size=(100, 3))
    sketch = Sketch("srht", 5, 0).update(z)
    before = sketch.result()
    for block in (z[:0], scipy.sparse.csr_array((0, 3)), np.empty((0, 7))):
        assert sketch.update(block) is sketch
    assert (sketch.result() == before).all()
    assert Sketch("srht", 5, 0).update(z[:0]).n_columns is None


def test_rows_that_change_later_were_already_taken():
    z = rng.normal(size=(100, 3))
    sketch = Sketch("srht", 5, 0, chunk=64).update(z)
    before = sketch.result()
    z[:] = 0
    assert (sketch.result() == before).all()


def test_knows_its_columns_of_ones():
    z = rng.normal(size=(200, 4))
    z[:, 2] = 1
    z[0, 0] = 1
    sketch = Sketch("srht", 5, 0, chunk=64).update(z[:100]).update(scipy.sparse.csr_array(z[100:]))
    assert sketch.columns_of_ones == (2,)
    other = Sketch("srht", 5, 0, chunk=64, start_chunk=4).update(rng.normal(size=(9, 4)))
    assert sketch.count == 200
    with pytest.raises(ValueError, match="ends within chunk 3 is not the last"):
        sketch.merge(other)


def test_default_chunks():
    assert Sketch("srht", 100_000, 0).chunk == 8192
    assert Sketch("pooled", 512, 0).chunk == 8192
    assert Sketch("pooled", 513, 0).chunk == 16384
    assert repr(Sketch("srht", 5, 7)) == "Sketch('srht', 5, seed=7, chunk=8192, start_chunk=0, count=0)"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("fjlt", 5, 0), {}, ValueError, "kind must be one of 'srht', 'pooled'"),
        (("srht", 0, 0), {}, ValueError, "n_rows must be at least 1|n_rows must be between 1"),
        (("srht", 5.0, 0), {}, TypeError, "n_rows must be an integer"),
        (("srht", 5, -1), {}, ValueError, "seed must be between 0"),
        (("srht", 5, 2**64), {}, ValueError, "seed must be between 0"),
        (("srht", 5, None), {}, TypeError, "seed must be an integer"),
        (("srht", 5, 0), {"chunk": 100}, ValueError, "chunk must be a power of two, got 100"),
        (("srht", 5, 0), {"chunk": 0}, ValueError, "chunk must be between 1"),
        (("pooled", 65, 0), {"chunk": 1024}, ValueError, "chunk must be at least 16 n_rows = 1040"),
        (("pooled", 2**21, 0), {}, ValueError, "n_rows of kind='pooled' must be at most 1048576"),
        (("srht", 5, 0), {"start_chunk": -1}, ValueError, "start_chunk must be between 0"),
        (("osnap", 5, 0), {"n_nonzeros": 6}, ValueError, "n_nonzeros must be at most n_rows = 5, got 6"),
        (("osnap", 5, 0), {"n_nonzeros": 0}, ValueError, "n_nonzeros must be at least 1"),
    ],
)
def test_bad_parameters_are_named(arguments, options, error, message):
    with pytest.raises(error, match=message):
        Sketch(*arguments, **options)


def spoiled(value, row, rows=300):
    z = np.ones((rows, 3))
    z[row, 1] = value
    return z


@pytest.mark.parametrize(
    ("block", "error", "message"),
    [
        (np.ones((2, 4)), ValueError, "block 1 must have 3 columns as the blocks before it, got 4"),
        (spoiled(np.nan, 7), ValueError, "block 1, row 7 holds NaN or infinite"),
        (spoiled(np.inf, 299), ValueError, "block 1, row 299 holds NaN or infinite"),
        (spoiled(-np.inf, 130).astype(np.float32), ValueError, "block 1, row 130 holds NaN"),
        (scipy.sparse.csr_array(spoiled(np.nan, 131)), ValueError, "block 1, row 131 holds NaN"),
        (np.ones(3), ValueError, r"block 1 must have 2 axes, got shape \(3,\)"),
        (np.ones((2, 3)) * 1j, TypeError, "block 1 must hold real numbers, got dtype complex128"),
        (np.array([["a", "b", "c"]]), TypeError, "block 1 must hold real numbers"),
    ],
)
def test_bad_blocks_are_named_and_leave_no_trace(block, error, message):
    z = rng.normal(size=(400, 3))
    sketch = Sketch("srht", 5, 0, chunk=64).update(z[:100])
    with pytest.raises(error, match=message):
        sketch.update(block)
    assert (sketch.update(z[100:]).result() == Sketch("srht", 5, 0, chunk=64).update(z).result()).all()


def test_a_first_block_without_columns():
    with pytest.raises(ValueError, match="block 0 has no columns"):
        Sketch("srht", 5, 0).update(np.ones((3, 0)))


def test_large_finite_values_are_no_infinities():
    z = np.full((4, 2), 1e308)
    assert np.isfinite(Sketch("countsketch", 50, 0).update(z).result()).all()


def test_nothing_seen_nothing_said():
    with pytest.raises(ValueError, match="this Sketch has seen no rows"):
        Sketch("srht", 5, 0).result()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Sketch("gaussian", 5, 0, chunk=64), "kind is 'srht' here and 'gaussian' there"),
        (Sketch("srht", 6, 0, chunk=64), "n_rows is 5 here and 6 there"),
        (Sketch("srht", 5, 1, chunk=64), "seed is 0 here and 1 there"),
        (Sketch("srht", 5, 0, chunk=128), "chunk is 64 here and 128 there"),
        (
            Sketch("srht", 5, 0, chunk=64, start_chunk=9).update(np.ones((5, 4))),
            "n_columns is 3 here and 4 there",
        ),
        (Sketch("srht", 5, 0, chunk=64, start_chunk=1).update(np.ones((64, 3))), "both hold chunk 1"),
        (Sketch("srht", 5, 0, chunk=64, start_chunk=2).update(np.ones((5, 3))), "both hold chunk 2"),
        (
            Sketch("srht", 5, 0, chunk=64, start_chunk=3).update(np.ones((5, 3))),
            "within chunk 2 is not the last",
        ),
    ],
)
def test_what_cannot_be_merged_is_named_and_leaves_no_trace(other, message):
    z = rng.normal(size=(150, 3))
    sketch = Sketch("srht", 5, 0, chunk=64).update(z)
    before = sketch.result()
    with pytest.raises(ValueError, match="cannot merge: .*" + message):
        sketch.merge(other)
    assert (sketch.result() == before).all()


def test_merging_odd_things():
    sketch = Sketch("osnap", 8, 0, n_nonzeros=2).update(np.ones((5, 2)))
    with pytest.raises(ValueError, match="n_nonzeros is 2 here and 4 there"):
        sketch.merge(Sketch("osnap", 8, 0))
    with pytest.raises(TypeError, match="other must be a Sketch, got ndarray"):
        sketch.merge(np.ones(3))
    with pytest.raises(ValueError, match="both hold chunk 0"):
        sketch.merge(sketch)
    before = sketch.result()
    assert (sketch.merge(Sketch("osnap", 8, 0, n_nonzeros=2, start_chunk=5)).result() == before).all()


def test_memory_of_a_memory_map_is_that_of_its_chunks(tmp_path):
    import tracemalloc

    rows = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", np.float32, (200_000, 32))
    rows[:] = 1
    sketch = Sketch("srht", 100, 0)
    tracemalloc.start()
    sketch.update(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sketch.count == 200_000
    assert peak < 5 * 8 * 8192 * 32 + 1_000_000
