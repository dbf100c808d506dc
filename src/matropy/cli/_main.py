"""Entry point, exit codes and the way errors are told."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, NoReturn

import typer

from matropy._core._errors import MissingExtraError
from matropy._version import __version__
from matropy.cli._compare import compare
from matropy.cli._evaluate import evaluate
from matropy.cli._list import list_methods
from matropy.cli._provenance import provenance
from matropy.cli._study import study

__all__ = ["main"]

_TAKES_SEVERAL = ("--text",)
_DEBUG = "--debug"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line: exit 0 when done, 1 when a study's verdict changed, 2 for bad input, 130 after Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = _DEBUG in given
    app = _app(debug)
    app(_repeat_options([argument for argument in given if argument != _DEBUG]), prog_name="matropy")
    raise SystemExit(0)


def _app(debug: bool) -> typer.Typer:
    app = typer.Typer(
        name="matropy",
        help="Matrices, spectra and entropy: see how a language model compresses information, layer by layer.",
        epilog="Start with: matropy evaluate    (a small packaged model over the Python manual)",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def root(
        version: Annotated[
            bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
        ] = False,
        show_traceback: Annotated[
            bool, typer.Option(_DEBUG, help="Show the traceback of an error; allowed anywhere.")
        ] = False,
    ) -> None:
        pass

    for name, command, example in (
        (
            "evaluate",
            evaluate,
            "matropy evaluate model.gguf --text articles.jsonl --limit 100 --output report",
        ),
        ("compare", compare, "matropy compare small/ large/ --output report"),
        (
            "provenance",
            provenance,
            "matropy provenance essay.txt --model model.gguf --temperature 0.7 --top-k 40 --alpha 0.01",
        ),
        ("study", study, "matropy study matrix-nuclear-norm --scale quick"),
        ("list", list_methods, "matropy list"),
    ):
        app.command(name, epilog=f"Example: {example}")(_told(command, debug))
    return app


def _told(command: Callable[..., None], debug: bool) -> Callable[..., None]:
    """Turn what went wrong into one sentence on stderr and an exit code."""

    @functools.wraps(command)
    def run(*args: object, **kwargs: object) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            goes_on = "; the same command with --resume goes on" if "resume" in kwargs else ""
            sys.stderr.write(f"\nmatropy: interrupted{goes_on}\n")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            raise typer.Exit(0) from None
        except (ValueError, OSError, MissingExtraError) as error:
            if debug:
                traceback.print_exc()
            if os.environ.get("RANK", "0") == "0":  # of several launched processes one speaks
                sys.stderr.write(f"matropy: {_sentence(error)}\n")
            raise typer.Exit(2) from None

    return run


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    return " ".join(str(error).split()) or type(error).__name__


def _repeat_options(arguments: Sequence[str]) -> list[str]:
    """Let one ``--text`` be followed by several files: ``--text a b`` becomes ``--text a --text b``."""
    result: list[str] = []
    several = None
    for argument in arguments:
        if argument.startswith("-"):
            several = argument if argument in _TAKES_SEVERAL else None
            result.append(argument)
            continue
        if several and result[-1] != several:
            result.append(several)
        result.append(argument)
    return result


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"matropy {__version__}\n")
        raise typer.Exit(0)
