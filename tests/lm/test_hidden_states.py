"""The stream of hidden states."""

import numpy as np
import pytest
import torch

from matropy._core._errors import InputError
from matropy.lm import Window, hidden_states, load_corpus, load_model, token_windows
from matropy.lm import _hidden_states as module
from matropy.lm._hidden_states import padded, resolve_layers, run_layers
from matropy.metrics import matrix_entropy, matrix_nuclear_norm
from matropy.metrics._representation_statistics import representation_statistics

ARCHITECTURES = ["llama", "gpt2", "gemma", "gemma2", "gemma3_text", "qwen2", "qwen3"]
TEXTS = [
    "A short one.",
    "Ünïcödé and more of it, up to the very end of this sentence.",
    "mid-sized text here",
]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request, tiny_model):
    return load_model(tiny_model(request.param), device="cpu")


@pytest.fixture(scope="module")
def llama(tiny_model):
    return load_model(tiny_model("llama"), device="cpu")


def own_states(model, ids):
    """What the library itself says its hidden states are."""
    with torch.inference_mode():
        output = model.model(input_ids=torch.as_tensor(ids)[None], output_hidden_states=True)
    return [state[0] for state in output.hidden_states]


def windows_of(model, texts=TEXTS):
    return list(token_windows(texts, model.tokenizer, 100))


@pytest.mark.parametrize("hooks", [True, False])
def test_equal_the_models_own(model, hooks, monkeypatch):
    if not hooks:
        # A model whose list of layers is not recognized goes another way.
        monkeypatch.setattr(module, "model_blocks", lambda *_: None)
    (window,) = windows_of(model, TEXTS[1:2])
    expected = own_states(model, window.ids)
    got = list(hidden_states(model, [window]))
    assert [layer for layer, _, _ in got] == list(range(model.layers + 1))
    for (_, states, mask), own in zip(got, expected, strict=True):
        assert states.shape == (1, len(window.ids), model.width)
        assert mask.all()
        torch.testing.assert_close(states[0], own, rtol=0, atol=0)


def test_the_layers_are_found_by_hooks(model):
    blocks = module.model_blocks(model.model.base_model, model.layers)
    assert len(blocks) == model.layers


def test_a_padded_batch_equals_single_texts(model):
    windows = windows_of(model)
    (batch,) = module.batched_windows(windows, 4096)
    alone = [own_states(model, window.ids) for window in batch]
    for layer, states, mask in hidden_states(model, windows):
        assert mask.sum(1).tolist() == [len(window.ids) for window in batch]
        for row, kept, own in zip(states, mask, alone, strict=True):
            torch.testing.assert_close(row[kept], own[layer], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("measure", [matrix_nuclear_norm, matrix_entropy])
def test_measures_of_a_padded_batch_equal_those_of_single_texts(llama, measure):
    texts = ["x" + "y z" * 2, "padding " * 7 + "more", "0123456789abcdef" * 8]
    windows = list(token_windows(texts, llama.tokenizer, 128))
    together = {}
    for layer, states, mask in hidden_states(llama, windows, layers=[1, -1]):
        together[layer] = measure(states, mask=mask)
    for index, window in enumerate(sorted(windows, key=lambda w: -len(w.ids))):
        for layer, states, _ in hidden_states(llama, [window], layers=[1, -1]):
            assert together[layer][index] == pytest.approx(float(measure(states)), abs=1e-4)


@pytest.mark.parametrize(
    ("layers", "indices"),
    [
        ("all", [0, 1, 2, 3]),
        ("last", [3]),
        ([2], [2]),
        ([-1, 0], [0, 3]),
        ([3, -1, 1, 1], [1, 3]),
        ((np.int64(2),), [2]),
        (range(4), [0, 1, 2, 3]),
    ],
)
def test_layers(llama, layers, indices):
    (window,) = windows_of(llama, TEXTS[:1])
    expected = own_states(llama, window.ids)
    got = list(hidden_states(llama, [window], layers=layers))
    assert [layer for layer, _, _ in got] == indices
    for layer, states, _ in got:
        torch.testing.assert_close(states[0], expected[layer])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("first", "layers must be 'all', 'last' or indices, got 'first'"),
        ([4], r"layer 4 is not there: the hidden states are 0 \(the embedding\) to 3"),
        ([-5], "layer -5 is not there"),
        ([], "layers is empty"),
    ],
)
def test_bad_layers_are_named(llama, layers, message):
    with pytest.raises(InputError, match=message):
        resolve_layers(layers, 3)
    with pytest.raises(InputError, match=message):
        next(hidden_states(llama, windows_of(llama), layers=layers))


@pytest.mark.parametrize(("batch_tokens", "batches"), [(1, 3), (80, 2), (4096, 1)])
def test_batches(llama, batch_tokens, batches):
    windows = windows_of(llama, ["", *TEXTS])
    got = list(hidden_states(llama, windows, layers=[0, 3], batch_tokens=batch_tokens))
    assert [layer for layer, _, _ in got] == [0, 3] * batches
    assert sum(int(mask.sum()) for layer, _, mask in got if layer == 3) == sum(len(w.ids) for w in windows)


def test_no_hook_stays_behind(llama):
    list(hidden_states(llama, windows_of(llama)))
    with pytest.raises(RuntimeError, match="from outside"):
        run_layers(llama, torch.zeros(1, 3, dtype=torch.long), [0, 1], fail)
    assert not any(part._forward_pre_hooks for part in llama.model.modules())


def fail(layer, states):
    raise RuntimeError("from outside")


def test_layers_are_handed_over_while_the_model_runs(llama):
    seen = []
    final = run_layers(
        llama, torch.arange(5)[None], [0, 2, 3], lambda layer, states: seen.append((layer, states.clone()))
    )
    assert [layer for layer, _ in seen] == [0, 2, 3]
    torch.testing.assert_close(seen[-1][1], final)
    assert not final.requires_grad


def test_padding_repeats_the_last_token(llama):
    batch = [Window(i, 0, 1, np.array(ids), 0, False) for i, ids in enumerate([[5, 6, 7], [8]])]
    ids, mask = padded(batch, llama)
    assert ids.tolist() == [[5, 6, 7], [8, 8, 8]]
    assert mask.tolist() == [[True, True, True], [True, False, False]]


@pytest.mark.model
def test_padding_of_a_real_model(smollm2):
    manual = max(load_corpus(), key=len)
    windows = [
        window for length in (7, 60, 256) for window in token_windows([manual], smollm2.tokenizer, length)
    ]
    ((_, states, mask),) = hidden_states(smollm2, windows, layers="last")
    together = representation_statistics(states, mask).values
    for index, window in enumerate(reversed(windows)):
        ((_, states, _),) = hidden_states(smollm2, [window], layers="last")
        for name, alone in representation_statistics(states).values.items():
            # Seven tokens have too few eigenvalues for the decay of their spectrum.
            torch.testing.assert_close(together[name][index], alone[0], rtol=1e-4, atol=1e-4, equal_nan=True)
