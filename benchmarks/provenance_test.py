"""A record of tokens beside the two-pass formulation of the authors and Fast-DetectGPT's analytic statistic, one thread.

Neither peer is on a registry. The authors' notebooks take the likelihood and the entropy of a text from one forward
pass each, with the log-softmax of all its logits; Fast-DetectGPT's analytic discrepancy takes log-softmax and softmax
of given logits. Both are re-implemented in torch from their formulas. A record holds more than either: rank, variance
and six cumulants of every token.

    python -m benchmarks.provenance_test
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks._harness import Contender, compare, report
from matropy.information import TokenRecord, provenance_test, token_record
from matropy.lm import load_corpus, load_model

TOKENS = 256
TEXTS = 2
AUTHORS = "re-implemented from the notebooks of arXiv 2501.02406"
FAST_DETECTGPT = "re-implemented from arXiv 2310.05130"


def get_ll(model: Any, ids: torch.Tensor) -> float:
    with torch.no_grad():
        log_p = model(ids).logits[0, :-1].log_softmax(-1)
        return log_p.gather(-1, ids[0, 1:, None]).mean().item()


def get_entropy(model: Any, ids: torch.Tensor) -> float:
    with torch.no_grad():
        log_p = model(ids).logits[0, :-1].log_softmax(-1)
        return -(log_p.exp() * log_p).sum(-1).mean().item()


def two_passes(model: Any, texts: list[torch.Tensor]) -> list[float]:
    return [-get_ll(model, ids) - get_entropy(model, ids) for ids in texts]


def records(model: Any, texts: list[torch.Tensor]) -> list[float]:
    return [provenance_test(token_record(model, ids, context=1)).D for ids in texts]


def analytic_discrepancy(logits: torch.Tensor, tokens: torch.Tensor) -> list[float]:
    log_p, p = logits.log_softmax(-1), logits.softmax(-1)
    likelihood = log_p.gather(-1, tokens[:, None])[:, 0]
    mean = (p * log_p).sum(-1)
    variance = (p * log_p.square()).sum(-1) - mean.square()
    return [((likelihood.sum() - mean.sum()) / variance.sum().sqrt()).item()]


def exactly(model: Any, texts: list[torch.Tensor]) -> list[float]:
    """The statistic in float64, from the logits of the model."""
    found = []
    for ids in texts:
        with torch.no_grad():
            log_p = model(ids).logits[0, :-1].double().log_softmax(-1)
        surprise = -log_p.gather(-1, ids[0, 1:, None]).mean()
        found.append((surprise + (log_p.exp() * log_p).sum(-1).mean()).item())
    return found


def apart(ours: list[float], theirs: list[float]) -> float:
    return max(abs(one - other) for one, other in zip(ours, theirs, strict=True))


def close(ours: list[float], theirs: list[float]) -> None:
    """To what float32 allows the peers: torch's log-softmax over so many tokens is off by 1e-5, and z by 3e-4."""
    assert apart(ours, theirs) < 5e-4, f"the answers differ: {ours} and {theirs}"


def main() -> None:
    torch.set_num_threads(1)
    loaded = load_model(device="cpu")
    corpus = [text for text in load_corpus() if len(text) > 8 * TOKENS][:TEXTS]
    texts = [torch.tensor([loaded.tokenizer(text)["input_ids"][:TOKENS]]) for text in corpus]
    model = loaded.model
    with torch.no_grad():
        logits = model(texts[0]).logits[0, :-1].clone()
    tokens = texts[0][0, 1:]

    def forward() -> None:
        with torch.inference_mode():
            for ids in texts:
                model(input_ids=ids, use_cache=False)

    def z() -> list[float]:
        return [-provenance_test(TokenRecord.from_logits(logits, tokens)).z]

    exact = exactly(model, texts)
    ours, theirs = apart(records(model, texts), exact), apart(two_passes(model, texts), exact)
    assert ours < 1e-6, f"the statistic is off by {ours}"
    rows = [
        compare(
            f"{TEXTS} texts of {TOKENS} tokens",
            Contender("token_record", lambda: records(model, texts), "matropy"),
            Contender("get_ll + get_entropy", lambda: two_passes(model, texts), AUTHORS),
            agree=close,
            aim=1.8,
            floor=forward,
            rounds=5,
        ),
        compare(
            f"given logits, {TOKENS - 1} rows of {logits.shape[1]:,}",
            Contender("TokenRecord.from_logits", z, "matropy"),
            Contender("analytic discrepancy", lambda: analytic_discrepancy(logits, tokens), FAST_DETECTGPT),
            agree=close,
            aim=1.0,
            floor=lambda: logits.exp().sum(-1),
            rounds=7,
        ),
    ]
    notes = [
        "One thread, float32, SmolLM2-135M-Instruct. The floor of the first row is one forward pass with all its logits, of"
        " the second one exponential and one sum over the logits; the peer of the second row gives one number a text, a"
        " record ten a token.",
        f"D of a record differs from float64 by {ours:.0e} nats, that of the two passes by {theirs:.0e}.",
        f"Of the first row: a forward pass is {0.27:.2f} GFLOP a token, and one float32 copy of a text's logits"
        f" {TOKENS * logits.shape[1] * 4 / 1e6:.0f} MB; extra memory is the peak of resident memory during one call.",
    ]
    report(
        "provenance_test",
        "Provenance of text",
        rows,
        ("torch", "transformers", "numpy"),
        notes,
    )


if __name__ == "__main__":
    main()
