"""Texts as token windows, and windows as batches."""

import math

import numpy as np
import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st

from matropy.lm import Window, token_windows
from matropy.lm._windows import batched_windows


@pytest.fixture(scope="module")
def by_byte(tiny_model):
    """One token a byte, nothing added."""
    return transformers.AutoTokenizer.from_pretrained(tiny_model("llama"))


@pytest.fixture(scope="module")
def with_bos(tiny_model):
    """One token a byte behind a ``<bos>``."""
    return transformers.AutoTokenizer.from_pretrained(tiny_model("gemma"))


def windows_of(text, tokenizer, *arguments, **options):
    return list(token_windows([text], tokenizer, *arguments, **options))


def test_a_short_text_is_one_window(by_byte):
    (window,) = windows_of("héllo", by_byte, 10)
    assert window.ids.dtype == np.int64
    assert by_byte.decode(window.ids) == "héllo"
    assert (window.text, window.part, window.parts, window.bytes, window.truncated) == (0, 0, 1, 6, False)


@pytest.mark.parametrize(
    ("length", "max_length", "context", "sizes"),
    [
        (10, 10, None, [10]),
        (11, 10, None, [10]),
        (10, 100, 10, [10]),
        (11, 100, 10, [6, 5]),
        (29, 100, 10, [10, 10, 9]),
        (31, 100, 10, [8, 8, 8, 7]),
        (31, 20, 10, [10, 10]),
        (5, 2, 10, [2]),
    ],
)
def test_windows_are_few_and_balanced(by_byte, length, max_length, context, sizes):
    text = "".join(chr(97 + i % 26) for i in range(length))
    windows = windows_of(text, by_byte, max_length, context=context)
    assert [len(window.ids) for window in windows] == sizes
    assert [window.part for window in windows] == list(range(len(sizes)))
    assert {window.parts for window in windows} == {len(sizes)}
    assert {window.truncated for window in windows} == {length > max_length}
    assert {window.bytes for window in windows} == {min(length, max_length)}
    assert by_byte.decode(np.concatenate([window.ids for window in windows])) == text[:max_length]


@given(
    length=st.integers(0, 60), max_length=st.integers(2, 70), context=st.integers(2, 20), bos=st.booleans()
)
def test_nothing_is_lost_and_no_window_is_too_long(by_byte, with_bos, length, max_length, context, bos):
    tokenizer = with_bos if bos else by_byte
    whole = tokenizer("x" * length)["input_ids"]
    windows = windows_of("x" * length, tokenizer, max_length, context=context)
    sizes = [len(window.ids) for window in windows]
    assert np.concatenate([window.ids for window in windows]).tolist() == whole[:max_length]
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == max(1, math.ceil(min(len(whole), max_length) / context))


def test_special_tokens_count_as_tokens_and_not_as_bytes(with_bos):
    (window,) = windows_of("abcdef", with_bos, 4)
    assert window.ids[0] == with_bos.bos_token_id
    assert len(window.ids) == 4
    assert window.bytes == 3
    assert window.truncated


@pytest.mark.parametrize(
    ("text", "max_length", "covered"),
    [
        ("éé", 4, "éé"),
        ("ééé", 4, "éé"),
        ("ééé", 3, "éé"),  # the third token is half a letter, of which all bytes count
        ("a€b", 2, "a€"),
        ("a€b", 4, "a€"),
        ("\U0001f600\U0001f600", 4, "\U0001f600"),
        ("naïve café", 7, "naïve "),
    ],
)
def test_bytes_of_characters_of_many_bytes(by_byte, text, max_length, covered):
    (window,) = windows_of(text, by_byte, max_length)
    assert window.bytes == len(covered.encode())
    assert window.truncated == (len(text.encode()) > max_length)


def test_a_text_without_tokens_is_one_empty_window(by_byte):
    windows = list(token_windows(["", "ab"], by_byte, 5))
    assert [(window.text, len(window.ids), window.bytes) for window in windows] == [(0, 0, 0), (1, 2, 2)]


@pytest.mark.parametrize(
    ("text", "kept", "covered"), [("abc", 4, 3), ("abcdef", 5, 4), ("aéa", 3, 1), ("aéa", 4, 3)]
)
def test_a_slow_tokenizer(text, kept, covered):
    # Its last token ends the text; of a character that is cut in the middle, nothing counts.
    slow = transformers.ByT5Tokenizer(extra_ids=0)
    assert not slow.is_fast
    (window,) = windows_of(text, slow, kept)
    assert len(window.ids) == kept
    assert window.bytes == covered
    assert window.truncated == (len(text.encode()) + 1 > kept)


@pytest.mark.parametrize(
    ("max_length", "context", "error", "message"),
    [
        (1, None, ValueError, "max_length must be at least 2, got 1"),
        (8, 1, ValueError, "context must be at least 2, got 1"),
        (2.5, None, TypeError, "max_length must be an integer"),
    ],
)
def test_bad_lengths_are_named(by_byte, max_length, context, error, message):
    with pytest.raises(error, match=message):
        windows_of("text", by_byte, max_length, context=context)


def window(length, text=0, part=0):
    return Window(text, part, 1, np.zeros(length, np.int64), length, False)


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 200))
def test_batches_hold_every_window_once_within_the_budget(lengths, budget):
    windows = [window(length, text) for text, length in enumerate(lengths)]
    batches = list(batched_windows(windows, budget))
    assert sorted(w.text for batch in batches for w in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(len(w.ids) for w in batch) <= budget
    # Of like length: a batch ends where the next begins.
    sizes = [len(w.ids) for batch in batches for w in batch]
    assert sizes == sorted(sizes, reverse=True)


def test_batches_of_a_long_stream_start_before_its_end():
    seen = []

    def stream():
        for text in range(5000):
            seen.append(text)
            yield window(text % 50 + 1, text)

    batches = batched_windows(stream(), 400)
    next(batches)
    assert len(seen) < 2000
    assert sum(len(batch) for batch in batches) > 4900


def test_batches_depend_on_the_stream_alone():
    windows = [window(length, text) for text, length in enumerate([5, 9, 5, 2, 9])]
    order = [[w.text for w in batch] for batch in batched_windows(windows, 18)]
    assert order == [[1, 4], [0, 2, 3]]
