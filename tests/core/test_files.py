"""Atomic writes and canonical JSON."""

import errno
import json
import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from matropy._core._errors import InputError
from matropy._core._files import output_folder, to_json, write_atomic


@pytest.mark.parametrize("content", ["Größe\n", b"\x00\xff", ""])
def test_writes_what_it_is_given(tmp_path, content):
    path = tmp_path / "file"
    for _ in range(2):
        write_atomic(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_the_old_file_stays_whole_when_writing_fails(tmp_path, monkeypatch, step, error):
    path = tmp_path / "file"
    write_atomic(path, "old")

    def fail(*_):
        raise error

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), fail)
    with pytest.raises(type(error)):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_the_mask_lets_them(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@dataclass
class Inner:
    value: float


@dataclass
class Outer:
    name: str
    inner: Inner
    items: list[float]


def test_json_of_dataclasses_holds_null_where_nothing_is_defined():
    outer = Outer("Größe", Inner(math.nan), [1.5, math.inf, -math.inf])
    text = to_json(outer)
    assert json.loads(text) == {"name": "Größe", "inner": {"value": None}, "items": [1.5, None, None]}
    assert text.startswith('{\n  "name": "Größe"')
    assert text.endswith("}\n")
    assert to_json(Outer("Größe", Inner(math.nan), [1.5, math.inf, -math.inf])) == text


@pytest.mark.parametrize("number", [0.1, 1e-300, 123456789.123456789, 2**53 + 1, -0.0])
def test_json_keeps_every_digit(number):
    assert json.loads(to_json([number])) == [number]


def test_output_folder_is_made_with_its_parents_and_stays_empty(tmp_path):
    for _ in range(2):
        folder = output_folder(tmp_path / "a" / "b")
        assert folder.is_dir()
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("below", ["", "deeper", "deeper/still"])
def test_a_file_in_the_way_of_the_output_folder(tmp_path, below):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(
        InputError, match=r"cannot write to the output folder .*taken.*: (File exists|Not a dir)"
    ):
        output_folder(tmp_path / "taken" / below)
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_full_disk_is_known_before_work_starts(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    with pytest.raises(InputError, match="No space left on device"):
        output_folder(tmp_path)
