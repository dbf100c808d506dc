"""Texts from files, folders, JSON lines, data sets and strings."""

import hashlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matropy._core._errors import InputError, MissingExtraError
from matropy.lm import load_corpus

TEXTS = ["Matrices.", "Größe: 5 €\nzweite Zeile", "\U0001f600"]


def digest(texts):
    """Lengths and bytes of all texts, one after the other."""
    parts = [len(text.encode()).to_bytes(8, "little") + text.encode() for text in texts]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def as_strings(folder):
    return TEXTS


def as_generator(folder):
    return (text for text in TEXTS)


def as_folder(folder):
    for name, text in zip(["a.txt", "b.md", "c"], TEXTS, strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    (folder / ".hidden").write_text("not a text")
    (folder / "below").mkdir()
    return folder


def as_files(folder):
    as_folder(folder)
    return [folder / name for name in ("a.txt", "b.md", "c")]


def as_json_lines(folder):
    file = folder / "texts.jsonl"
    lines = [json.dumps({"id": i, "text": text}, ensure_ascii=i % 2 == 0) for i, text in enumerate(TEXTS)]
    file.write_text("\n\n".join(lines), encoding="utf-8")
    return str(file)


SOURCES = [as_strings, as_generator, as_folder, as_files, as_json_lines]


@pytest.mark.parametrize("source", SOURCES)
def test_the_same_texts_from_everywhere(tmp_path, source):
    corpus = load_corpus(source(tmp_path))
    assert list(corpus) == TEXTS
    assert list(corpus) == TEXTS  # again, from the start
    assert len(corpus) == corpus.texts == 3
    assert corpus.bytes == sum(len(text.encode()) for text in TEXTS)
    assert corpus.sha256 == digest(TEXTS)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("limit", [1, 2, 99])
def test_limit_takes_the_first(tmp_path, source, limit):
    corpus = load_corpus(source(tmp_path), limit=limit)
    assert list(corpus) == TEXTS[:limit]
    assert corpus.sha256 == digest(TEXTS[:limit])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_any_strings(texts):
    corpus = load_corpus(texts)
    assert list(corpus) == texts
    assert corpus.sha256 == digest(texts)


def test_how_texts_are_divided_shows_in_the_digest():
    assert load_corpus(["ab", "c"]).sha256 != load_corpus(["a", "bc"]).sha256


def test_names(tmp_path):
    assert load_corpus(["a", "b"]).name == "2 given texts"
    file = Path(as_json_lines(tmp_path))
    assert load_corpus(file).name == "texts.jsonl"
    assert load_corpus([file, file]).name == "texts.jsonl, texts.jsonl"
    assert repr(load_corpus(["abc"])) == "Corpus('1 given texts', texts=1, bytes=3)"


def test_the_manual_of_python_is_always_there():
    corpus = load_corpus()
    assert corpus.name == "Python manual"
    assert corpus.texts > 50
    assert corpus.bytes > 300_000
    assert any("lambda" in text for text in corpus)


def test_another_field(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"goal": "boil", "text": 3}\n')
    assert list(load_corpus(tmp_path / "a.jsonl", field="goal")) == ["boil"]


def test_a_faulty_line_behind_the_limit_is_not_read(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n{"text": ')
    assert list(load_corpus(tmp_path / "a.jsonl", limit=1)) == ["one"]


BAD_FILES = {
    "empty text": ("a.txt", b"", "a.txt is empty"),
    "empty lines": ("a.jsonl", b"", "a.jsonl is empty"),
    "blank lines": ("a.jsonl", b"\n \n", "a.jsonl is empty"),
    "text of another encoding": ("a.txt", "Größe".encode("latin-1"), "a.txt is not UTF-8: byte 2"),
    "line of another encoding": (
        "a.jsonl",
        b'{"text": "x"}\n{"text": "Gr\xf6"}\n',
        "a.jsonl is not UTF-8: byte 12 in line 2",
    ),
    "cut in the middle of a character": ("a.txt", "€".encode()[:2], "a.txt is not UTF-8: byte 0"),
    "last line cut": (
        "a.jsonl",
        b'{"text": "one"}\n{"text": "tw',
        r"a.jsonl, line 2: not valid JSON \(.*\); is the file cut off\?",
    ),
    "line that is no JSON": (
        "a.jsonl",
        b'{"text": "one"}\nplain\n',
        r"a.jsonl, line 2: not valid JSON \(.*\)$",
    ),
    "line that is no object": ("a.jsonl", b'["one"]\n', "line 1: expected a JSON object, got list"),
    "no such field": ("a.jsonl", b'{"body": "x", "id": 1}\n', "line 1: no field 'text'; it has 'body', 'id'"),
    "no field at all": ("a.jsonl", b"{}\n", "line 1: no field 'text'; it has none"),
    "a number": ("a.jsonl", b'{"text": 5}\n', "line 1: field 'text' must be a string, got int"),
    "nothing": ("a.jsonl", b'{"text": null}\n', "line 1: field 'text' must be a string, got NoneType"),
    "lone surrogate": ("a.jsonl", b'{"text": "\\ud800"}\n', "line 1: .*(surrogate|not valid JSON)"),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
@pytest.mark.parametrize("how", ["file", "folder", "list"])
def test_bad_files_are_named(tmp_path, name, content, message, how):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        load_corpus({"file": file, "folder": tmp_path, "list": [file]}[how])
    assert "\n" not in str(raised.value)


def test_what_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*absent.txt"):
        load_corpus(tmp_path / "absent.txt")
    with pytest.raises(InputError, match=r"the folder .* holds no files"):
        load_corpus(tmp_path)
    with pytest.raises(InputError, match="holds no text"):
        load_corpus([])


@pytest.mark.parametrize("texts", [["good", "bad \ud800"], ["\udfff"]])
def test_lone_surrogates_are_no_text(texts):
    with pytest.raises(InputError, match=f"text {len(texts) - 1} holds a lone surrogate at character"):
        load_corpus(texts)


@pytest.mark.parametrize("mixed", [["text", Path("file")], [1, 2], [b"bytes"]])
def test_a_sequence_holds_strings_or_paths(mixed):
    with pytest.raises(TypeError, match="must hold strings only"):
        load_corpus(mixed)


@pytest.mark.parametrize(
    ("limit", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)]
)
def test_bad_limits(limit, error):
    with pytest.raises(error, match="limit must be"):
        load_corpus(["a"], limit=limit)


class Rows(list):
    column_names = ("text", "label")


@pytest.fixture
def datasets(monkeypatch):
    """A stand-in for the data-set library that knows one set."""

    def load_dataset(name, subset=None, split="test"):
        if name != "known":
            raise FileNotFoundError(f"Couldn't find {name}\nand much more")
        return Rows({"text": f"{subset} {split} {i}", "label": i} for i in range(3))

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))


@pytest.mark.usefixtures("datasets")
def test_data_sets():
    corpus = load_corpus(dataset="known", subset="en", split="train", limit=2)
    assert list(corpus) == ["en train 0", "en train 1"]
    assert corpus.name == "known (en)"
    with pytest.raises(
        InputError, match=r"cannot load the data set 'other' \(split 'test'\): Couldn't find other$"
    ):
        load_corpus(dataset="other")
    with pytest.raises(InputError, match="the data set 'known' has no column 'body'; it has text, label"):
        load_corpus(dataset="known", field="body")
    with pytest.raises(InputError, match="known, row 0: column 'label' must be a string, got int"):
        load_corpus(dataset="known", field="label")
    with pytest.raises(ValueError, match="give source or dataset, not both"):
        load_corpus(["a"], dataset="known")


def test_without_the_data_set_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        MissingExtraError, match=r"needs datasets, which is not installed: pip install datasets$"
    ):
        load_corpus(dataset="known")
