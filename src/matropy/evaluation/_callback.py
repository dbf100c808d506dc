"""Evaluations during training, as a callback of the Hugging Face ``Trainer``."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from matropy._core._errors import InputError, require
from matropy._core._files import output_folder, write_atomic
from matropy._core._validation import check_choice, check_integer
from matropy.evaluation._collapse import LayerCollapseWarning, find_collapses
from matropy.evaluation._evaluate import chosen_metrics, evaluate
from matropy.evaluation._evaluation import Evaluation, load_evaluation
from matropy.evaluation._training_report import training_report
from matropy.lm import Corpus, LanguageModel, load_corpus
from matropy.lm._hidden_states import resolve_layers

for _module in ("transformers", "torch"):
    require(_module, extra="llm", purpose="EvaluationCallback")

import torch  # noqa: E402
from transformers import TrainerCallback  # noqa: E402

__all__ = ["EvaluationCallback"]

_LOGGED = "matropy/"


class EvaluationCallback(TrainerCallback):
    """Evaluate the model on the same texts again and again while the Hugging Face ``Trainer`` trains it.

    At the start, every so many steps and at the end, ``output/step-000100`` receives what :func:`matropy.evaluate`
    finds, in the ordinary format, and ``output/report.html`` is renewed: every layer's measures over training. A
    :class:`LayerCollapseWarning` is given when a layer loses its directions. The summary of each evaluation, and
    the lowest effective rank of any layer, also go into ``trainer.state.log_history``, as ``matropy/loss`` and so on.

    Training is not touched: weights, gradients, modes and random states are afterwards what they were. What is
    evaluated are the weights as the optimizer holds them, without autocast. Under several processes all of them
    evaluate together, and the main one writes.

    Parameters
    ----------
    texts : Corpus, path, sequence of str or None
        What :func:`matropy.lm.load_corpus` takes. A few dozen, not in the training data, are enough.
    every : int
        Optimizer steps between evaluations.
    output : path
        Folder for evaluations and report. A training that is resumed from a checkpoint goes on with the report; a
        new one overwrites it.
    max_length : int
        Tokens of a text that are used.
    layers : "all", "last" or sequence of int
        Hidden states to measure, as for :func:`matropy.evaluate`.
    metrics : "all" or sequence of str, optional
        As for :func:`matropy.evaluate`; ``effective_rank`` is always among them.
    batch_tokens : int, optional
        Tokens of a padded batch; by default what the free memory suggests.
    tokenizer : transformers tokenizer, optional
        By default the ``processing_class`` of the Trainer.
    collapse : float
        Between 0 and 1. A layer has collapsed when the logarithm of its effective rank, 0 for one direction, is at
        two evaluations in a row below this part of its highest so far: at the default, when a layer that once filled
        32 directions is down to 2. It is told once, and again only if the layer recovers and falls once more.

    Raises
    ------
    ValueError
        For an option or a text that cannot be used; at the start of training for an output folder that cannot be
        written to, a layer that is not there, no tokenizer, weights that are sharded over processes, or texts that
        cannot be scored. Later such a fault is a warning and a line in the report, and training goes on.
    MissingExtraError
        Without the ``llm`` extra, when the class is imported.

    Examples
    --------
    >>> from matropy import EvaluationCallback
    >>> callback = EvaluationCallback(["A text that is not in the training data."], every=100, output="spectra")
    >>> trainer = Trainer(model, callbacks=[callback])  # doctest: +SKIP
    """

    def __init__(
        self,
        texts: Corpus | str | os.PathLike[str] | Iterable[str] | None,
        *,
        every: int = 100,
        output: str | os.PathLike[str] = "matropy-training",
        max_length: int = 256,
        layers: Literal["all", "last"] | Sequence[int] = "all",
        metrics: Literal["all"] | Sequence[str] | None = None,
        batch_tokens: int | None = None,
        tokenizer: Any = None,
        collapse: float = 0.2,
    ) -> None:
        if metrics is not None and not isinstance(metrics, str):
            metrics = [*metrics, "effective_rank"]
        names, last_layer_only = chosen_metrics(metrics, layers)
        if isinstance(layers, str):
            check_choice(layers, "layers", ("all", "last"))
        if not 0 < collapse < 1:
            raise InputError(f"collapse must lie between 0 and 1, got {collapse!r}")
        self._every = check_integer(every, "every", low=1)
        self._output = Path(output)
        self._options: dict[str, Any] = {
            "max_length": check_integer(max_length, "max_length", low=2),
            "layers": layers,
            "metrics": metrics,
            "batch_tokens": batch_tokens
            if batch_tokens is None
            else check_integer(batch_tokens, "batch_tokens", low=1),
        }
        self._layers = layers
        # What the settings of an evaluation with these options say.
        self._settings: dict[str, Any] = {
            "metrics": names,
            "last_layer_only": last_layer_only,
            "max_length": self._options["max_length"],
        }
        self._corpus = texts if isinstance(texts, Corpus) else load_corpus(texts)
        self._tokenizer = tokenizer
        self._collapse = collapse
        self._course: dict[int, Evaluation] = {}
        self._faults: dict[int, str] = {}
        self._latest = -1

    def on_train_begin(self, args: Any, state: Any, control: Any, **training: Any) -> None:
        """Check what could not be checked before, pick up what a resumed training has, evaluate."""
        if _sharded(training["model"]):
            raise InputError(
                "EvaluationCallback cannot evaluate a model whose weights are sharded (FSDP, ZeRO-3)"
            )
        model = self._language_model(state, **training)
        self._settings["layers"] = resolve_layers(self._layers, model.layers)
        self._course, self._faults = {}, {}
        if state.is_world_process_zero:
            output_folder(self._output)
            self._course = self._earlier(state)
        self._evaluate(model, state)

    def on_step_end(self, args: Any, state: Any, control: Any, **training: Any) -> None:
        """Evaluate after every so many steps, and after the last one."""
        if state.global_step % self._every == 0 or state.global_step >= state.max_steps:
            self._attempt(state, **training)

    def on_train_end(self, args: Any, state: Any, control: Any, **training: Any) -> None:
        """Evaluate after a training that was stopped early, unless the weights of its best step are back."""
        if state.global_step != self._latest and not args.load_best_model_at_end:
            self._attempt(state, **training)

    def _attempt(self, state: Any, **training: Any) -> None:
        """Evaluate; a model that cannot be measured any more is no reason to end its training."""
        try:
            self._evaluate(self._language_model(state, **training), state)
        except InputError as error:
            known = self._latest in self._faults
            self._latest = state.global_step
            self._faults[state.global_step] = f"step {state.global_step:,} could not be evaluated: {error}"
            if state.is_world_process_zero:
                self._report()
                if not known:
                    warnings.warn(self._faults[state.global_step], LayerCollapseWarning, stacklevel=2)

    def _evaluate(self, model: LanguageModel, state: Any) -> None:
        step = state.global_step
        with _untouched(model.model):
            evaluation = evaluate(model, self._corpus, **self._options)
        self._latest = step
        if step not in _logged_steps(state):
            figures = {name: metric.mean for name, metric in evaluation.summary.items()}
            ranks = [layer.metrics["effective_rank"].mean for layer in evaluation.layers]
            figures["lowest_effective_rank"] = min(rank for rank in ranks if rank is not None)
            known = {_LOGGED + name: value for name, value in figures.items() if value is not None}
            state.log_history.append({**known, "epoch": state.epoch, "step": step})
        if not state.is_world_process_zero:
            return
        # Read back, so that a report made while training and one made after resuming show the same.
        self._course[step] = load_evaluation(evaluation.save(self._folder(step)))
        self._report()
        for collapse in find_collapses(self._course, self._collapse):
            if collapse.step == step:
                warnings.warn(str(collapse), LayerCollapseWarning, stacklevel=2)

    def _report(self) -> None:
        page = training_report(
            self._course, find_collapses(self._course, self._collapse), list(self._faults.values())
        )
        write_atomic(self._output / "report.html", page.to_html())

    def _earlier(self, state: Any) -> dict[int, Evaluation]:
        """Evaluations that this training made before its checkpoint, as far as they are there and comparable."""
        course = {}
        for step in _logged_steps(state):
            if (self._folder(step) / "evaluation.json").exists():
                earlier = load_evaluation(self._folder(step))
                same = earlier.corpus.sha256 == self._corpus.sha256 and all(
                    earlier.settings.get(name) == value for name, value in self._settings.items()
                )
                if same:
                    course[step] = earlier
        return course

    def _folder(self, step: int) -> Path:
        return self._output / f"step-{step:06d}"

    def _language_model(
        self, state: Any, *, model: Any, processing_class: Any = None, **_: Any
    ) -> LanguageModel:
        tokenizer = self._tokenizer
        if tokenizer is None:
            tokenizer = getattr(processing_class, "tokenizer", processing_class)
        if not hasattr(tokenizer, "is_fast"):
            raise InputError(
                "EvaluationCallback needs a tokenizer: give it one, or give the Trainer a processing_class"
            )
        # Adapters of peft stand inside the model that they extend.
        model = model.get_base_model() if hasattr(model, "get_base_model") else model
        origin = getattr(model, "name_or_path", "") or type(model).__name__
        name = Path(origin).name if Path(origin).is_dir() else origin
        return LanguageModel(model, tokenizer, f"{name}, step {state.global_step}", origin)


# One class in two rooms: this is the one that it is at home in, for the reference and for pickle.
EvaluationCallback.__module__ = "matropy.evaluation"


def _logged_steps(state: Any) -> list[int]:
    """Steps that the training's own history, which its checkpoints keep, knows as evaluated."""
    return [entry["step"] for entry in state.log_history if any(key.startswith(_LOGGED) for key in entry)]


@contextmanager
def _untouched(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode without autocast within; afterwards modes, autocast and all random states as before."""
    # Mixed precision is a forward method that accelerate puts over the model's own.
    autocast = vars(model).pop("forward", None) if hasattr(model, "_original_forward") else None
    modes = [(module, module.training) for module in model.modules()]
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    device = next(model.parameters()).device
    model.eval()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        for module, training in modes:
            module.training = training
        if autocast is not None:
            model.forward = autocast
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _sharded(model: torch.nn.Module) -> bool:
    """Whether processes hold different parts of the weights; then none can run texts of its own."""
    wrapped = any(type(module).__name__.startswith(("FSDP", "FullySharded")) for module in model.modules())
    return wrapped or any(
        hasattr(weight, "ds_id") or hasattr(weight, "placements") for weight in model.parameters()
    )
