"""``matropy provenance``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["provenance"]


def provenance(
    text: Annotated[
        list[Path],
        typer.Argument(
            help="Files or folders: .jsonl is one text a line, any other file one text, in UTF-8."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="The model that is said to have made them: a Hugging Face id, a folder or a .gguf file; the packaged"
            " small model if left out."
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Another model; each text is attributed to one of the two.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Chance of rejecting a text that the model did make.")] = 0.05,
    temperature: Annotated[float, typer.Option(help="Declared decoding: temperature.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Declared decoding: top-k. [default: all tokens]")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Declared decoding: top-p. [default: all tokens]")
    ] = None,
    prompt: Annotated[
        list[Path] | None,
        typer.Option(
            help="File with the prompt that the texts followed. Given several times, a text is rejected only where it"
            " is rejected after each of them."
        ),
    ] = None,
    chat_template: Annotated[
        bool,
        typer.Option(
            "--chat-template", help="The prompt was put as a user turn of the model's chat template."
        ),
    ] = False,
    context: Annotated[
        int, typer.Option(help="Without a prompt: how many first tokens stand in for it, and are not scored.")
    ] = 32,
    reference: Annotated[
        list[Path] | None,
        typer.Option(
            help="Texts by people, of like genre: how far the texts stand apart from them. Without them nobody is accused."
        ),
    ] = None,
    field: Annotated[str, typer.Option(help="Field of a .jsonl line.")] = "text",
    limit: Annotated[int | None, typer.Option(help="Take the first N texts of each path.")] = None,
    max_length: Annotated[int, typer.Option(help="Tokens that are used, prompt and text together.")] = 2048,
    device: Annotated[
        str, typer.Option(help="A torch device; auto takes the accelerator if there is one.")
    ] = "auto",
    dtype: Annotated[
        str, typer.Option(help="float32, bfloat16 or float16: as the generator had it.")
    ] = "float32",
    output: Annotated[
        Path, typer.Option(help="Folder for provenance.json, report.html and the records of the tokens.")
    ] = Path("matropy-provenance"),
) -> None:
    """Test whether texts are consistent with a language model under a declared decoding."""
    from rich.console import Console

    from matropy._core._errors import require
    from matropy._core._files import output_folder
    from matropy._core._progress import progress
    from matropy.cli._provenance_job import Declaration, named_texts, prompts_of, run
    from matropy.cli._provenance_report import notes
    from matropy.information import Decoding
    from matropy.lm import load_model

    require("torch", extra="llm", purpose="scoring text with a language model")
    declaration = Declaration(
        alpha=alpha,
        decoding=Decoding(temperature, top_k, top_p),
        prompts=prompts_of(prompt or []),
        chat_template=chat_template,
        context=context,
        max_length=max_length,
    )
    folder = output_folder(output)
    texts = named_texts(text, field, limit)
    references = named_texts(reference or [], field, None)
    models = []
    for name in (model, against) if against is not None else (model,):
        _say(f"Loading {name or 'the packaged small model'} (a GGUF file is converted on its first use) ...")
        models.append(load_model(name, dtype=dtype, device=device))
    _say(f"Null: each text is a sample of {models[0].name} at {declaration.decoding}.")
    passes = (len(texts) * len(models) + len(references)) * max(1, len(declaration.prompts))
    with progress("Scoring", passes, "passes") as bar:
        result = run(models, texts, references, declaration, folder, bar)
    result.save(folder)
    Console().print(result.table())
    for line in (
        *(found.verdict for found in result.texts),
        *(found.attribution.verdict for found in result.texts if found.attribution),
        *(found.accusation.verdict for found in result.texts if found.accusation),
        *notes(result),
        f"Report: {folder / 'report.html'}",
        f"Data:   {folder / 'provenance.json'}",
    ):
        sys.stdout.write(line + "\n")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
