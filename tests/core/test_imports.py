"""Imports are lazy and cost little."""

import importlib
from statistics import median

import pytest

ROOMS = ["matropy"] + [
    f"matropy.{room}"
    for room in ("entropy", "information", "linalg", "lm", "metrics", "nn", "recovery", "reporting")
]


def test_importing_matropy_costs_little_more_than_numpy(run_python):
    def seconds(module):
        script = (
            f"import time\nstart = time.process_time()\nimport {module}\nprint(time.process_time() - start)"
        )
        return float(run_python(script))

    pairs = [(seconds("matropy"), seconds("numpy")) for _ in range(3)]
    ours, numpy = (median(side) for side in zip(*pairs, strict=True))
    assert ours <= 2.5 * numpy


def test_importing_all_rooms_imports_nothing_heavy(run_python):
    script = f"import sys, {', '.join(ROOMS)}\nprint(*sys.modules)"
    loaded = run_python(script).split()
    assert not {"torch", "transformers", "scipy", "sklearn", "matplotlib", "rich", "typer"} & set(loaded)


@pytest.mark.parametrize(
    "names", ["linalg import Gram", "entropy import hill_number", "metrics import rankme"]
)
def test_array_functions_do_not_import_torch(run_python, names):
    assert "torch" not in run_python(f"import sys\nfrom matropy.{names}\nprint(*sys.modules)").split()


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_there(room):
    module = importlib.import_module(room)
    assert module.__all__
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("room", ROOMS)
def test_an_unknown_name_is_an_attribute_error(room):
    with pytest.raises(AttributeError, match="no_such_name"):
        importlib.import_module(room).no_such_name  # noqa: B018


def test_loading_a_model_without_the_extra_names_it(run_python):
    script = """
from matropy.lm import load_model
try:
    load_model("anything")
except ImportError as error:
    print(error)
"""
    said = run_python(script, without=("torch",))
    assert said == (
        "loading a language model needs torch, which is not installed: pip install 'matropy[llm]'\n"
    )
