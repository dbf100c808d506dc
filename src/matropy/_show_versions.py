"""What a bug report needs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys

from matropy._version import __version__

__all__ = ["show_versions"]

_PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "array-api-compat",
    "msgspec",
    "typer",
    "rich",
    "jinja2",
    "torch",
    "torchmetrics",
    "safetensors",
    "transformers",
    "tokenizers",
    "gguf",
    "accelerate",
    "matplotlib",
    "numba",
    "pyriemann",
)


def show_versions() -> None:
    """Print the versions of matropy, Python, the machine and everything that matropy can use.

    Examples
    --------
    >>> import matropy
    >>> matropy.show_versions()  # doctest: +ELLIPSIS
    matropy ...
    """
    lines = [("matropy", __version__), ("python", sys.version.split()[0]), ("platform", platform.platform())]
    lines.append(("cores", str(os.cpu_count())))
    for package in _PACKAGES:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = "not installed"
        lines.append((package, version))
    width = max(len(name) for name, _ in lines)
    sys.stdout.write("".join(f"{name:<{width}}  {version}\n" for name, version in lines))
