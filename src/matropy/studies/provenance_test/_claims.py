"""What is claimed, and when it holds; written before anything is measured."""

from __future__ import annotations

from matropy.studies._contract import Claim
from matropy.studies._criteria import AtLeast, AtMost, Close, Ordered, Within

_MODELS = {"smollm2": "SmolLM2-135M-Instruct", "gemma": "Gemma-3-270M"}
_LIKELY = "The binomial chance of as many false alarms, at least 0.5 %."


def _of_model(key: str, name: str) -> tuple[Claim, ...]:
    departs = f"{name} in 4-bit weights, 32 tokens of twelve genres as prompts, 96 tokens scored; the paper's models have 8 to 33 billion."
    return (
        Claim(
            f"{name}: log-perplexity of its own text is its mean entropy, to 3 standard errors",
            AtMost(f"{key}_own_D_errors", 3),
            where="the theorem that D tends to 0 under the model",
            origin="paper",
            departs=departs,
        ),
        Claim(
            f"{name}: text sampled with top-k 40 and text by people are told apart by D",
            AtLeast(f"{key}_auc_cut", 0.98),
            published=0.997,
            where="Llama-3-8B, xsum; .995 on squad, .987 on writing",
            origin="paper",
            departs=departs,
        ),
        Claim(
            f"{name}: text sampled from the full law and text by people are told apart by D as well",
            AtLeast(f"{key}_auc_own", 0.95),
            published=0.997,
            where="Llama-3-8B, xsum, sampled with top-k 40 and scored against the full law",
            origin="paper",
            departs=departs
            + " Sampled at temperature 1 without top-k: nothing but the model tells them apart.",
            expected=False,
        ),
        *(
            Claim(
                f"{name}: {what} rejects no more of its {text} than its level allows",
                AtLeast(f"{key}_{kind}_alarms_{method}_p", 0.005),
                where=_LIKELY,
                origin="theory",
            )
            for kind, text, method, what in (
                ("own", "own text at temperature 1", "rejected", "the e-process"),
                ("own", "own text at temperature 1", "rejected_z", "z"),
                ("own", "own text at temperature 1", "rejected_bound", "the a priori bound"),
                ("cool", "own text at temperature 0.7, so declared,", "rejected", "the e-process"),
                ("cut", "own text with top-k 40, so declared,", "rejected", "the e-process"),
            )
        ),
        Claim(
            f"{name}: no token of its own top-k 40 text is outside its top 40",
            AtMost(f"{key}_cut_impossible", 0),
            where="the declared law is the one that was sampled",
            origin="theory",
        ),
        Claim(
            f"{name}: D of cooled text < D of top-k 40 text < 0 < D of text by people",
            Ordered(f"{key}_D_cool", f"{key}_D_cut", "zero", f"{key}_D_human"),
            published="-1.02, -.70, .29",
            where="an earlier measurement, SmolLM2, 192 tokens",
            origin="own",
        ),
        Claim(
            f"{name}: 50 tokens tell text at temperature 0.7 from text by people",
            AtLeast(f"{key}_auc_shorter_cool", 0.99),
            published=1.0,
            where="an earlier measurement, SmolLM2",
            origin="own",
        ),
        Claim(
            f"{name}: undeclared decoding rejects a model's own text: temperature 0.7 under the full law",
            AtLeast(f"{key}_cool_found", 0.95),
            published=1.0,
            where="an earlier measurement, SmolLM2, 192 tokens",
            origin="own",
        ),
        Claim(
            f"{name}: text by people is rejected within 60 tokens under the null temperature 2/3",
            AtLeast(f"{key}_human_cold_within_60", 0.95),
            published=1.0,
            where="an earlier measurement, SmolLM2, the single bet on temperature 1",
            origin="own",
        ),
        Claim(
            f"{name}: text by people is refuted under the null top-k 40",
            AtLeast(f"{key}_human_cut_rejected", 0.99),
            published=1.0,
            where="an earlier measurement, SmolLM2: a fifth of the tokens is outside the top 40",
            origin="own",
        ),
    )


_THEORY = (
    Claim(
        "Every bet of the e-process has mean one under every decoding, by enumeration",
        AtMost("enumeration_error", 1e-12),
        where="6,561 strings of eight symbols, five decodings, six bets",
        origin="theory",
    ),
    Claim(
        "The e-process crosses its threshold in at most 5 % of own strings, at any length",
        AtMost("markov_false_alarms", 0.05),
        published="1.8, 2.6, 3.0 % at 50, 200, 500 tokens",
        where="Ville's inequality; an earlier measurement on such a chain",
        origin="theory",
    ),
    Claim(
        "z is beyond 1.96 in 5 % of long strings",
        Within("markov_z_tail", 0.045, 0.055),
        published=0.05,
        where="the central limit theorem for martingales",
        origin="theory",
    ),
    Claim(
        "The a priori bound rejects at most 5 % of own strings",
        AtMost("markov_bound_alarms", 0.05),
        where="Reeb and Wolf's bound of the variance",
        origin="theory",
    ),
    Claim(
        "No one-against-the-rest law has a variance above the bound",
        AtMost("variance_over_bound", 1),
        where="ln²(V-1)/4 + 1, for V = 2 to 262,144",
        origin="theory",
    ),
    Claim(
        "Minus z is the analytic statistic of Fast-DetectGPT with one model",
        AtMost("fast_detectgpt_difference", 1e-5),
        where="re-implemented from its formula, shared logits",
        origin="peer",
    ),
)

_PAPER = (
    Claim(
        "Errors of both types vanish with the length: missed strings at level 5 %",
        Ordered("markov_missed_z_500", "markov_missed_z_200", "markov_missed_z_100", "markov_missed_z_50"),
        where="the theorem that both errors fall exponentially",
        origin="paper",
        departs="A Markov chain with one symbol of noise in ten, the z test.",
    ),
    Claim(
        "Of two models, the likelier one made the text",
        AtLeast("attribution_right", 0.95),
        published="type II error 0 in most cells, 14.2 % at worst",
        where="four models, 300 tokens",
        origin="paper",
        departs="SmolLM2-135M-Instruct and Gemma-3-270M, 96 tokens.",
    ),
    Claim(
        "Of two models, the author is rejected in at most 5 % of its texts",
        AtMost("attribution_author_rejected", 0.05),
        published="type I error at most 2.3 %",
        where="four models, 300 tokens",
        origin="paper",
        departs="SmolLM2-135M-Instruct and Gemma-3-270M, 96 tokens; e-values over the same bytes.",
    ),
)

_GUARDS = (
    Claim(
        "One symbol of noise in ten is found in 500 tokens",
        AtLeast("markov_power_mixing", 0.98),
        published=0.98,
        where="an earlier measurement on such a chain",
        origin="own",
    ),
    Claim(
        "Temperature 1.15 is found in 500 tokens more often than not",
        AtLeast("markov_power_warm", 0.55),
        published=0.55,
        where="an earlier measurement on such a chain",
        origin="own",
    ),
    Claim(
        "SmolLM2-135M-Instruct: AUC of D at temperature 1 against people",
        Close("smollm2_auc_own", 0.82, atol=0.1),
        published=0.82,
        where="an earlier measurement, 100 tokens",
        origin="own",
    ),
)

CLAIMS = (
    _PAPER
    + _THEORY
    + tuple(claim for key, name in _MODELS.items() for claim in _of_model(key, name))
    + _GUARDS
)
