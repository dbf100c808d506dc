"""The size ladder: small models from text that every machine has."""

from __future__ import annotations

import hashlib

import pytest

pytest.importorskip("transformers")

from matropy import load_model
from matropy.lm import load_corpus
from matropy.studies import Rung, train_ladder
from matropy.studies._ladder import _byte_signs, _split

TINY = {"steps": 2, "batch": 2, "length": 32}
RUNGS = (Rung(32, 1), Rung(64, 1))


def weights(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def ladder(tmp_path_factory):
    return train_ladder(RUNGS, **TINY, cache_dir=tmp_path_factory.mktemp("cache"))


def test_every_rung_loads_as_a_language_model(ladder):
    for rung, folder in zip(ladder.rungs, ladder.folders, strict=True):
        model = load_model(folder, device="cpu")
        assert (model.width, model.layers, model.vocabulary, model.context) == (
            rung.width,
            rung.layers,
            256,
            32,
        )


def test_tokens_are_bytes(ladder):
    tokenizer = load_model(ladder.folders[0], device="cpu").tokenizer
    text = "Größe ≥ 0\n\tند"
    assert tokenizer.is_fast
    assert tokenizer(text)["input_ids"] == list(text.encode())
    assert tokenizer.decode(list(text.encode())) == text
    assert len(set(_byte_signs())) == 256


def test_a_second_call_trains_nothing_and_the_same_seed_gives_the_same_weights(ladder, tmp_path):
    cache = ladder.folders[0].parent.parent
    before = [folder.stat().st_mtime_ns for folder in ladder.folders]
    assert train_ladder(RUNGS, **TINY, cache_dir=cache) == ladder
    assert [folder.stat().st_mtime_ns for folder in ladder.folders] == before
    again = train_ladder(RUNGS, **TINY, cache_dir=tmp_path)
    assert list(map(weights, again.folders)) == list(map(weights, ladder.folders))


def test_other_settings_give_other_models(ladder):
    cache = ladder.folders[0].parent.parent
    others = [
        train_ladder(RUNGS[:1], **(TINY | change), cache_dir=cache) for change in ({"seed": 1}, {"steps": 3})
    ]
    assert len({weights(one.folders[0]) for one in (ladder, *others)}) == 3


def test_an_interrupted_training_goes_on_with_the_next_model(ladder, tmp_path, monkeypatch):
    import matropy.studies._ladder as module

    train = module._train

    def interrupt(rung, *rest):
        if rung.width == 64:
            raise KeyboardInterrupt
        train(rung, *rest)

    monkeypatch.setattr(module, "_train", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_ladder(RUNGS, **TINY, cache_dir=tmp_path)
    assert [folder.name for folder in (tmp_path / "ladder").iterdir()] == [ladder.folders[0].name]
    trained = []
    monkeypatch.setattr(module, "_train", lambda rung, *rest: trained.append(rung) or train(rung, *rest))
    assert weights(train_ladder(RUNGS, **TINY, cache_dir=tmp_path).folders[1]) == weights(ladder.folders[1])
    assert trained == [RUNGS[1]]


def test_held_out_passages_are_of_equal_length_and_not_trained_on():
    training, held_out = _split(256)
    text = training.tobytes().decode()
    assert {len(passage.encode()) for passage in held_out} == {256}
    paragraphs = {paragraph for topic in list(load_corpus())[::6] for paragraph in topic.split("\n\n")}
    assert not paragraphs & set(text.split("\n\n"))
    assert len(held_out) > 100
    assert len(text) > 300_000


def test_bad_settings():
    with pytest.raises(ValueError, match="multiple of 32"):
        Rung(48, 1)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        train_ladder(steps=0)
    with pytest.raises(ValueError, match="length must be at least 2"):
        train_ladder(length=1)


@pytest.mark.slow
def test_models_trained_at_the_same_time_are_the_same(ladder, tmp_path):
    together = train_ladder(RUNGS, **TINY, cache_dir=tmp_path, jobs=2)
    assert list(map(weights, together.folders)) == list(map(weights, ladder.folders))
