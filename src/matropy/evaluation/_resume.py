"""An evaluation's state on disk, so that an interrupted run goes on where it was."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from matropy._core._errors import InputError
from matropy._core._files import write_atomic

__all__ = ["STATE_FILE", "ResumeState"]

STATE_FILE = "resume.npz"


class ResumeState:
    """One file in the output folder that always holds the state after some whole batch.

    Parameters
    ----------
    folder : Path
        The output folder.
    identity : dict
        Everything that must be the same for a run to be the same one.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self._path = folder / STATE_FILE
        self._identity = msgspec.json.decode(msgspec.json.encode(identity))

    def save(self, arrays: Mapping[str, NDArray[Any]], progress: Mapping[str, Any]) -> None:
        """Replace the state by a newer one."""
        head = msgspec.json.encode({"identity": self._identity, "progress": progress})
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, head=np.frombuffer(head, np.uint8), **arrays)
        write_atomic(self._path, buffer.getvalue(), durable=False)

    def load(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
        """The last state, or None where there is none.

        Raises
        ------
        InputError
            If it is of another run, naming what differs, or cannot be read.
        """
        if not self._path.exists():
            return None
        try:
            with np.load(self._path, allow_pickle=False) as file:
                arrays = dict(file)
            head = msgspec.json.decode(arrays.pop("head").tobytes())
            identity, progress = head["identity"], head["progress"]
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise InputError(
                f"cannot go on from {self._path}: it is damaged; start without --resume"
            ) from error
        differing = [name for name in self._identity if identity.get(name) != self._identity[name]]
        if differing:
            changes = "; ".join(
                f"{name} was {identity.get(name)!r}, is {self._identity[name]!r}" for name in differing
            )
            raise InputError(f"the interrupted run in {self._path.parent} is another one: {changes}")
        return arrays, progress

    def forget(self) -> None:
        """Remove the state."""
        self._path.unlink(missing_ok=True)
