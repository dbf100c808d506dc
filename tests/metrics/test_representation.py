"""The measures of one matrix of hidden states."""

import math
from functools import partial

import numpy as np
import pytest
import representation_reference as reference
import torch
from hypothesis import given
from hypothesis import strategies as st
from metric_tester import Case, MetricTester

from matropy.linalg import Gram
from matropy.metrics import (
    alpha_req,
    anisotropy,
    effective_rank,
    matrix_entropy,
    matrix_nuclear_norm,
    rankme,
)

exact_nuclear_norm = partial(matrix_nuclear_norm, method="exact")
MEASURES = {
    "matrix_nuclear_norm": (matrix_nuclear_norm, reference.matrix_nuclear_norm),
    "matrix_nuclear_norm top": (
        partial(matrix_nuclear_norm, top=2),
        partial(reference.matrix_nuclear_norm, top=2),
    ),
    "matrix_nuclear_norm exact": (exact_nuclear_norm, reference.matrix_nuclear_norm_exact),
    "matrix_entropy": (matrix_entropy, reference.matrix_entropy),
    "renyi_entropy_2": (partial(matrix_entropy, order=2), reference.renyi_entropy_2),
    "effective_rank": (effective_rank, lambda hidden: math.exp(reference.matrix_entropy(hidden))),
    "anisotropy": (anisotropy, reference.anisotropy),
    "rankme": (rankme, reference.rankme),
    "alpha_req": (alpha_req, reference.alpha_req),
}
FUNCTIONS = {name: function for name, (function, _) in MEASURES.items() if " " not in name} | {
    "matrix_nuclear_norm exact": exact_nuclear_norm
}
every_measure = pytest.mark.parametrize("measure", FUNCTIONS.values(), ids=FUNCTIONS.keys())


def states(*shape, seed=0, decay=0.7):
    """Hidden states as models have them: a few strong directions and a common offset."""
    rng = np.random.default_rng(seed)
    scales = np.arange(1, shape[-1] + 1) ** -decay
    return rng.normal(size=shape) * scales + rng.normal(size=shape[-1]) * scales


def right_padding(lengths, longest):
    return np.arange(longest) < np.asarray(lengths)[:, None]


def arbitrary_mask(texts, longest, seed=0):
    mask = np.random.default_rng(seed).random((texts, longest)) < 0.7
    mask[:, :9] = True
    return np.random.default_rng(seed + 1).permuted(mask, axis=1)


def each_text(one):
    """The reference of a batch: that of each text by itself, without its padding."""

    def batch(hidden, mask=None):
        masks = [None] * len(hidden) if mask is None else mask
        return np.array([one(reference.kept(h, m)) for h, m in zip(hidden, masks, strict=True)])

    return batch


def masked(function):
    return lambda hidden, mask: function(hidden, mask=mask)


def make_cases():
    inputs = {
        "few tokens": (states(3, 9, 12),),
        "many tokens": (states(3, 30, 10),),
        "right padding": (states(3, 14, 9), right_padding([14, 9, 11], 14)),
        "any mask": (states(3, 16, 20), arbitrary_mask(3, 16)),
    }
    small = {"few tokens": states(2, 9, 10), "many tokens": states(2, 14, 8)}
    for (name, (function, one)), (shape, arrays) in [
        (measure, array) for measure in MEASURES.items() for array in inputs.items()
    ]:
        function = masked(function) if len(arrays) > 1 else function
        extra = {}
        yield f"{name}, {shape}", Case(arrays, function, each_text(one), **extra)
        if shape in small:
            yield (
                f"{name}, small, {shape}",
                Case((small[shape],), function, each_text(one), differentiable=True, **extra),
            )


class TestMeasures(MetricTester, cases=dict(make_cases())):
    """Every measure on every shape and mask."""


# Acceptance: closed forms.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 2, 7, 64])
def test_axes_used_equally_often(d, dtype):
    axes = np.concatenate([np.eye(d), -np.eye(d)]).astype(dtype)
    assert matrix_nuclear_norm(axes) == pytest.approx(math.sqrt(d / (2 * d)), abs=1e-6)
    assert exact_nuclear_norm(axes) == pytest.approx(math.sqrt(d / (2 * d)), abs=1e-6)
    assert matrix_entropy(axes) == pytest.approx(math.log(d), abs=1e-6)
    assert effective_rank(axes) == pytest.approx(d, rel=1e-6)


@pytest.mark.parametrize(("n", "d", "k"), [(2, 5, 1), (8, 5, 5), (8, 20, 6), (100, 16, 9)])
def test_all_tokens_on_one_line(n, d, k):
    u = np.zeros(d)
    u[:k] = 3.0
    line = np.outer(np.resize([1.0, -1.0], n), u)
    assert matrix_entropy(line) == pytest.approx(0, abs=1e-6)
    assert exact_nuclear_norm(line) == pytest.approx(1 / math.sqrt(n), abs=1e-6)
    assert matrix_nuclear_norm(line) == pytest.approx(math.sqrt(k / n), abs=1e-6)


@pytest.mark.parametrize(("n", "d"), [(2, 3), (6, 30), (20, 20), (40, 8), (5, 1)])
def test_bounds_on_random_matrices(n, d):
    rng = np.random.default_rng(n)
    scales = rng.exponential(size=(200, 1, d)) ** 3
    hidden = rng.standard_t(3, size=(200, n, d)) * scales
    norm, exact = matrix_nuclear_norm(hidden), exact_nuclear_norm(hidden)
    cap = math.sqrt(min(n, d) / n)
    assert np.all((norm > 0) & (norm <= cap * (1 + 1e-12)))
    assert np.all((exact > 0) & (exact <= cap * (1 + 1e-12)))
    # Schur-Horn: all column norms together are never below the nuclear norm.
    z = np.array([reference.normalized(h) for h in hidden])
    assert np.all(np.linalg.norm(z, axis=1).sum(-1) / n >= exact * (1 - 1e-12))
    assert np.all(matrix_entropy(hidden) <= math.log(max(1, min(n - 1, d))) + 1e-9)


def test_largest_column_norms_can_fall_below_the_nuclear_norm():
    rng = np.random.default_rng(0)
    rotated = states(6, 40) @ np.linalg.qr(rng.normal(size=(40, 40)))[0]
    assert matrix_nuclear_norm(rotated) < exact_nuclear_norm(rotated)


INVARIANCES = {
    "tokens permuted": lambda x, rng: rng.permutation(x, axis=0),
    "features permuted": lambda x, rng: rng.permutation(x, axis=1),
    "shifted": lambda x, rng: x + rng.normal(size=x.shape[1]),
    "scaled": lambda x, rng: x * 37.5,
    "features mirrored": lambda x, rng: x * rng.choice([-1, 1], x.shape[1]),
}


@pytest.mark.parametrize("change", INVARIANCES.values(), ids=INVARIANCES.keys())
@pytest.mark.parametrize("measure", [matrix_nuclear_norm, exact_nuclear_norm, matrix_entropy])
@given(seed=st.integers(0, 2**32), n=st.integers(3, 30), d=st.integers(2, 30))
def test_invariances(measure, change, seed, n, d):
    hidden = states(n, d, seed=seed)
    changed = change(hidden, np.random.default_rng(seed))
    assert measure(changed) == pytest.approx(measure(hidden), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(("n", "d"), [(8, 20), (40, 16)])
def test_rotation_keeps_the_spectrum_and_changes_the_column_norms(n, d):
    hidden = states(n, d, decay=1.5)
    rotated = hidden @ np.linalg.qr(np.random.default_rng(1).normal(size=(d, d)))[0]
    assert matrix_entropy(rotated) == pytest.approx(matrix_entropy(hidden), abs=1e-5)
    assert exact_nuclear_norm(rotated) == pytest.approx(exact_nuclear_norm(hidden), abs=1e-5)
    assert abs(matrix_nuclear_norm(rotated) - matrix_nuclear_norm(hidden)) > 0.01


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize(("n", "d"), [(64, 768), (256, 576), (700, 256), (600, 520)])
def test_agrees_with_the_formulas_at_real_sizes(n, d, dtype):
    hidden = torch.from_numpy(states(n, d)).to(getattr(torch, dtype))
    tolerance = 1e-10 if dtype == "float64" else 1e-5
    exact = hidden.double().numpy()
    assert float(matrix_nuclear_norm(hidden)) == pytest.approx(
        reference.matrix_nuclear_norm(exact), rel=tolerance
    )
    assert float(matrix_entropy(hidden)) == pytest.approx(reference.matrix_entropy(exact), rel=tolerance)


@every_measure
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_padding_and_what_stands_in_it_do_not_count(measure, dtype):
    lengths = [7, 60, 256]
    mask = torch.from_numpy(right_padding(lengths, 256))
    texts = [torch.from_numpy(states(n, 48, seed=n)).to(dtype) for n in lengths]
    if measure is alpha_req:
        lengths, texts, mask = lengths[1:], texts[1:], mask[1:]
    for filler in (0.0, 1e30, math.nan, math.inf):
        batch = torch.full((len(texts), 256, 48), filler, dtype=dtype)
        for row, text in zip(batch, texts, strict=True):
            row[: len(text)] = text
        alone = torch.stack([measure(text) for text in texts])
        torch.testing.assert_close(measure(batch, mask=mask), alone, rtol=1e-4, atol=0)


@pytest.mark.parametrize("measure", [matrix_nuclear_norm, exact_nuclear_norm, matrix_entropy, rankme])
def test_gradient_stops_at_the_mask(measure):
    hidden = torch.from_numpy(states(2, 8, 6))
    mask = torch.from_numpy(right_padding([8, 5], 8))
    hidden[1, 5:] = math.nan
    tokens = hidden[mask].requires_grad_()

    def of_tokens(tokens):
        return measure(hidden.masked_scatter(mask[..., None], tokens), mask=mask)

    assert torch.autograd.gradcheck(of_tokens, (tokens,))


@pytest.mark.parametrize("measure", [matrix_nuclear_norm, exact_nuclear_norm, matrix_entropy, rankme])
def test_directional_derivative_of_one_text_equals_the_gradients(measure):
    """Forward mode follows tensors that no gradient was asked of."""
    hidden, direction = torch.from_numpy(states(2, 8, 6))
    leaf = hidden.clone().requires_grad_()
    measure(leaf).backward()
    _, along = torch.func.jvp(measure, (hidden,), (direction,))
    assert float(along) == pytest.approx(float((leaf.grad * direction).sum()), rel=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_exact_norm_has_a_finite_gradient_although_centering_leaves_a_zero_eigenvalue(seed):
    hidden = torch.from_numpy(states(5, 8, seed=seed)).requires_grad_()
    exact_nuclear_norm(hidden).backward()
    assert hidden.grad.isfinite().all()


# Options.


def test_relative_is_a_share_of_the_logarithm_of_the_width():
    hidden = states(9, 12)
    assert matrix_entropy(hidden, relative=True) == pytest.approx(matrix_entropy(hidden) / math.log(12))
    assert matrix_entropy(hidden, base=2) == pytest.approx(matrix_entropy(hidden) / math.log(2))
    with pytest.raises(ValueError, match="relative entropy is not defined for a single feature"):
        matrix_entropy(hidden[:, :1], relative=True)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("normalize", ["rows", None])
@pytest.mark.parametrize("order", [0.5, 1.0, 2, 3.5, math.inf])
def test_entropy_with_each_treatment(center, normalize, order):
    hidden = states(9, 12)
    x = hidden - hidden.mean(0) if center else hidden
    x = x / np.linalg.norm(x, axis=1, keepdims=True) if normalize else x
    p = np.linalg.svd(x, compute_uv=False) ** 2
    p = p / p.sum()
    expected = {1.0: reference.entropy(p), math.inf: -math.log(p[0])}
    if order not in expected:
        expected[order] = math.log((p**order).sum()) / (1 - order)
    got = matrix_entropy(hidden, center=center, normalize=normalize, order=order)
    assert got == pytest.approx(expected[order], rel=1e-7 if order < 1 else 1e-10)
    assert effective_rank(hidden, center=center, normalize=normalize, order=order) == pytest.approx(
        math.exp(got)
    )


def test_range_of_the_spectral_fit():
    hidden = states(60, 40)
    assert alpha_req(hidden, k_min=1, k_max=10) == pytest.approx(reference.alpha_req(hidden, 1, 10))


@pytest.mark.parametrize(
    ("measure", "treatment"),
    [
        (partial(matrix_entropy, center=False), {"normalize": "rows"}),
        (partial(matrix_entropy, normalize=None), {"center": True}),
        (partial(matrix_entropy, normalize=None, relative=True), {"center": True}),
        (partial(effective_rank, center=False, normalize=None), {}),
        (rankme, {}),
        (alpha_req, {"center": True}),
    ],
)
@pytest.mark.parametrize(("n", "d"), [(30, 12), (12, 30)])
@pytest.mark.parametrize("side", ["auto", "features"])
def test_a_gram_gives_what_its_rows_give(measure, treatment, n, d, side):
    hidden = states(n, d)
    gram = Gram(d, side=side, **treatment)
    for piece in np.array_split(hidden, 4):
        gram.update(piece)
    # Square roots of what rounding leaves of zero eigenvalues: 1e-8 of the largest, as documented.
    assert measure(gram) == pytest.approx(measure(hidden), rel=1e-10 if measure is not rankme else 1e-6)


@pytest.mark.parametrize(
    ("measure", "treatment", "message"),
    [
        (partial(matrix_entropy, center=False), {}, "normalize=None; this needs normalize='rows'"),
        (partial(matrix_entropy, normalize=None), {}, "center=False; this needs center=True"),
        (matrix_entropy, {"center": True, "normalize": "rows"}, "centered and then normalized"),
        (effective_rank, {}, "centered and then normalized"),
        (rankme, {"center": True}, "center=True; this needs center=False"),
        (rankme, {"normalize": "rows"}, "normalize='rows'; this needs normalize=None"),
        (alpha_req, {}, "center=False; this needs center=True"),
    ],
)
def test_a_gram_of_other_treatment_is_refused_by_name(measure, treatment, message):
    with pytest.raises(ValueError, match=message):
        measure(Gram(5, **treatment).update(states(8, 5)))


@pytest.mark.parametrize(
    ("measure", "treatment"),
    [
        (partial(matrix_entropy, normalize=None), {"center": True}),
        (rankme, {}),
        (alpha_req, {"center": True}),
    ],
)
def test_a_gram_takes_no_mask_and_must_hold_something(measure, treatment):
    with pytest.raises(ValueError, match="mask applies to an array"):
        measure(Gram(5, **treatment).update(states(8, 5)), mask=np.ones(8, bool))
    with pytest.raises(ValueError, match="seen no rows"):
        measure(Gram(5, **treatment))
    with pytest.raises(ValueError, match="the Gram is zero"):
        measure(Gram(5, **treatment).update(np.zeros((8, 5))))


# Input that is taken and input that is refused.


@every_measure
@pytest.mark.parametrize("make", [np.asarray, torch.tensor, list], ids=["NumPy", "torch", "list"])
def test_integers_are_numbers(measure, make):
    numbers = np.random.default_rng(0).integers(-50, 50, size=(20, 12))
    given_numbers = make(numbers.tolist()) if make is not np.asarray else numbers
    expected = measure(numbers.astype(float))
    got = measure(given_numbers)
    assert float(got) == pytest.approx(float(expected), rel=1e-12)


@every_measure
@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, list], ids=["NumPy", "torch", "list"])
def test_masks_of_zeros_and_ones(measure, kind):
    hidden = states(14, 9)
    mask = [1] * 11 + [0] * 3
    assert measure(hidden, mask=kind(mask)) == pytest.approx(measure(hidden[:11]), rel=1e-7)


def with_entry(value):
    hidden = states(9, 12)
    hidden[2, 3] = value
    return hidden


BAD = {
    "NaN": (with_entry(np.nan), ValueError, "hidden holds NaN or infinite"),
    "infinity": (with_entry(np.inf), ValueError, "hidden holds NaN or infinite"),
    "no rows": (np.empty((0, 4)), ValueError, r"hidden is empty: shape \(0, 4\)"),
    "no columns": (np.empty((4, 0)), ValueError, r"hidden is empty: shape \(4, 0\)"),
    "one row": (states(1, 5), ValueError, "at least two tokens, got 1"),
    "a vector": (states(5), ValueError, r"hidden must have at least 2 axes, got shape \(5,\)"),
    "a number": (3.0, ValueError, "hidden must have at least 2 axes"),
    "complex": (states(9, 12) + 0j, TypeError, "hidden must be real, got dtype complex128"),
    "strings": ([["a", "b"], ["c", "d"]], TypeError, "hidden must be an array of numbers"),
    "objects": (np.array([[1, None], [2, 3]]), TypeError, "hidden must be an array of numbers"),
    "ragged": ([[1.0, 2.0], [3.0]], ValueError, "hidden must be a rectangular array"),
    "nothing": (None, TypeError, "hidden must be an array of numbers"),
}


@every_measure
@pytest.mark.parametrize(("hidden", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(measure, hidden, error, message):
    with pytest.raises(error, match=message):
        measure(hidden)


@every_measure
def test_one_bad_text_of_a_batch_is_enough(measure):
    batch = states(3, 9, 12)
    batch[1, 4, 5] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        measure(batch)


@every_measure
@pytest.mark.parametrize("mask", [np.ones(8, bool), np.ones((9, 12), bool), np.ones((1, 9), bool), True])
def test_mask_of_another_shape_is_refused(measure, mask):
    with pytest.raises(ValueError, match=r"mask must have the shape of hidden without its last axis, \(9,\)"):
        measure(states(9, 12), mask=mask)


@every_measure
@pytest.mark.parametrize("tokens", [0, 1])
def test_too_few_tokens_behind_the_mask(measure, tokens):
    with pytest.raises(ValueError, match=f"at least two tokens, got {tokens}"):
        measure(states(9, 12), mask=np.arange(9) < tokens)


@pytest.mark.parametrize(
    "measure", [matrix_nuclear_norm, exact_nuclear_norm, matrix_entropy, effective_rank, alpha_req]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_repeated_token_is_refused(measure, dtype):
    token = np.array([[0.1, 1e4, -3.3, 7.7e-3]], dtype)
    with pytest.raises(ValueError, match=r"cannot be normalized|all its tokens are the same"):
        measure(np.repeat(token, 30, axis=0))


def test_a_token_at_the_mean_is_refused():
    hidden = np.array([[1.0, 2.0], [-1.0, -2.0], [0.0, 0.0]])
    for measure in (matrix_nuclear_norm, exact_nuclear_norm, matrix_entropy, effective_rank):
        with pytest.raises(ValueError, match="cannot be normalized"):
            measure(hidden)


def test_zero_states_are_refused():
    with pytest.raises(ValueError, match="has no direction"):
        anisotropy([[1.0, 0.0], [0.0, 0.0]])
    for measure in (rankme, partial(matrix_entropy, center=False, normalize=None)):
        with pytest.raises(ValueError, match="has no spectrum"):
            measure(np.zeros((4, 3)))


def test_anisotropy_of_tokens_that_all_point_the_same_way():
    assert anisotropy(np.outer([1.0, 2.0, 3.0], [3.0, 4.0])) == pytest.approx(1)
    assert anisotropy([[1.0, 2.0], [-1.0, -2.0]]) == pytest.approx(-1)


@pytest.mark.parametrize(
    ("top", "error"), [(0, ValueError), (10, ValueError), (-1, ValueError), (2.5, TypeError)]
)
def test_top_out_of_range(top, error):
    with pytest.raises(error, match="top must be"):
        matrix_nuclear_norm(states(9, 12), top=top)


def test_top_is_at_most_the_shortest_text():
    mask = right_padding([9, 5], 9)
    matrix_nuclear_norm(states(2, 9, 12), mask=mask, top=5)
    with pytest.raises(ValueError, match="top must be between 1 and 5, got 6"):
        matrix_nuclear_norm(states(2, 9, 12), mask=mask, top=6)


OPTIONS = {
    "method": (partial(matrix_nuclear_norm, method="svd"), "method must be one of 'l12', 'exact'"),
    "top and exact": (partial(exact_nuclear_norm, top=2), "top applies to method='l12' only"),
    "normalize": (partial(matrix_entropy, normalize="columns"), "normalize must be one of 'rows', None"),
    "base 1": (partial(matrix_entropy, base=1), "base must be a positive number other than 1, got 1"),
    "base 0": (partial(matrix_entropy, base=0), "base must be a positive number"),
    "base NaN": (partial(matrix_entropy, base=math.nan), "base must be a positive number"),
    "order": (partial(matrix_entropy, order=-1), "order must be a number >= 0"),
    "k_min": (partial(alpha_req, k_min=0), "k_min must be at least 1"),
    "k_max": (partial(alpha_req, k_max=3), "k_max must be at least 4"),
    "too few ranks": (partial(alpha_req, k_min=4), "needs two non-zero eigenvalues from rank 4 on"),
}


@pytest.mark.parametrize(("measure", "message"), OPTIONS.values(), ids=OPTIONS.keys())
def test_bad_options_are_named(measure, message):
    with pytest.raises(ValueError, match=message):
        measure(states(9, 12))
