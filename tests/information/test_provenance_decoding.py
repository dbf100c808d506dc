"""The declared law is the one that transformers samples from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matropy.information import Decoding

torch = pytest.importorskip("torch")

DECODINGS = [
    Decoding(),
    Decoding(temperature=0.7),
    Decoding(top_k=3),
    Decoding(top_k=10_000),
    Decoding(top_p=0.6),
    Decoding(top_p=1.0),
    Decoding(1.3, 20, 0.5),
    Decoding(0.2, None, 0.01),
]


def by_transformers(decoding, logits):
    """Apply the warpers of transformers in the order in which its sampler does."""
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    warpers = []
    if decoding.temperature != 1:
        warpers.append(TemperatureLogitsWarper(decoding.temperature))
    if decoding.top_k is not None:
        warpers.append(TopKLogitsWarper(decoding.top_k))
    if decoding.top_p is not None and decoding.top_p < 1:
        warpers.append(TopPLogitsWarper(decoding.top_p))
    for warper in warpers:
        logits = warper(None, logits)
    return logits


@pytest.mark.parametrize("decoding", DECODINGS, ids=str)
def test_the_law_is_that_of_transformers(decoding):
    pytest.importorskip("transformers")
    logits = 3 * torch.randn(20, 997, generator=torch.Generator().manual_seed(0))
    expected = by_transformers(decoding, logits)
    torch.testing.assert_close(decoding.apply(logits), expected)
    np.testing.assert_allclose(decoding.apply(logits.numpy()), expected.numpy(), rtol=1e-6)
    assert decoding.apply(logits.view(4, 5, -1)).shape == (4, 5, 997)


@pytest.mark.parametrize("decoding", DECODINGS, ids=str)
def test_ties_at_the_edge_all_stay(decoding):
    """transformers keeps some of those that tie at the edge of the nucleus, as its sort happens to leave them."""
    pytest.importorskip("transformers")
    logits = torch.randint(0, 4, (50, 30), generator=torch.Generator().manual_seed(1)).float()
    theirs = by_transformers(decoding, logits).isfinite()
    edge = torch.where(theirs, logits, math.inf).amin(-1, keepdim=True)
    for given_logits in (logits, logits.numpy()):
        ours = decoding.apply(given_logits) > -math.inf
        np.testing.assert_array_equal(ours, logits >= edge)


def test_ties_by_hand():
    assert Decoding(top_k=2).apply([3.0, 1.0, 2.0, 2.0, 2.0]).tolist() == [3, -math.inf, 2, 2, 2]
    assert Decoding(top_k=1).apply(np.zeros(4)).tolist() == [0, 0, 0, 0]
    law = Decoding(top_p=0.5).apply(np.log([0.4, 0.2, 0.2, 0.1, 0.1]))
    assert np.isfinite(law).tolist() == [True, True, True, False, False]


def test_a_law_that_forbids_tokens_already():
    with np.errstate(divide="ignore"):
        logits = np.log(np.array([0.5, 0.0, 0.3, 0.2, 0.0]))
    assert np.isfinite(Decoding(top_k=4).apply(logits)).tolist() == [True, False, True, True, False]
    assert np.isfinite(Decoding(top_p=0.6).apply(logits)).tolist() == [True, False, True, False, False]
    assert np.isfinite(Decoding().apply(logits)).sum() == 3


@given(
    st.lists(st.floats(-20, 20), min_size=2, max_size=40),
    st.integers(1, 50),
    st.floats(0.01, 1),
    st.floats(0.1, 5),
)
def test_the_likeliest_token_always_stays_and_mass_is_kept(logits, k, p, temperature):
    law = Decoding(temperature, k, p).apply(np.array(logits))
    assert np.isfinite(law[np.argmax(logits)])
    kept_by_k = Decoding(temperature, k).apply(np.array(logits))
    mass = np.exp(law - kept_by_k.max()).sum() / np.exp(kept_by_k - kept_by_k.max()).sum()
    assert mass >= p - 1e-9
    assert law[np.isfinite(law)].min() >= kept_by_k[np.isneginf(law)].max(initial=-math.inf)


def test_how_it_is_written():
    assert str(Decoding()) == "temperature 1, full vocabulary"
    assert str(Decoding(0.7, 40, 0.95)) == "temperature 0.7, top-k 40, top-p 0.95"
    assert Decoding(temperature=1, top_k=np.int64(4)) == Decoding(1.0, 4)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"temperature": 0}, ValueError, "temperature must be a positive number, got 0"),
        ({"temperature": -1.0}, ValueError, "temperature"),
        ({"temperature": math.nan}, ValueError, "temperature"),
        ({"temperature": math.inf}, ValueError, "temperature"),
        ({"temperature": "hot"}, TypeError, "temperature must be a number, got 'hot'"),
        ({"top_k": 0}, ValueError, "top_k must be at least 1, got 0"),
        ({"top_k": 2.5}, TypeError, "top_k must be an integer"),
        ({"top_p": 0.0}, ValueError, "top_p must be above 0 and at most 1"),
        ({"top_p": 1.01}, ValueError, "top_p"),
        ({"top_p": math.nan}, ValueError, "top_p"),
        ({"top_p": True}, TypeError, "top_p"),
    ],
)
def test_bad_decodings(arguments, error, message):
    with pytest.raises(error, match=message):
        Decoding(**arguments)


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        ([0.0, math.nan], "hold NaN"),
        ([0.0, math.inf], r"hold \+inf"),
        ([-math.inf, -math.inf], "forbid every token"),
        ([], "is empty"),
    ],
)
def test_bad_logits(logits, message):
    with pytest.raises(ValueError, match=message):
        Decoding(top_k=1).apply(logits)
