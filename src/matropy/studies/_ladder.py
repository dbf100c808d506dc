"""A size ladder of small language models, trained from scratch on text that every machine has."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matropy._core._errors import require
from matropy._core._files import to_json, write_atomic
from matropy._core._progress import progress as show_progress
from matropy._core._progress import silent
from matropy._core._validation import check_integer
from matropy.lm import load_corpus

__all__ = ["LADDER", "Ladder", "Rung", "train_ladder"]

_HELD_OUT_EVERY = 6
_RATE_TIMES_WIDTH = 0.2
"""Wider models take smaller steps, in inverse proportion (Yang and Hu, 2021)."""
_RECIPE = 1
"""Counts changes of the training function that give other weights."""


@dataclass(frozen=True)
class Rung:
    """One size.

    Attributes
    ----------
    width : int
        Features of a hidden state, a multiple of 32 (the width of an attention head).
    layers : int
    """

    width: int
    layers: int

    def __post_init__(self) -> None:
        check_integer(self.width, "width", low=32)
        check_integer(self.layers, "layers", low=1)
        if self.width % 32:
            raise ValueError(f"width must be a multiple of 32, got {self.width}")


LADDER = (Rung(32, 2), Rung(64, 2), Rung(128, 2), Rung(192, 3))


@dataclass(frozen=True)
class Ladder:
    """Models of one architecture in several sizes, and text that none of them has seen.

    Attributes
    ----------
    rungs : tuple of Rung
        The sizes, as they were asked for.
    folders : tuple of Path
        One Hugging Face folder a rung; :func:`matropy.load_model` takes them.
    held_out : tuple of str
        Passages of equal length, one token a byte.
    """

    rungs: tuple[Rung, ...]
    folders: tuple[Path, ...]
    held_out: tuple[str, ...]


def train_ladder(
    rungs: Sequence[Rung] = LADDER,
    *,
    steps: int = 500,
    batch: int = 8,
    length: int = 256,
    seed: int = 0,
    device: str = "cpu",
    jobs: int = 1,
    cache_dir: str | PathLike[str] | None = None,
    progress: bool = False,
) -> Ladder:
    """Train one small causal model a rung, all on the same bytes in the same order, or find them in the cache.

    The models are Llama decoders over the 256 bytes with tied embeddings, in float32, trained by AdamW with a
    learning rate of 0.2 over the width, a linear warm-up and a cosine decay on the Python manual (``pydoc_data.topics``). Every sixth
    topic is held out whole, and what the manual repeats of it elsewhere is not trained on. Each model is trained in
    one thread, so the number of cores changes nothing; each is saved when it is done, so an interrupted call goes
    on with the next one.

    Parameters
    ----------
    rungs : sequence of Rung
        Sizes.
    steps : int
        Optimizer steps of a model.
    batch : int
        Sequences a step.
    length : int
        Bytes of a sequence, and of a held-out passage; at least 2.
    seed : int
        Of the initial weights and of the order of the text.
    device : str
        The torch device to train on.
    jobs : int
        Models trained at the same time, in processes of their own.
    cache_dir : path, optional
        The user's cache folder by default.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    Ladder

    Raises
    ------
    ValueError
        If a number is out of range.
    MissingExtraError
        Without the ``llm`` extra.

    Examples
    --------
    >>> from matropy import evaluate, load_model
    >>> from matropy.studies import train_ladder
    >>> ladder = train_ladder()  # doctest: +SKIP
    >>> smallest = evaluate(load_model(ladder.folders[0]), ladder.held_out)  # doctest: +SKIP
    """
    for name, value, low in (
        ("steps", steps, 1),
        ("batch", batch, 1),
        ("length", length, 2),
        ("jobs", jobs, 1),
    ):
        check_integer(value, name, low=low)
    check_integer(seed, "seed", low=0, high=2**32 - 1)
    for module in ("torch", "transformers"):
        require(module, extra="llm", purpose="training a size ladder")
    training, held_out = _split(length)
    recipe = {
        "recipe": _RECIPE,
        "text": hashlib.sha256(training.tobytes()).hexdigest(),
        "steps": steps,
        "batch": batch,
        "length": length,
        "seed": seed,
        "device": device,
    }
    folders = tuple(_folder(rung, recipe, cache_dir) for rung in rungs)
    missing = [(rung, folder) for rung, folder in zip(rungs, folders, strict=True) if not folder.exists()]
    bars = show_progress if progress else silent
    if jobs == 1:
        for rung, folder in missing:
            with bars(f"Training width {rung.width}", steps, "steps") as bar:
                _train(rung, folder, training, recipe, bar.advance)
    elif missing:
        from joblib import Parallel, delayed

        with bars("Training the ladder", len(missing), "models") as bar:
            tasks = (delayed(_train)(rung, folder, training, recipe) for rung, folder in reversed(missing))
            for _ in Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks):
                bar.advance()
    return Ladder(tuple(rungs), folders, held_out)


def _split(length: int) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Training bytes and held-out passages; paragraphs of the held-out topics are left out of the training text."""
    topics = [text.encode("ascii", "ignore").decode() for text in load_corpus()]
    held_out = topics[::_HELD_OUT_EVERY]
    unseen = {paragraph for text in held_out for paragraph in text.split("\n\n")}
    kept = [
        "\n\n".join(paragraph for paragraph in text.split("\n\n") if paragraph not in unseen)
        for index, text in enumerate(topics)
        if index % _HELD_OUT_EVERY
    ]
    passages = tuple(
        text[start : start + length]
        for text in held_out
        for start in range(0, len(text) - length + 1, length)
    )
    return np.frombuffer("\n\n".join(kept).encode(), np.uint8), passages


def _folder(rung: Rung, recipe: dict[str, Any], cache_dir: str | PathLike[str] | None) -> Path:
    import platformdirs

    cache = Path(platformdirs.user_cache_dir("matropy") if cache_dir is None else cache_dir)
    key = hashlib.sha256(to_json({**recipe, **asdict(rung)}).encode()).hexdigest()[:16]
    return cache / "ladder" / f"bytes-{rung.layers}x{rung.width}-{key}"


def _train(
    rung: Rung,
    folder: Path,
    training: NDArray[np.uint8],
    recipe: dict[str, Any],
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Train one model in one thread and rename it into its place."""
    import torch

    steps, batch, length, seed = (recipe[name] for name in ("steps", "batch", "length", "seed"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = _new_model(rung, length, seed).to(recipe["device"])
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=_RATE_TIMES_WIDTH / rung.width, betas=(0.9, 0.95), weight_decay=0.1
        )
        warmup = max(1, steps // 10)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: min((step + 1) / warmup, 0.5 * (1 + np.cos(np.pi * step / steps))),
        )
        order = np.random.Generator(np.random.Philox(seed))
        for _ in range(steps):
            starts = order.integers(0, len(training) - length, size=batch)
            rows = np.stack([training[start : start + length] for start in starts])
            ids = torch.from_numpy(rows).long().to(recipe["device"])
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            advance()
    finally:
        torch.set_num_threads(threads)
    _save(model.eval(), folder, {**recipe, **asdict(rung)})


def _new_model(rung: Rung, length: int, seed: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=256,
        hidden_size=rung.width,
        intermediate_size=3 * rung.width,
        num_hidden_layers=rung.layers,
        num_attention_heads=rung.width // 32,
        max_position_embeddings=length,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).train()


def _save(model: Any, folder: Path, recipe: dict[str, Any]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar, for one small file
            model.save_pretrained(unfinished)
        _byte_tokenizer().save_pretrained(unfinished)
        write_atomic(unfinished / "recipe.json", to_json(recipe))
        # Another process may have been faster; its copy is as good.
        with contextlib.suppress(OSError):
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _byte_tokenizer() -> Any:
    """A fast tokenizer whose token ids are the bytes of the text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(
        models.BPE(vocab={sign: byte for byte, sign in enumerate(_byte_signs())}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def _byte_signs() -> list[str]:
    """The printable sign that byte-level tokenizers write for each byte (Radford et al., 2019)."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]
