"""Errors that say what to do next."""

import math

import pytest

from matropy._core._errors import InputError, MissingExtraError, require


def test_gives_the_module():
    assert require("math", purpose="counting", extra="llm") is math


@pytest.mark.parametrize(("extra", "command"), [("llm", "'matropy[llm]'"), (None, "absent_package")])
def test_a_missing_extra_is_named(extra, command):
    with pytest.raises(MissingExtraError) as raised:
        require("absent_package", purpose="reading GGUF files", extra=extra)
    assert str(raised.value) == (
        f"reading GGUF files needs absent_package, which is not installed: pip install {command}"
    )
    assert isinstance(raised.value, ImportError)


def test_what_the_module_itself_misses_is_named(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import absent_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match=r"plots needs absent_dependency.*'matropy\[plot\]'"):
        require("needs_more", purpose="plots", extra="plot")


def test_input_errors_are_value_errors():
    assert issubclass(InputError, ValueError)
