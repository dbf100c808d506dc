"""
How many directions? Low rank plus noise
========================================

Hidden states are rarely of exactly low rank: a few strong directions stand on a floor of weak ones. This example
plants ten directions in 200 tokens of 256 features, adds noise, and asks three measures how many directions there
are.
"""

# %%
# Ten planted directions, and noise of growing strength
# -----------------------------------------------------
# ``noise`` is the ratio of the noise's energy to that of the signal. All measures take a stack of matrices
# ``(..., N, d)``, so the whole sweep is one call each.

import matplotlib.pyplot as plt
import numpy as np

from matropy.metrics import effective_rank, isotropic_null, rankme

n_tokens, n_features, n_directions = 200, 256, 10
rng = np.random.default_rng(0)

signal = rng.normal(size=(n_tokens, n_directions)) @ rng.normal(size=(n_directions, n_features))
signal /= np.linalg.norm(signal)
floor = rng.normal(size=(n_tokens, n_features))
floor /= np.linalg.norm(floor)

noise = np.logspace(-4, 2, 49)
hidden = signal + np.sqrt(noise)[:, None, None] * floor

measures = {
    "RankMe": rankme(hidden),
    "effective rank": effective_rank(hidden),
    "effective rank, order 2": effective_rank(hidden, order=2),
}

fig, ax = plt.subplots()
for name, values in measures.items():
    ax.plot(noise, values, label=name)
ax.axhline(n_directions, color="#4a4f57", linestyle=":", linewidth=1.5)
ax.text(noise[-1], n_directions * 0.93, "planted", ha="right", va="top", color="#4a4f57")
ax.axhline(
    np.exp(isotropic_null(n_tokens, n_features).matrix_entropy),
    color="#4a4f57",
    linestyle="--",
    linewidth=1.5,
)
ax.text(noise[0], 142, "effective rank without structure", va="bottom", color="#4a4f57")
ax.set(
    xscale="log",
    yscale="log",
    xlabel="energy of the noise over that of the signal",
    ylabel="directions",
    title="Noise raises every count, RankMe's first",
)
ax.legend(loc="lower right", bbox_to_anchor=(1, 0.08))
plt.show()

# %%
# Where the difference comes from
# -------------------------------
# RankMe is the entropy of the *singular values*; effective rank, as matropy defines it, that of the *eigenvalues* of
# the covariance, their squares. Squaring pushes the floor down, and a higher order pushes it down further. So when
# the floor holds a hundredth of the energy, RankMe already counts most of it.

at = int(np.argmin(abs(noise - 0.01)))
eigenvalues = np.linalg.svd(hidden[at] - hidden[at].mean(0), compute_uv=False) ** 2
eigenvalues /= eigenvalues.sum()

fig, ax = plt.subplots()
ax.plot(np.arange(1, len(eigenvalues)), eigenvalues[:-1], color="#1f5fa8")
for (name, values), color in zip(measures.items(), ("#1f5fa8", "#c8502d", "#2f8f6b"), strict=True):
    ax.axvline(values[at], color=color, linestyle="--", linewidth=1.5, label=f"{name}: {values[at]:.1f}")
ax.set(
    xscale="log",
    yscale="log",
    xlabel="rank",
    ylabel="eigenvalue",
    title="The spectrum when the noise holds 1 % of the signal's energy",
)
ax.legend(loc="lower left")
plt.show()

# %%
# None of the three is wrong. Ask RankMe whether *anything* is left in the tail, the effective rank how many directions
# share the energy, and order 2 (the participation ratio) how many are strong. Report which one you used.
