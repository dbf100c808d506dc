"""The exact Vendi score: closed forms, invariants, published figures, every route, bad input."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from matropy.linalg import Gram
from matropy.metrics import internal_diversity, kernels, vendi_score

ORDERS = [0, 0.1, 0.5, 0.999, 1, 1.001, 2, 3, 7.5, math.inf]
TOY = np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])


def rows(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def random_kernel(n, seed=0):
    """Unit diagonal, positive semidefinite, of a random rank."""
    rng = np.random.default_rng(seed)
    return kernels.cosine(rng.normal(size=(n, rng.integers(1, 2 * n + 1))) + rng.exponential())


def reference(kernel, order, p=None):
    """The definition, by eigenvalues of numpy."""
    n = len(kernel)
    p = np.full(n, 1 / n) if p is None else p
    eigenvalues = np.linalg.eigvalsh(np.sqrt(np.outer(p, p)) * kernel)
    eigenvalues = eigenvalues[eigenvalues > 1e-13]
    if order == 1:
        return np.exp(-np.sum(eigenvalues * np.log(eigenvalues)))
    if order == math.inf:
        return 1 / eigenvalues.max()
    return np.sum(eigenvalues**order) ** (1 / (1 - order))


def precomputed(kernel, **options):
    return vendi_score(kernel, kernel="precomputed", **options)


class TestValues:
    @pytest.mark.parametrize("n", [1, 2, 100])
    def test_all_unlike_and_all_alike(self, n):
        np.testing.assert_allclose(precomputed(np.eye(n), order=ORDERS), n, rtol=1e-9)
        np.testing.assert_allclose(precomputed(np.ones((n, n)), order=ORDERS), 1, rtol=1e-9)
        for order in (2, 3, math.inf):
            assert precomputed(np.eye(n), order=order) == pytest.approx(n, rel=1e-9)
            assert precomputed(np.ones((n, n)), order=order) == pytest.approx(1, rel=1e-9)

    @pytest.mark.parametrize("method", ["auto", "eigh"])
    @pytest.mark.parametrize(
        ("order", "expected"),
        [
            (0, 3),
            (0.1, 2.845537),
            (0.5, 2.420348),
            (1, 2.157300),
            (2, 1.948052),
            (3, 1.853406),
            (math.inf, 1.578947),
        ],
    )
    def test_three_items(self, order, expected, method):
        # Eigenvalues of K/3 by hand: 1.9/3, 1/3, 0.1/3.
        by_hand = np.array([1.9, 1, 0.1]) / 3
        exact = {1: math.exp(-np.sum(by_hand * np.log(by_hand))), math.inf: 3 / 1.9}.get(order)
        if exact is None:
            exact = np.sum(by_hand**order) ** (1 / (1 - order))
        assert precomputed(TOY, order=order, method=method) == pytest.approx(exact, rel=1e-12)
        assert exact == pytest.approx(expected, abs=5e-7)

    @pytest.mark.parametrize("order", [0, 0.1, 1, 2, 3, math.inf])
    @pytest.mark.parametrize("kernel", ["cosine", "rbf", "tanimoto", "precomputed"])
    def test_against_the_definition(self, kernel, order):
        x = {"tanimoto": (rows(150, 20) > 0.8).astype(float), "precomputed": random_kernel(150, 3)}.get(
            kernel, rows(150, 6) + 0.5
        )
        matrix = {
            "cosine": lambda: kernels.cosine(x),
            "rbf": lambda: kernels.rbf(x),
            "tanimoto": lambda: kernels.tanimoto(x),
            "precomputed": lambda: x,
        }[kernel]()
        p = np.random.default_rng(1).dirichlet(np.ones(150))
        for weights in (None, p):
            score = vendi_score(x, kernel=kernel, order=order, weights=weights)
            assert score == pytest.approx(reference(matrix, order, weights), rel=1e-9)
            assert isinstance(score, float)

    def test_published_sentences(self):
        sentences = ["Look, Jane.", "See Spot.", "See Spot run.", "Run, Spot, run.", "Jane sees Spot run."]
        score = precomputed(kernels.ngram(sentences, n=(1, 2)))
        assert score == pytest.approx(3.90657, abs=1e-5)
        assert vendi_score(sentences, kernel="ngram") == pytest.approx(precomputed(kernels.ngram(sentences)))

    @pytest.mark.parametrize(
        ("name", "distinct", "order_1", "order_2", "order_infinity"),
        [
            ("real", 1500, 403.9298, 40.7487, 6.7325),
            ("char3", 784, 149.8069, 24.2038, 5.6984),
            ("char5", 900, 214.4550, 38.7517, 7.3084),
            ("char10", 1354, 389.0942, 43.9899, 7.1554),
        ],
    )
    def test_published_molecules(self, data, name, distinct, order_1, order_2, order_infinity):
        with np.load(data("vendi-score/morgan1024.npz")) as file:
            bits = np.unpackbits(file[name], axis=1)
        zero, small, one, two, infinity = vendi_score(bits, kernel="tanimoto", order=[0, 0.1, 1, 2, math.inf])
        assert zero == distinct == len(np.unique(bits, axis=0))
        assert (one, two, infinity) == pytest.approx((order_1, order_2, order_infinity), abs=1e-3)
        if name == "char3":
            assert small == pytest.approx(713.33, abs=0.05)
        for order, expected in ((2, two), (math.inf, infinity)):
            assert vendi_score(bits, kernel="tanimoto", order=order) == pytest.approx(expected, rel=1e-9)

    def test_internal_diversity_ranks_the_molecules_backwards(self, data):
        with np.load(data("vendi-score/morgan1024.npz")) as file:
            sets = {name: np.unpackbits(file[name], axis=1) for name in ("real", "char10", "char5", "char3")}
        diversity = [internal_diversity(bits, kernel="tanimoto") for bits in sets.values()]
        assert diversity == pytest.approx([0.85508, 0.86551, 0.88048, 0.88582], abs=1e-5)
        assert diversity == sorted(diversity)

    def test_digits_without_resizing(self, data):
        with np.load(data("deyo/mnist_test10k.npz")) as file:
            x, y = file["x"], file["y"]
        assert vendi_score(x[y == 0].reshape(-1, 784)) == pytest.approx(9.0608, abs=1e-4)
        assert vendi_score(x[y == 9].reshape(-1, 784)) == pytest.approx(10.2439, abs=1e-4)


class TestProperties:
    @given(n=st.integers(1, 30), seed=st.integers(0, 999))
    def test_between_one_and_n_and_not_rising_with_the_order(self, n, seed):
        scores = precomputed(random_kernel(n, seed), order=ORDERS)
        assert np.all(scores >= 1 - 1e-12)
        assert np.all(scores <= n * (1 + 1e-12))
        assert np.all(np.diff(scores) <= 1e-9 * scores[:-1])

    @given(counts=st.lists(st.integers(1, 5), min_size=1, max_size=8), seed=st.integers(0, 99))
    def test_duplicates_are_weights(self, counts, seed):
        x = rows(len(counts), 12, seed)
        p = np.array(counts) / sum(counts)
        repeated, distinct = (
            vendi_score(np.repeat(x, counts, axis=0), order=ORDERS),
            vendi_score(x, weights=p, order=ORDERS),
        )
        np.testing.assert_allclose(repeated, distinct, rtol=1e-9)
        assert internal_diversity(np.repeat(x, counts, axis=0)) == pytest.approx(
            internal_diversity(x, weights=p), abs=1e-12
        )

    @given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5), seed=st.integers(0, 99))
    def test_dissimilar_groups(self, sizes, seed):
        blocks = [random_kernel(size, seed + i) for i, size in enumerate(sizes)]
        whole = np.zeros((sum(sizes), sum(sizes)))
        for block, end in zip(blocks, np.cumsum(sizes), strict=True):
            whole[end - len(block) : end, end - len(block) : end] = block
        p = np.array(sizes) / sum(sizes)
        log_scores = np.log([precomputed(block) for block in blocks])
        assert np.log(precomputed(whole)) == pytest.approx(-p @ np.log(p) + p @ log_scores, abs=1e-9)
        for q in (0.5, 2, 3, 4.5):
            parts = np.array([precomputed(block, order=q) for block in blocks])
            assert precomputed(whole, order=q) ** (1 - q) == pytest.approx(p**q @ parts ** (1 - q), rel=1e-9)

    @given(n=st.integers(2, 20), seed=st.integers(0, 99))
    def test_order_of_items_does_not_matter(self, n, seed):
        rng = np.random.default_rng(seed)
        kernel, p, order = random_kernel(n, seed), rng.dirichlet(np.ones(n)), rng.permutation(n)
        np.testing.assert_allclose(
            precomputed(kernel[np.ix_(order, order)], weights=p[order], order=[0.5, 1, 2]),
            precomputed(kernel, weights=p, order=[0.5, 1, 2]),
            rtol=1e-9,
        )

    def test_orders_and_weights_of_other_kinds(self):
        x, p = rows(6, 3), np.random.default_rng(0).dirichlet(np.ones(6))
        expected = vendi_score(x, order=2, weights=p)
        for order in (2.0, np.float64(2), np.int64(2), np.array(2.0), torch.tensor(2)):
            assert vendi_score(x, order=order, weights=torch.from_numpy(p)) == pytest.approx(expected)
        for orders in ([2], (2.0,), np.array([2]), torch.tensor([2.0])):
            assert vendi_score(x.tolist(), order=orders, weights=p.tolist()).tolist() == pytest.approx(
                [expected]
            )

    def test_an_item_without_weight_is_not_there(self):
        kernel = random_kernel(6)
        np.testing.assert_allclose(
            precomputed(kernel, weights=[0.2] * 5 + [0], order=ORDERS),
            precomputed(kernel[:5, :5], order=ORDERS),
            rtol=1e-9,
        )

    def test_rounding_is_not_counted_as_rare_items(self):
        """A kernel of rank 8 among 300 items; its noise is far below every item."""
        x = rows(300, 8)
        assert precomputed(x @ x.T, normalize=True, order=0) == 8
        assert vendi_score(x, order=0, method="eigh") == vendi_score(x, order=0, method="dual") == 8
        single = kernels.cosine(x.astype(np.float32))
        assert precomputed(single, order=0) == 8
        assert precomputed(single, order=0.1) == pytest.approx(vendi_score(x, order=0.1), rel=1e-3)


class TestRoutes:
    @pytest.mark.parametrize(("n", "d"), [(40, 7), (7, 40), (12, 12), (1, 3)])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_dual_equals_primal(self, n, d, weighted):
        x = rows(n, d) + 1
        p = np.random.default_rng(0).dirichlet(np.ones(n)) if weighted else None
        scores = [
            vendi_score(x, weights=p, order=ORDERS, method=method) for method in ("eigh", "dual", "auto")
        ]
        np.testing.assert_allclose(scores[1], scores[0], rtol=1e-9)
        np.testing.assert_allclose(scores[2], scores[0], rtol=1e-9)

    def test_texts_of_few_words_take_the_dual_route(self):
        texts = [" ".join(np.random.default_rng(i).choice(["a", "b"], 2)) for i in range(60)]
        for p in (None, np.random.default_rng(0).dirichlet(np.ones(60))):
            scores = [
                vendi_score(texts, kernel="ngram", weights=p, order=[0.5, 1, 2], method=method)
                for method in ("auto", "dual", "eigh")
            ]
            np.testing.assert_allclose(scores[0], scores[2], rtol=1e-9)
            np.testing.assert_allclose(scores[1], scores[2], rtol=1e-9)
            assert internal_diversity(texts, kernel="ngram", weights=p) == pytest.approx(
                internal_diversity(kernels.ngram(texts), kernel="precomputed", weights=p)
            )

    @pytest.mark.parametrize("kernel", ["rbf", "tanimoto", "precomputed"])
    def test_the_dual_route_needs_features(self, kernel):
        with pytest.raises(ValueError, match="method='dual' needs a kernel with explicit features"):
            vendi_score(np.eye(3), kernel=kernel, method="dual", sigma=1.0)

    def test_wide_data_never_makes_a_matrix_of_columns(self):
        assert vendi_score(np.eye(3, 200_000)) == pytest.approx(3)

    def test_order_two_never_makes_a_matrix_of_items(self, monkeypatch):
        import tracemalloc

        monkeypatch.setattr("matropy.metrics._vendi._spectrum._PIECE", 2**16)
        x, p = rows(2_000, 4), np.random.default_rng(0).dirichlet(np.ones(2_000))
        tracemalloc.start()
        score = vendi_score(x, kernel="rbf", sigma=1.0, order=2, weights=p)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2_000**2 * 8 / 8
        assert score == pytest.approx(1 / (p @ kernels.rbf(x, sigma=1.0) ** 2 @ p), rel=1e-12)

    def test_linear_is_cosine_of_unit_rows(self):
        x = rows(9, 4)
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        expected = vendi_score(x, order=ORDERS)
        np.testing.assert_allclose(vendi_score(unit, kernel="linear", order=ORDERS), expected, rtol=1e-9)
        np.testing.assert_allclose(
            vendi_score(x, kernel="linear", normalize=True, order=ORDERS), expected, rtol=1e-9
        )
        single = torch.from_numpy(unit).float()
        assert float(vendi_score(single, kernel="linear")) == pytest.approx(expected[4], rel=1e-5)
        with pytest.raises(ValueError, match="x must hold unit rows for kernel 'linear'"):
            vendi_score(x, kernel="linear")

    def test_functions_of_two_items(self):
        words = ["aa", "ab", "bb", "aa"]

        def shared(a, b):
            return len(set(a) & set(b)) / (len(set(a)) * len(set(b))) ** 0.5

        matrix = np.array([[shared(a, b) for b in words] for a in words])
        np.testing.assert_allclose(
            vendi_score(words, kernel=shared, order=ORDERS), precomputed(matrix, order=ORDERS), rtol=1e-12
        )
        assert internal_diversity(words, kernel=shared) == pytest.approx(1 - matrix.mean())
        x = rows(5, 3)
        np.testing.assert_allclose(
            vendi_score(x, kernel=lambda a, b: a @ b, normalize=True, order=ORDERS),
            vendi_score(x, order=ORDERS),
            rtol=1e-9,
        )

    def test_clipping_takes_negative_eigenvalues_as_zero(self):
        kernel = np.array([[1, 0.9, 0.0], [0.9, 1, 0.9], [0.0, 0.9, 1]])
        eigenvalues = np.maximum(np.linalg.eigvalsh(kernel), 0)
        share = eigenvalues / eigenvalues.sum()
        share = share[share > 0]
        for order in (0, 0.5, 1, 2, 3, math.inf):
            for method in ("auto", "eigh"):
                with pytest.raises(ValueError, match="not positive semidefinite"):
                    precomputed(kernel, order=order, method=method)
            score = precomputed(kernel, order=order, psd="clip")
            expected = {1: np.exp(-share @ np.log(share)), math.inf: 1 / share.max()}.get(
                order, np.sum(share**order) ** (1 / (1 - order)) if order not in (1, math.inf) else 0
            )
            assert score == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(
            precomputed(TOY, psd="clip", order=ORDERS), precomputed(TOY, order=ORDERS), rtol=1e-12
        )


class TestStreams:
    def test_a_gram_of_unit_rows(self):
        x = rows(50, 6)
        expected = vendi_score(x, order=ORDERS)
        pieces = np.split(x, np.sort(np.random.default_rng(0).choice(np.arange(1, 50), 6, replace=False)))
        gram = Gram(6, normalize="rows")
        for piece in pieces:
            gram.update(piece)
        np.testing.assert_allclose(vendi_score(gram, order=ORDERS), expected, rtol=1e-9)
        merged = Gram(6)
        for part in np.array_split(x, 3):
            merged.merge(Gram(6).update(part / np.linalg.norm(part, axis=1, keepdims=True)))
        np.testing.assert_allclose(vendi_score(merged, kernel="linear", order=ORDERS), expected, rtol=1e-9)
        assert internal_diversity(merged) == pytest.approx(internal_diversity(x), abs=1e-12)
        few = Gram(200, normalize="rows").update(np.eye(3, 200))
        assert vendi_score(few) == pytest.approx(3)
        assert isinstance(vendi_score(Gram(6, normalize="rows").update(torch.from_numpy(x))), torch.Tensor)

    @pytest.mark.parametrize(
        ("gram", "options", "message"),
        [
            (Gram(3, center=True), {}, "made with center=True"),
            (Gram(3), {}, "must hold unit rows: its trace is 45"),
            (Gram(3, normalize="rows"), {"kernel": "rbf"}, "kernel must be 'cosine' or 'linear'"),
            (Gram(3, normalize="rows"), {"weights": [1.0]}, "weights apply to items"),
            (Gram(3, normalize="rows"), {"method": "eigh"}, "method='eigh' needs the items"),
        ],
    )
    def test_other_grams_are_refused(self, gram, options, message):
        with pytest.raises(ValueError, match=message):
            vendi_score(gram.update(3 * np.eye(3)[[0, 1, 2, 0, 1]]), **options)

    def test_an_empty_gram_is_refused(self):
        with pytest.raises(ValueError, match="this Gram has seen no rows"):
            vendi_score(Gram(3, normalize="rows"))

    @pytest.mark.parametrize("weighted", [False, True])
    def test_a_memory_map_and_dask_equal_the_rows_in_memory(self, tmp_path, monkeypatch, weighted):
        dask = pytest.importorskip("dask.array")
        monkeypatch.setattr("matropy.metrics._vendi._items._PIECE", 2**14)
        x = (rows(900, 60) + 0.3).astype(np.float32)
        np.save(tmp_path / "rows.npy", x)
        p = np.random.default_rng(0).dirichlet(np.ones(900)) if weighted else None
        unit = x.astype(float) / np.linalg.norm(x.astype(float), axis=1, keepdims=True)
        scaled = unit / 900**0.5 if p is None else unit * np.sqrt(p)[:, None]
        eigenvalues = np.linalg.eigvalsh(scaled.T @ scaled)
        expected = np.exp(-np.sum(eigenvalues * np.log(eigenvalues)))
        for rows_as in (
            x,
            np.load(tmp_path / "rows.npy", mmap_mode="r"),
            dask.from_array(x, chunks=(400, 25)),
        ):
            assert vendi_score(rows_as, weights=p) == pytest.approx(expected, rel=1e-9)
            assert isinstance(vendi_score(rows_as[:20, :30]), float)

    def test_dask_for_other_kernels_and_of_unknown_shape(self):
        dask = pytest.importorskip("dask.array")
        x = rows(30, 4)
        lazy = dask.from_array(x, chunks=(7, 2))
        assert vendi_score(lazy, kernel="rbf", order=[1, 2]) == pytest.approx(
            vendi_score(x, kernel="rbf", order=[1, 2])
        )
        assert vendi_score(dask.from_array(TOY), kernel="precomputed") == precomputed(TOY)
        with pytest.raises(ValueError, match="dask array of unknown shape"):
            vendi_score(lazy[lazy[:, 0] > 0])

    def test_every_block_of_dask_is_computed_once(self):
        dask = pytest.importorskip("dask.array")
        computed = []

        def block(x, block_info=None):
            computed.append(block_info[0]["chunk-location"])
            return x

        lazy = dask.from_array(rows(40, 4), chunks=(10, 4)).map_blocks(
            block, dtype=float, meta=np.zeros((0, 0))
        )
        vendi_score(lazy, weights=np.full(40, 1 / 40))
        assert sorted(computed) == [(i, 0) for i in range(4)]

    def test_memory_of_a_stream_is_that_of_its_pieces(self, tmp_path):
        import tracemalloc

        mapped = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", np.float32, (200_000, 64))
        mapped[:] = 1
        tracemalloc.start()
        score = vendi_score(mapped)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert score == pytest.approx(1)
        assert peak < 6 * 8 * 2**22

    @pytest.mark.slow
    def test_a_million_rows_stream_in_under_two_gigabytes(self, tmp_path, run_python):
        printed = run_python(f"""
import resource
import numpy as np
from matropy.metrics import vendi_score
rows = np.lib.format.open_memmap({str(tmp_path / "rows.npy")!r}, "w+", np.float32, (1_000_000, 256))
generator = np.random.default_rng(0)
for start in range(0, 1_000_000, 20_000):
    rows[start:start + 20_000] = generator.standard_normal((20_000, 256), np.float32)
score = vendi_score(rows)
print(score, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
""")
        score, gigabytes = map(float, printed.split())
        assert 255.9 < score < 256
        assert gigabytes < 2


class TestTorch:
    @pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
    def test_same_numbers_in_its_own_precision(self, dtype):
        x = torch.from_numpy(rows(20, 6)).to(getattr(torch, dtype))
        expected = vendi_score(x.double().numpy(), order=ORDERS)
        scores = vendi_score(x, order=ORDERS)
        assert scores.dtype == (torch.float64 if dtype == "float64" else torch.float32)
        np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-9 if dtype == "float64" else 1e-6)
        assert vendi_score(x, kernel="rbf").shape == ()
        assert float(internal_diversity(x)) == pytest.approx(internal_diversity(x.double().numpy()), rel=1e-5)

    def test_fingerprints_weights_and_functions(self):
        x, p = (rows(12, 6) > 0), np.random.default_rng(0).dirichlet(np.ones(12))
        expected = vendi_score(x, kernel="tanimoto", weights=p, order=[1, 2])
        scores = vendi_score(torch.from_numpy(x), kernel="tanimoto", weights=p, order=[1, 2])
        np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-12)
        y = torch.from_numpy(rows(5, 3)).requires_grad_()
        score = vendi_score(y, kernel=lambda a, b: a @ b, normalize=True)
        assert float(score.detach()) == pytest.approx(vendi_score(y.detach().numpy()))
        assert torch.isfinite(torch.autograd.grad(score, y)[0]).all()

    @pytest.mark.parametrize("order", [0.5, 1.0, 2.0, 3.0, math.inf])
    @pytest.mark.parametrize(("kernel", "shape"), [("cosine", (7, 3)), ("cosine", (4, 9)), ("rbf", (6, 4))])
    def test_gradient_in_the_rows(self, kernel, shape, order):
        x = torch.from_numpy(rows(*shape)).requires_grad_()
        assert torch.autograd.gradcheck(
            lambda x: vendi_score(x, kernel=kernel, order=order, sigma=2.0), (x,), rtol=1e-5
        )

    def test_gradient_in_the_kernel_is_the_formula(self):
        kernel = torch.from_numpy(random_kernel(8, seed=5)).requires_grad_()
        score = precomputed(kernel)
        (gradient,) = torch.autograd.grad(score, kernel)
        eigenvalues, vectors = np.linalg.eigh(kernel.detach().numpy() / 8)
        formula = -(vectors * (np.log(eigenvalues) + 1)) @ vectors.T / 8
        assert eigenvalues[0] > 1e-6
        np.testing.assert_allclose(gradient.numpy(), float(score.detach()) * formula, rtol=1e-8, atol=1e-10)

    def test_gradient_in_the_weights_and_at_duplicates(self):
        x = torch.from_numpy(rows(5, 8))
        p = torch.full((5,), 0.2, dtype=torch.float64, requires_grad=True)
        # Only directions that keep the sum: the weights are probabilities.
        gradient = torch.autograd.grad(vendi_score(x, weights=p), p)[0].numpy()
        step = np.array([1e-5, -1e-5, 0, 0, 0])
        up, down = (vendi_score(x.numpy(), weights=0.2 + sign * step) for sign in (1, -1))
        assert gradient @ step == pytest.approx((up - down) / 2, rel=1e-5)
        twice = torch.cat([x, x]).requires_grad_()
        assert torch.isfinite(torch.autograd.grad(vendi_score(twice), twice)[0]).all()


NAN = np.array([[1.0, np.nan], [0.0, 1.0]])
BAD = {
    "no rows": (np.ones((0, 3)), {}, ValueError, "x is empty"),
    "no columns": (np.ones((3, 0)), {}, ValueError, "x is empty"),
    "one axis": (np.ones(3), {}, ValueError, r"x must have 2 axes, got shape \(3,\)"),
    "NaN": (NAN, {}, ValueError, "x holds NaN or infinite"),
    "NaN rbf": (NAN, {"kernel": "rbf", "sigma": 1.0}, ValueError, "x holds NaN or infinite"),
    "infinity": (np.array([[1.0, np.inf]]), {}, ValueError, "x holds NaN or infinite"),
    "zero row": (np.array([[1.0, 2.0], [0, 0]]), {}, ValueError, r"x holds a zero row \(number 1\)"),
    "zero row, wide": (np.eye(2, 9) - np.eye(1, 9), {}, ValueError, "x holds a zero row"),
    "words": (["a", "b"], {}, TypeError, "x must be an array of numbers"),
    "complex": (np.ones((2, 2)) * 1j, {}, TypeError, "x must be real"),
    "ragged": ([[1.0], [1.0, 2.0]], {}, ValueError, "x must be a rectangular array"),
    "counts": ([[0, 2]], {"kernel": "tanimoto"}, ValueError, "x must hold 0 and 1 only"),
    "no texts": ([], {"kernel": "ngram"}, ValueError, "x is empty"),
    "empty text": (["a", ""], {"kernel": "ngram"}, ValueError, "x holds a text of 0 tokens"),
    "a text": ("abc", {"kernel": "ngram"}, TypeError, "x must be a list of texts"),
    "unknown kernel": (np.eye(2), {"kernel": "polynomial"}, ValueError, "kernel must be one of 'cosine'"),
    "unknown method": (np.eye(2), {"method": "svd"}, ValueError, "method must be one of 'auto'"),
    "unknown psd": (np.eye(2), {"psd": "fix"}, ValueError, "psd must be one of 'raise', 'clip'"),
    "negative order": (np.eye(2), {"order": -1}, ValueError, "order must be a number >= 0"),
    "NaN order": (np.eye(2), {"order": np.nan}, ValueError, "order must be a number >= 0"),
    "one bad order": (np.eye(2), {"order": [1, -0.5]}, ValueError, "order must be a number >= 0"),
    "no order": (np.eye(2), {"order": []}, ValueError, "order is empty"),
    "truth as order": (np.eye(2), {"order": True}, ValueError, "order must be a number >= 0"),
    "a word as order": (np.eye(2), {"order": "inf"}, ValueError, "order must be a number >= 0"),
    "sigma": (np.eye(2), {"kernel": "rbf", "sigma": -1.0}, ValueError, "sigma must be a positive number"),
    "negative weight": (np.eye(2), {"weights": [1.5, -0.5]}, ValueError, "weights must not be negative"),
    "weights of sum two": (np.eye(2), {"weights": [1, 1]}, ValueError, "weights must sum to one, got 2"),
    "too few weights": (np.eye(2), {"weights": [1.0]}, ValueError, "weights must have one entry an item, 2"),
    "NaN weight": (np.eye(2), {"weights": [np.nan, 1]}, ValueError, "weights holds NaN"),
    "square weights": (np.eye(2), {"weights": np.eye(2)}, ValueError, "weights must have"),
}
MATRIX = {"kernel": "precomputed"}
BAD_KERNELS = {
    "not square": (np.ones((2, 3)), MATRIX, ValueError, "a precomputed kernel must be square"),
    "asymmetric": (
        TOY + 1e-7 * np.triu(np.ones((3, 3)), 1), MATRIX, ValueError, "the kernel must be symmetric, off by"
    ),
    "diagonal": (2 * np.eye(3), MATRIX, ValueError, "must have ones on its diagonal, off by up to 1"),
    "zero diagonal": (
        np.diag([1.0, 0]), {**MATRIX, "normalize": True}, ValueError, "must have a positive diagonal"
    ),
    "NaN": (NAN, MATRIX, ValueError, "x holds NaN or infinite"),
    "empty": (np.ones((0, 0)), MATRIX, ValueError, "x is empty"),
    "wrong shape": (np.eye(3), {"kernel": lambda a, b: a * b}, ValueError, r"one number .* shape \(3,\)"),
    "a list": (np.eye(3), {"kernel": lambda a, b: [1.0]}, ValueError, "kernel must return one number"),
    "nothing": (np.eye(3), {"kernel": lambda a, b: None}, TypeError, "kernel must return a number, got NoneType"),
    "gives NaN": (np.eye(3), {"kernel": lambda a, b: np.nan}, ValueError, "NaN"),
    "order of items": (
        [1, 2, 3], {"kernel": lambda a, b: 1.0 if a == b else 0.1 * a}, ValueError, "kernel must be symmetric"
    ),
    "indefinite function": (
        [0, 1, 2], {"kernel": lambda a, b: (1, 0.9, 0)[abs(a - b)]}, ValueError, "not positive semidefinite"
    ),
    "function without ones": (np.eye(2) * 3, {"kernel": np.dot}, ValueError, "must have ones on its diagonal"),
    "function, no items": ([], {"kernel": min}, ValueError, "x is empty: no items"),
    "function, no sequence": (3, {"kernel": min}, TypeError, "x must be a sequence of items"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [*BAD.values(), *BAD_KERNELS.values()],
    ids=[*BAD.keys(), *BAD_KERNELS.keys()],
)
def test_bad_input_is_named(x, options, error, message):
    with pytest.raises(error, match=message):
        vendi_score(x, **options)


def test_rounding_of_the_input_is_no_bad_input():
    kernel = kernels.cosine(rows(40, 60).astype(np.float32))
    assert precomputed(kernel) == pytest.approx(vendi_score(rows(40, 60)), rel=1e-5)
    off = TOY + 1e-9 * np.triu(np.ones((3, 3)))
    assert precomputed(off) == pytest.approx(precomputed(TOY), rel=1e-7)


def test_torch_is_not_imported(run_python):
    script = """
import numpy as np
from matropy.metrics import internal_diversity, kernels, rarefaction, vendi_profile, vendi_score, vendi_score_estimate
print(vendi_score(np.eye(3)), vendi_score_estimate(np.eye(3), rng=0).value)
try:
    from matropy.metrics import VendiScore
except ImportError as error:
    print(error)
"""
    printed = run_python(script, without=("torch", "torchmetrics"))
    assert "matropy[torch]" in printed
