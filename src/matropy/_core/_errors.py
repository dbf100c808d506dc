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


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import ``module``, or say which extra of matropy brings it.

    Parameters
    ----------
    module : str
        Name of the module, for example ``"torch"``.
    extra : str
        The extra of matropy that installs it.
    purpose : str
        What it is needed for, as the subject of a sentence: ``"reading GGUF files"``.

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
        raise MissingExtraError(
            f"{purpose} needs {error.name or module}, which is not installed: pip install 'matropy[{extra}]'"
        ) from error
