"""What the pages say holds: commands exist, the gallery runs, every public name and every option is documented."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from matropy.cli._main import _app, _repeat_options

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PAGES = sorted(
    page
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]
    if page.exists() and not {"_build", "gallery"} & set(page.parts)
)
ROOMS = [
    "matropy",
    *sorted(f"matropy.{stub.parent.name}" for stub in (ROOT / "src/matropy").glob("*/__init__.pyi")),
]


def shell_commands():
    """Every line of a shell block that calls matropy."""
    for page in PAGES:
        for block in re.findall(r"^```(?:console|bash|shell|sh)\n(.*?)^```", page.read_text(), re.S | re.M):
            for line in block.replace("\\\n", " ").splitlines():
                command = line.removeprefix("$ ").partition(" #")[0].strip()
                words = shlex.split(command)
                for name in ("matropy", "-m"):
                    if name in words:
                        start = words.index(name) + (2 if name == "-m" else 1)
                        yield pytest.param(words[start:], id=f"{page.relative_to(ROOT)}: {command}")
                        break


@pytest.mark.parametrize("words", list(shell_commands()))
def test_command_and_options_exist(words):
    """Parse it as the command line would, and run nothing."""
    group = typer.main.get_command(_app(debug=False))
    words = _repeat_options([word for word in words if word != "--debug"])
    if words[0].startswith("-"):
        known = {option for parameter in group.params for option in parameter.opts} | {"-h", "--help"}
        assert set(words) <= known
        return
    command = group.commands[words[0]]
    command.make_context(words[0], words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_in_the_text_exist(page):
    """Every ``--option`` in inline code belongs to one of the commands."""
    commands = typer.main.get_command(_app(debug=False)).commands.values()
    known = {option for command in commands for parameter in command.params for option in parameter.opts}
    named = set(re.findall(r"`(?:matropy [a-z]+ (?:[^`]* )?)?(--[a-z][a-z-]*)[^`]*`", page.read_text()))
    assert named - known - {"--debug", "--version"} == set()


def test_gallery_runs():
    """Run every script in one fresh interpreter, without a display."""
    scripts = sorted(map(str, (DOCS / "examples").glob("plot_*.py")))
    assert scripts
    code = "import runpy, sys\nfor script in sys.argv[1:]: runpy.run_path(script)"
    pytest.importorskip("matplotlib")
    environment = os.environ | {
        "MPLBACKEND": "Agg",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]),
    }
    run = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", code, *scripts],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("room", ROOMS)
def test_room_has_a_page(room):
    page = DOCS / "api" / f"{room.rpartition('.')[2]}.rst"
    assert f".. room:: {room}\n" in page.read_text()
    assert re.search(rf"^{page.stem}$", (DOCS / "api/index.md").read_text(), re.M)


@pytest.mark.parametrize("room", ROOMS)
def test_public_names_have_docstrings(room):
    """Each one has a first line of its own, which the reference shows."""
    module = importlib.import_module(room)
    for name in module.__all__:
        thing = getattr(module, name)
        if callable(thing):
            assert thing.__doc__, f"{room}.{name}"
            assert thing.__doc__.strip().splitlines()[0].endswith((".", "?")), f"{room}.{name}"


def test_every_built_method_has_a_page():
    from matropy.studies import catalog

    built = [method.study for method in catalog() if method.available]
    assert [name for name in built if not (DOCS / "methods" / f"{name}.md").exists()] == []


def test_links_between_pages_lead_somewhere():
    """Relative links of the pages; those of the gallery are made by the build."""
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
            script = (DOCS / "examples" / Path(target).name).with_suffix(".py")
            if not (page.parent / target).exists() and "gallery/index" not in target and not script.exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []
