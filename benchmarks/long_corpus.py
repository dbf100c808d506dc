"""Very many short texts through ``evaluate``: memory that does not grow with the corpus.

The smallest model of the size ladder, so that the texts are what costs. Resident memory is read while the run goes:
after a tenth of the texts, and at its peak.

    python -m benchmarks.long_corpus 1000000
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console

from benchmarks._harness import record, resident_mb, summarize
from matropy import evaluate, load_model
from matropy.lm import load_corpus
from matropy.studies import LADDER, train_ladder

TEXTS = 100_000


def write_texts(path: Path, count: int) -> None:
    with path.open("w") as file:
        for index in range(count):
            file.write(json.dumps({"text": f"Short text number {index}, one of many."}) + "\n")


def watch(folder: Path, every: float, stop: threading.Event) -> list[tuple[float, float]]:
    """Resident memory over time, with how far the records have grown."""
    seen: list[tuple[float, float]] = []

    def look() -> None:
        while not stop.wait(every):
            records = folder / "unfinished-texts.jsonl"
            seen.append((records.stat().st_size if records.exists() else 0.0, resident_mb()))

    threading.Thread(target=look, daemon=True).start()
    return seen


def main(texts: int = TEXTS) -> None:
    (smallest,) = train_ladder(LADDER[:1], progress=True).folders
    model = load_model(smallest, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        write_texts(Path(folder, "texts.jsonl"), texts)
        corpus = load_corpus(Path(folder, "texts.jsonl"))
        stop, start = threading.Event(), time.perf_counter()
        seen = watch(Path(folder, "out"), 0.5, stop)
        metrics = ["matrix_entropy", "effective_rank", "loss"]
        evaluation = evaluate(
            model, corpus, metrics=metrics, layers="last", output=Path(folder, "out"), progress=True
        )
        stop.set()
        seconds = time.perf_counter() - start
    assert evaluation.texts.scored == texts
    grown = max(size for size, _ in seen)
    early = next(memory for size, memory in seen if size >= grown / 10)
    peak = max(memory for _, memory in seen)
    sentence = (
        f"{texts:,} texts: {early:.0f} MB resident after a tenth of them, {peak:.0f} MB at the peak,"
        f" {1e6 * seconds / texts:.0f} microseconds a text"
    )
    Console().print(sentence)
    row = {"texts": texts, "mb_at_a_tenth": early, "mb_at_peak": peak, "seconds": seconds}
    record("long_corpus", [row], ("torch", "transformers", "numpy"))
    summarize("long_corpus", sentence)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
