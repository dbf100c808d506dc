import tracemalloc

import pytest

from matropy import evaluate, load_model
from matropy.lm import Corpus


def peak_memory(model, texts):
    corpus = Corpus("many", lambda: (f"Short text number {index}." for index in range(texts)))
    tracemalloc.start()
    evaluation = evaluate(model, corpus, metrics=["matrix_entropy", "loss"], layers="last")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert evaluation.texts.scored == texts
    return peak


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tiny_model):
    model = load_model(tiny_model("llama"), device="cpu")
    peak_memory(model, 100)
    assert peak_memory(model, 9000) < 1.1 * peak_memory(model, 3000) + 200_000
