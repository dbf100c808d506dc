"""``matropy evaluate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A Hugging Face id, a folder or a .gguf file; the packaged small model if left out."
        ),
    ] = None,
    text: Annotated[
        list[Path] | None,
        typer.Option(
            help="Files or folders: .jsonl is one text a line, any other file one text. [default: the Python manual]"
        ),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="A Hugging Face data set, by name or folder.")] = None,
    subset: Annotated[str | None, typer.Option(help="Configuration of the data set.")] = None,
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "test",
    field: Annotated[
        str | None,
        typer.Option(
            help="Field of a .jsonl line, or column of the data set. [default: text; of --responses: prompt]"
        ),
    ] = None,
    responses: Annotated[
        Path | None,
        typer.Option(help="A .jsonl of prompts: the model answers them, and its answers are the texts."),
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer to a prompt.")] = 64,
    temperature: Annotated[
        float, typer.Option(help="Of the answers; 0 takes the likeliest token every time.")
    ] = 0.7,
    no_chat_template: Annotated[
        bool, typer.Option("--no-chat-template", help="Continue the bare prompts, for a base model.")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="Take the first N texts.")] = None,
    layers: Annotated[str, typer.Option(help="all, last, or indices: 0,5,10 (0 is the embedding).")] = "all",
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Names, separated by commas, or all. [default: all, but of rankme and alpha_req only the last layer's]"
        ),
    ] = None,
    max_length: Annotated[int, typer.Option(help="Tokens of a text that are used.")] = 2048,
    batch_tokens: Annotated[
        int | None, typer.Option(help="Tokens of a padded batch. [default: by memory, at most 4096]")
    ] = None,
    gguf_file: Annotated[
        str | None, typer.Option(help="Name of a GGUF file in the folder or repository.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="A torch device; auto takes the accelerator if there is one.")
    ] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    drop_bos: Annotated[
        bool, typer.Option("--drop-bos", help="Leave the beginning-of-sequence token out of the measures.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the bootstrap and of the answers.")] = 0,
    output: Annotated[Path, typer.Option(help="Folder for evaluation.json and report.html.")] = Path(
        "matropy-evaluation"
    ),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the interrupted run in the folder.")
    ] = False,
) -> None:
    """Run a language model over texts and report, layer by layer, how it compresses information."""
    from rich.console import Console

    from matropy._core._errors import InputError, require
    from matropy._core._files import output_folder
    from matropy._core._ranks import join_launched_group
    from matropy.evaluation import evaluate as run
    from matropy.evaluation._evaluate import chosen_metrics
    from matropy.evaluation._report import notes
    from matropy.evaluation._resume import STATE_FILE
    from matropy.lm import generate_responses, load_corpus, load_model, load_prompts

    require("torch", extra="llm", purpose="evaluating a language model")
    wanted_layers = _layers(layers)
    wanted_metrics = _metrics(metrics)
    chosen_metrics(wanted_metrics, wanted_layers)  # a wrong name is told before anything is read
    folder = output_folder(output)
    if responses is None:
        corpus = load_corpus(
            text or None, dataset=dataset, subset=subset, split=split, field=field or "text", limit=limit
        )
    elif text or dataset is not None:
        raise InputError("give --responses, or --text or --dataset, not both")
    else:
        corpus = load_prompts(responses, field=field or "prompt", limit=limit)
    ranks = join_launched_group()
    say = _say if ranks.rank == 0 else _say_nothing
    say(
        f"{'Texts' if responses is None else 'Prompts'}: {corpus.name}, {corpus.texts:,} of them, {corpus.bytes / 1e6:.2f} MB"
    )
    if resume and not (folder / STATE_FILE).exists():
        say(f"There is no interrupted run in {folder}: starting anew.")
    say(f"Loading {model or 'the packaged small model'} (a GGUF file is converted on its first use) ...")
    if ranks.rank > 0:
        ranks.broadcast(None)  # the first process converts, where that is needed
    loaded = load_model(model, gguf_file=gguf_file, dtype=dtype, device=device)
    if ranks.rank == 0:
        ranks.broadcast(None)
    say(
        f"Model: {loaded.name}, {loaded.parameters:,} parameters, {loaded.layers} layers of width"
        f" {loaded.width}, on {loaded.device} in {loaded.dtype}"
    )
    if ranks.size > 1:
        say(f"{ranks.size} processes share the work.")
    if responses is not None:
        corpus = generate_responses(
            loaded,
            corpus,
            folder,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
            chat_template=not no_chat_template,
            resume=resume,
            progress=True,
        )
        say(f"Answers: {folder / 'responses.jsonl'}, {corpus.bytes / 1e6:.2f} MB")
    result = run(
        loaded,
        corpus,
        layers=wanted_layers,
        metrics=wanted_metrics,
        max_length=max_length,
        batch_tokens=batch_tokens,
        seed=seed,
        drop_bos=drop_bos,
        output=folder,
        resume=resume,
        progress=True,
    )
    if ranks.rank == 0:
        Console().print(result.table())
        for line in (
            *notes(result),
            f"Report: {folder / 'report.html'}",
            f"Data:   {folder / 'evaluation.json'}",
        ):
            sys.stdout.write(line + "\n")


def _layers(layers: str) -> Literal["all", "last"] | list[int]:
    if layers == "all":
        return "all"
    if layers == "last":
        return "last"
    try:
        return [int(index) for index in layers.split(",")]
    except ValueError:
        raise ValueError(f"--layers must be all, last or indices such as 0,5,10; got {layers!r}") from None


def _metrics(metrics: str | None) -> Literal["all"] | list[str] | None:
    if metrics is None:
        return None
    if metrics == "all":
        return "all"
    return [name.strip() for name in metrics.split(",") if name.strip()]


def _say_nothing(line: str) -> None:
    pass


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
