"""What a study is given while it measures."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar, cast

import msgspec
import platformdirs

from matropy._core._files import to_json, write_atomic
from matropy._core._progress import Progress, progress, silent
from matropy._version import __version__

__all__ = ["Run", "Scale"]

Scale = Literal["smoke", "quick", "full"]
Json = TypeVar("Json")


class Run:
    """One run of a study: its settings, and the steps that are already done.

    Made by :func:`study`.

    Parameters
    ----------
    study : str
        Name of the study.
    scale : {"smoke", "quick", "full"}
    seed : int
    device : str
        A torch device, or ``"auto"``.
    jobs : int
        Processes that a step may use.
    folder : Path
        Where the results of steps are kept until the end.
    shows_progress : bool
        On stderr.

    Attributes
    ----------
    skipped : dict of str to str
        What could not be measured, and why.
    """

    def __init__(
        self,
        study: str,
        scale: Scale,
        *,
        folder: Path,
        seed: int = 0,
        device: str = "auto",
        jobs: int = 1,
        shows_progress: bool = False,
    ) -> None:
        self.study = study
        self.scale = scale
        self.seed = seed
        self.jobs = jobs
        self.shows_progress = shows_progress
        self.skipped: dict[str, str] = {}
        self._device = device
        identity = to_json([study, scale, seed, device, __version__])
        self._steps = folder / ".steps" / hashlib.sha256(identity.encode()).hexdigest()[:16]

    def step(self, key: str, function: Callable[[], Json]) -> Json:
        """Compute ``function()`` once: a run that is interrupted and resumed finds its result.

        Parameters
        ----------
        key : str
            Names the step within the study, for example ``"timing-2048"``.
        function : callable
            Gives numbers, strings, lists and dicts with string keys. What comes back has been through JSON even
            the first time, so a resumed run sees the same: tuples are lists, NaN is None.

        Raises
        ------
        ValueError
            For a key that is no file name.
        """
        if not key or Path(key).name != key or key.startswith("."):
            raise ValueError(f"the key of a step must be a plain name, got {key!r}")
        file = self._steps / f"{key}.json"
        if not file.exists():
            content = to_json(function())
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(file, content)
        return cast(Json, msgspec.json.decode(file.read_bytes()))

    def progress(self, title: str, total: float, unit: str) -> AbstractContextManager[Progress]:
        """Open a bar: ``with run.progress("Timing", 8, "shapes") as bar: ... bar.advance()``."""
        return (progress if self.shows_progress else silent)(title, total, unit)

    def skip(self, name: str, why: str) -> None:
        """Note that ``name`` (data, a model, a part) is missing; claims on its values become "not measured"."""
        self.skipped[name] = why

    def data(self, *parts: str) -> Path | None:
        """Find a file below ``$MATROPY_DATA``, or note that it is missing and give None."""
        folder = os.environ.get("MATROPY_DATA")
        if folder is None:
            self.skip("/".join(parts), "the environment variable MATROPY_DATA names no data folder")
            return None
        path = Path(folder, *parts)
        if not path.exists():
            self.skip("/".join(parts), "it is not in the folder that MATROPY_DATA names")
            return None
        return path

    @property
    def cache(self) -> Path:
        """The user's cache folder, for what outlives the run: models trained, data converted."""
        return Path(platformdirs.user_cache_dir("matropy"))

    @cached_property
    def device(self) -> str:
        """The torch device to use: the accelerator where ``"auto"`` was asked for and there is one."""
        if self._device != "auto":
            return self._device
        if importlib.util.find_spec("torch") is None:
            return "cpu"
        import torch

        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return str(accelerator or "cpu")

    def forget(self) -> None:
        """Remove the results of steps."""
        shutil.rmtree(self._steps, ignore_errors=True)
        if self._steps.parent.is_dir() and not any(self._steps.parent.iterdir()):
            self._steps.parent.rmdir()
