"""The list of methods."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from matropy.studies import Study, catalog, catalog_table
from matropy.studies._catalog import find_method


def test_27_methods_with_unique_numbers_and_names():
    methods = catalog()
    assert [method.seed for method in methods] == list(range(1, 28))
    for field in ("study", "title", "paper"):
        assert len({getattr(method, field) for method in methods}) == 27
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", method.study) for method in methods)
    assert all(2020 <= method.year <= 2026 for method in methods)
    assert len(catalog_table().rows) == 27


@pytest.mark.parametrize(
    "method", [method for method in catalog() if method.available], ids=lambda method: method.study
)
def test_every_built_study_keeps_the_contract(method):
    study = method.load()
    assert isinstance(study, Study)
    assert study.paper.title == method.paper
    assert study.paper.year == method.year
    sentences = [claim.sentence for claim in study.claims]
    assert len(set(sentences)) == len(sentences) > 0


def test_unknown_and_unbuilt_studies_are_named():
    with pytest.raises(ValueError, match="no study 'vendi'; there is vendi-score"):
        find_method("vendi")
    with pytest.raises(ValueError, match="no study 'zzz'; there is matrix-nuclear-norm, cut-cross"):
        find_method("zzz")
    unbuilt = next(method for method in catalog() if not method.available)
    with pytest.raises(ValueError, match="not built yet"):
        unbuilt.load()


def test_the_catalog_imports_no_heavy_library():
    code = (
        "import sys; from matropy.studies import catalog, study, StudyResult, Run; catalog()[0].available; "
        "print([name for name in ('torch', 'scipy', 'transformers', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
