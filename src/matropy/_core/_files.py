"""Atomic writes and canonical JSON."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import msgspec

from matropy._core._errors import InputError

__all__ = ["output_folder", "to_json", "write_atomic"]


def write_atomic(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write ``content`` to ``path`` through a temporary file beside it and one rename.

    Readers see the old file or the new one, never a part; a full disk leaves the old file whole. Without
    ``durable`` it survives the end of this process, though perhaps not of the machine, and costs no wait for the disk.
    """
    data = content.encode() if isinstance(content, str) else content
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def to_json(value: object) -> str:
    """Readable JSON of dataclasses, dicts and lists; NaN and infinity become null.

    Key order is the order of definition, so equal values give equal bytes.
    """
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def output_folder(path: str | os.PathLike[str]) -> Path:
    """Make ``path`` (and its parents) and prove that a file can be written there, before any work is done.

    Raises
    ------
    InputError
        If it is a file, cannot be made, or cannot be written to.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe."):
            pass
    except OSError as error:
        raise InputError(f"cannot write to the output folder {folder}: {error.strerror or error}") from error
    return folder


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
