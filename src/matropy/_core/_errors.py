"""Errors that say what to do next."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["InputError", "MissingExtraError", "require"]


class InputError(ValueError):
    """Input from outside (a file, a model, an option) that cannot be used.

    The message is one sentence that names what came and what is allowed; the command line prints it
    without a traceback and exits with 2.
    """


class MissingExtraError(ImportError):
    """An optional dependency is not installed; the message says which extra brings it."""


def require(module: str, *, purpose: str, extra: str | None = None) -> ModuleType:
    """Import ``module``, or say what to install.

    Parameters
    ----------
    module : str
        Name of the module, for example ``"torch"``.
    purpose : str
        What it is needed for, as the subject of a sentence: ``"reading GGUF files"``.
    extra : str, optional
        The extra of matropy that installs it; None where it has to be installed by its own name.

    Returns
    -------
    module

    Raises
    ------
    MissingExtraError
        If the module, or something it imports, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module if extra is None else f"'matropy[{extra}]'"
        raise MissingExtraError(
            f"{purpose} needs {error.name or module}, which is not installed: pip install {package}"
        ) from error
