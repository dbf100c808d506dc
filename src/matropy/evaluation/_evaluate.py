"""Run a model over texts and measure every layer as it is made."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
import numpy as np
from scipy.special import entr

from matropy._core._errors import InputError, require
from matropy._core._files import output_folder
from matropy._core._progress import progress as show_progress
from matropy._core._progress import silent
from matropy._core._ranks import current_ranks
from matropy._core._validation import check_choice, check_integer
from matropy._version import __version__
from matropy.evaluation._accumulators import REPLICATES, StreamingMeans
from matropy.evaluation._evaluation import (
    CorpusInfo,
    Environment,
    Evaluation,
    Layer,
    LayerCodes,
    LayerMetric,
    ModelInfo,
    SummaryMetric,
    Texts,
    Timing,
)
from matropy.evaluation._glossary import COSTLY, MEASURES, METRICS, SCORES
from matropy.evaluation._records import RECORDS_FILE, TextRecords
from matropy.evaluation._run import Options, Run, default_batch_tokens
from matropy.lm import Corpus, LanguageModel, load_corpus, load_model
from matropy.lm._hidden_states import resolve_layers

__all__ = ["chosen_metrics", "evaluate"]


def evaluate(
    model: LanguageModel | str | os.PathLike[str] | None = None,
    texts: Corpus | str | os.PathLike[str] | Iterable[str] | None = None,
    *,
    layers: Literal["all", "last"] | Sequence[int] = "all",
    metrics: Literal["all"] | Sequence[str] | None = None,
    max_length: int = 2048,
    batch_tokens: int | None = None,
    seed: int = 0,
    drop_bos: bool = False,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Evaluation:
    """Measure how a language model compresses texts, layer by layer.

    Every text goes through the model once. Each hidden state is measured while the model runs and then let go, and
    texts become running sums, so memory depends on neither the number of layers nor that of texts.

    In an initialized ``torch.distributed`` group every process calls it with the same arguments: batches are formed
    first and then dealt out, the first process adds up and writes, and all get the same result.

    Parameters
    ----------
    model : LanguageModel, path, str or None
        What :func:`matropy.load_model` takes; None is the packaged small model.
    texts : Corpus, path, sequence of str or None
        What :func:`matropy.lm.load_corpus` takes; None is the Python manual.
    layers : "all", "last" or sequence of int
        Hidden states to measure: 0 is the embedding, the last is after the final norm; negative from the end.
    metrics : "all" or sequence of str, optional
        Names of :data:`matropy.evaluation.METRICS`; what is named is measured at every wanted layer. By default all
        are, but where ``layers`` is ``"all"`` too, ``rankme`` and ``alpha_req`` are taken of the last hidden state
        alone: they need a second spectrum of each state, which costs more than all the rest.
    max_length : int
        Tokens of a text that are used. A text beyond the model's context is cut into windows; its measures are the
        means over them, weighted by tokens.
    batch_tokens : int, optional
        Tokens of a padded batch; by default 4096, or fewer where memory is short.
    seed : int
        Of the bootstrap.
    drop_bos : bool
        Leave the state of a leading beginning-of-sequence token out of the measures.
    output : path, optional
        Folder to save into. While the run lasts its state lies there, renewed after every batch.
    resume : bool
        Go on with the interrupted run whose state lies in ``output``; the result is the one it would have had.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        Before any work for an option that is wrong or a corpus or model that cannot be read; later if a hidden state
        is not finite (the layer is named) or no text can be scored; if the interrupted run was another one.

    Examples
    --------
    >>> import matropy
    >>> evaluation = matropy.evaluate(texts=["Entropy is a measure of surprise."])  # doctest: +SKIP
    >>> evaluation.summary["bits_per_byte"].mean  # doctest: +SKIP
    """
    require("torch", extra="llm", purpose="evaluating a language model")
    names, last_layer_only = chosen_metrics(metrics, layers)
    max_length = check_integer(max_length, "max_length", low=2)
    seed = check_integer(seed, "seed", low=0)
    if batch_tokens is not None:
        batch_tokens = check_integer(batch_tokens, "batch_tokens", low=1)
    folder = None if output is None else output_folder(output)
    if resume and folder is None:
        raise InputError("resume needs the output folder of the interrupted run")
    corpus = texts if isinstance(texts, Corpus) else load_corpus(texts)
    if not isinstance(model, LanguageModel):
        model = load_model(model)
    ranks = current_ranks()
    options = Options(
        layers=resolve_layers(layers, model.layers),
        measures=[name for name in names if name in MEASURES],
        scores=[name for name in names if name in SCORES],
        last_layer_only=last_layer_only,
        vendi_score="vendi_score" in names,
        code_redundancy="code_redundancy" in names,
        max_length=max_length,
        batch_tokens=ranks.broadcast(batch_tokens or default_batch_tokens(model)),
        seed=seed,
        drop_bos=drop_bos,
    )
    run = Run(model, corpus, options, ranks=ranks, folder=folder, resume=resume)
    with (show_progress if progress and ranks.rank == 0 else silent)(
        "Evaluating", corpus.texts, "texts"
    ) as bar:
        run.all_batches(bar)
    if ranks.rank > 0:
        return msgspec.convert(ranks.broadcast(None), Evaluation)
    evaluation = _evaluation(run, names)
    if folder is not None:
        evaluation.save(folder)
        run.forget()
        evaluation = evaluation.with_records(TextRecords(folder / RECORDS_FILE))
    ranks.broadcast(evaluation.to_dict())
    return evaluation


def chosen_metrics(
    metrics: Literal["all"] | Sequence[str] | None, layers: Literal["all", "last"] | Sequence[int]
) -> tuple[list[str], list[str]]:
    """Names of the metrics that are wanted, and of those that are taken of the last hidden state alone.

    Raises
    ------
    InputError
        For an unknown name, or none.
    """
    if metrics is None or isinstance(metrics, str):
        check_choice(metrics, "metrics", (None, "all"))
        by_default = metrics is None and isinstance(layers, str) and layers == "all"
        return list(METRICS), list(COSTLY) if by_default else []
    names = list(dict.fromkeys(metrics))
    for name in names:
        check_choice(name, "metrics", tuple(METRICS))
    if not names:
        raise InputError("metrics is empty")
    return names, []


def _evaluation(run: Run, names: Sequence[str]) -> Evaluation:
    model, corpus, options, counts = run.model, run.corpus, run.options, run.sums.counts
    seconds = run.forward_seconds + (run.metrics_seconds or 0.0)
    layers = _layers(run)
    evaluation = Evaluation(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        matropy=__version__,
        environment=_environment(model),
        model=ModelInfo(
            name=model.name,
            path_or_id=model.path_or_id,
            architecture=model.architecture,
            parameters=model.parameters,
            layers=model.layers,
            width=model.width,
            vocabulary=model.vocabulary,
            quantization=model.quantization,
            sha256=model.sha256,
        ),
        corpus=CorpusInfo(
            name=corpus.name,
            texts=corpus.texts,
            bytes=corpus.bytes,
            sha256=corpus.sha256,
            max_length=options.max_length,
            truncated=counts.truncated,
        ),
        settings={
            "layers": run.layers,
            "metrics": list(names),
            "last_layer_only": options.last_layer_only,
            "max_length": options.max_length,
            "context": model.context,
            "windowed_texts": counts.windowed,
            "batch_tokens": options.batch_tokens,
            "drop_bos": options.drop_bos,
            "isotropic_null": dict(
                zip(
                    ("matrix_nuclear_norm", "matrix_entropy"),
                    (run.sums.null / counts.scored).tolist(),
                    strict=True,
                )
            ),
            "made_texts": corpus.made,
            "bootstrap_replicates": REPLICATES,
            "seed": options.seed,
        },
        texts=Texts(counts.scored, run.sums.skipped),
        summary={name: _summary(name, run, layers) for name in names},
        layers=layers,
        timing=Timing(
            load_s=model.load_seconds,
            forward_s=run.forward_seconds,
            metrics_s=run.metrics_seconds,
            tokens_per_s=counts.tokens / seconds,
            peak_memory_bytes=_peak_memory(model),
        ),
    )
    return evaluation.with_records(run.records)


def _layers(run: Run) -> list[Layer]:
    sums, measures = run.sums, run.options.measures
    means, errors, intervals = sums.means.mean, sums.means.standard_error, sums.means.intervals()
    vendi = sums.pooled.scores() if sums.pooled is not None else []
    width = len(measures)
    layers = []
    for position, index in enumerate(run.layers):
        columns = range(position * width, (position + 1) * width)
        layers.append(
            Layer(
                index=index,
                name=_layer_name(index, run.model.layers),
                metrics={
                    name: LayerMetric(
                        mean=_number(means[column]),
                        standard_error=_number(errors[column]),
                        ci95=_interval(*intervals[:, column]),
                    )
                    for name, column in zip(measures, columns, strict=True)
                }
                | ({"vendi_score": LayerMetric(vendi[position], None, None)} if vendi else {}),
                spectrum=[float(value) for value in sums.spectra[position] / sums.counts.scored],
                codes=_codes(run, index - 1),
            )
        )
    return layers


def _codes(run: Run, block: int) -> LayerCodes | None:
    """What the gates of a block say; None for the embedding and for a block without them."""
    gates, tokens = run.gates, run.sums.counts.coded
    if gates is None or block < 0 or not gates.bits[block]:
        return None
    start = sum(gates.bits[:block])
    ones = run.sums.ones[start : start + gates.bits[block]]
    share = ones / tokens
    return LayerCodes(
        bits=gates.bits[block],
        redundancy=float(run.sums.redundancy.mean[block]),
        dead=float(np.mean(ones == 0)),
        always_on=float(np.mean(ones == tokens)),
        bit_entropy=float(np.mean(entr(share) + entr(1 - share))),
    )


def _summary(name: str, run: Run, layers: Sequence[Layer]) -> SummaryMetric:
    unit, sums, measures = METRICS[name].unit, run.sums, run.options.measures
    if name in MEASURES:
        if run.layers[-1] != run.model.layers:
            return SummaryMetric(None, None, None, None, unit)
        column = (len(run.layers) - 1) * len(measures) + measures.index(name)
        return _mean_over_texts(sums.means, column, unit)
    if name == "vendi_score":
        last = layers[-1].metrics[name].mean if run.layers[-1] == run.model.layers else None
        return SummaryMetric(last, None, None, None, unit)
    if name == "code_redundancy":
        return _mean_over_texts(sums.redundancy, -1, unit)
    if name in ("loss", "provenance_statistic"):
        return _mean_over_texts(sums.losses, int(name != "loss"), unit)
    ratio = {
        "perplexity": sums.pooled_loss,
        "bits_per_byte": sums.pooled_bits,
        "conditional_entropy": sums.pooled_entropy,
    }[name]
    value, error, (low, high) = ratio.value, ratio.standard_error, ratio.interval()
    if name == "perplexity":
        value, low, high = (_exponential(exponent) for exponent in (value, low, high))
        error *= value
    return SummaryMetric(_number(value), _number(value), _number(error), _interval(low, high), unit)


def _exponential(exponent: float) -> float:
    return math.exp(exponent) if exponent < 700 else math.inf


def _mean_over_texts(means: StreamingMeans, column: int, unit: str) -> SummaryMetric:
    return SummaryMetric(
        mean=_number(means.mean[column]),
        token_weighted_mean=_number(means.weighted_mean[column]),
        standard_error=_number(means.standard_error[column]),
        ci95=_interval(*means.intervals([column])[:, 0]),
        unit=unit,
    )


def _environment(model: LanguageModel) -> Environment:
    import torch
    import transformers

    return Environment(
        python=platform.python_version(),
        torch=str(torch.__version__),
        transformers=transformers.__version__,
        platform=platform.platform(),
        device=str(model.device),
        dtype=model.dtype,
        threads=torch.get_num_threads(),
    )


def _layer_name(index: int, last: int) -> str:
    if index == 0:
        return "embedding"
    return "final norm" if index == last else f"layer {index}"


def _peak_memory(model: LanguageModel) -> int | None:
    import torch

    if model.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(model.device))
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _interval(low: float, high: float) -> tuple[float, float] | None:
    return (float(low), float(high)) if math.isfinite(low) and math.isfinite(high) else None
