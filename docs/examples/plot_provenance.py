r"""
Evidence over the tokens of a text
==================================

Was a text drawn from the law that a model states? The e-process of :func:`matropy.information.provenance_test` gathers
evidence token by token. Text of the law itself crosses the threshold :math:`1/\alpha`, at any time, with a chance of at
most :math:`\alpha`. This example draws texts as stated, cooler and warmer, and looks at how soon they part.
"""

# %%
# Three kinds of text
# -------------------
# The laws before each of 300 tokens are random here; with a language model,
# :func:`matropy.information.token_record` takes their place.

import matplotlib.pyplot as plt
import numpy as np

from matropy.information import Decoding, TokenRecord, provenance_test

alpha, length, count = 0.01, 300, 25
rng = np.random.default_rng(0)
kinds = {"as stated": 1.0, "cooler, T = 0.7": 0.7, "warmer, T = 1.3": 1.3}
results = {name: [] for name in kinds}
for name, temperature in kinds.items():
    for _ in range(count):
        logits = np.log(rng.dirichlet(np.full(50, 0.3), size=length))
        law = np.exp(Decoding(temperature).apply(logits))
        law /= law.sum(1, keepdims=True)
        tokens = (np.cumsum(law, axis=1) < rng.random((length, 1))).sum(1).clip(max=49)
        results[name].append(provenance_test(TokenRecord.from_logits(logits, tokens), alpha=alpha))

fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.7))
for (name, found), color in zip(results.items(), ("#1f5fa8", "#c8502d", "#2d8c5a"), strict=True):
    for result in found:
        left.plot(result.log_e_path / np.log(10), color=color, alpha=0.35, linewidth=0.9)
    left.plot([], color=color, label=name)
    waits = np.sort([length if r.first_rejection is None else r.first_rejection + 1 for r in found])
    rejected = np.array([r.first_rejection is not None for r in found]).mean()
    right.step(waits, np.arange(1, count + 1) / count * (waits < length), where="post", color=color)
    print(f"{name}: {rejected:.0%} rejected at level {alpha:g}")
left.axhline(-np.log10(alpha), linestyle="--", color="#4a4f57")
left.set(xlabel="tokens", ylabel="log10 E", title="Evidence against the full law", ylim=(-8, 16))
left.legend(loc="upper left")
right.set(
    xlabel="tokens", ylabel="share rejected", title="When it is enough", xlim=(0, length), ylim=(0, 1.02)
)
plt.show()

# %%
# The bets pay on both sides: text that is too predictable and text that is too surprising. Text as stated loses, on
# average, a little with every bet.
#
# What the decoding does
# ----------------------
# The cooler texts above were drawn from the same model. They are rejected because their temperature was not declared:
# the null is a model *with its decoding*. Declared, they pass, and text of the full law does not.

logits = np.log(rng.dirichlet(np.full(50, 0.3), size=length))
law = np.exp(Decoding(0.7).apply(logits))
law /= law.sum(1, keepdims=True)
cooled = (np.cumsum(law, axis=1) < rng.random((length, 1))).sum(1).clip(max=49)
for declared in (Decoding(), Decoding(0.7)):
    print(provenance_test(TokenRecord.from_logits(logits, cooled, decoding=declared), alpha=alpha).verdict)

# %%
# How loose the a priori bound is
# -------------------------------
# Knowing nothing but the size of the vocabulary, how large must the deviation D be to reject at a length? The bound has
# to hold for the worst law; the variance that the model itself states is far smaller.

lengths = np.array([100, 200, 500, 1000, 2000, 5000])
spread = 6.0  # nats squared a token, as of a small language model
vocabulary = 49_152


def smallest_deviation(n):
    """Where the p-value of the bound falls to the level, by bisection over records of one deviation."""
    low, high = 0.0, 5.0
    for _ in range(40):
        middle = (low + high) / 2
        record = TokenRecord(
            np.full(n, 3 + middle), np.full(n, 3.0), np.full(n, spread), np.full((n, 1), 0.31), np.zeros(n), np.zeros(n),
            (0.1,), Decoding(), vocabulary,
        )  # fmt: skip
        low, high = (
            (low, middle) if provenance_test(record, alpha=alpha, method="bound").reject else (middle, high)
        )
    return high


fig, ax = plt.subplots(figsize=(5.6, 3.6))
ax.loglog(lengths, [smallest_deviation(n) for n in lengths], "o-", label="a priori bound")
ax.loglog(lengths, 2.576 * np.sqrt(spread / lengths), "o-", label="z, with the stated variance")
ax.set(xlabel="tokens", ylabel="|D| that is rejected (nats)", title=f"Level {alpha:g}, {vocabulary:,} tokens")
ax.legend()
plt.show()
