r"""
Why raw values mislead across widths
====================================

Take hidden states with no structure at all: independent Gaussian numbers. Make the model wider, and the matrix
nuclear-norm falls. Nothing was learned; there is only more room. This example measures the effect, sets
:func:`matropy.metrics.isotropic_null` beside it, and then looks at published figures again.
"""

# %%
# Gaussian states of growing width
# --------------------------------
# Texts of 64 and 256 tokens; points are measured on random states, lines are the closed form.

import matplotlib.pyplot as plt
import numpy as np

from matropy.metrics import isotropic_null, matrix_entropy, matrix_nuclear_norm

rng = np.random.default_rng(0)
widths = np.array([32, 64, 128, 256, 512, 1024, 2048])
fine = np.geomspace(32, 2048, 200).astype(int)

fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.7))
for n_tokens, color in ((64, "#c8502d"), (256, "#1f5fa8")):
    states = [rng.normal(size=(n_tokens, width)).astype(np.float32) for width in widths]
    null = isotropic_null(n_tokens, fine)
    left.plot(fine, null.matrix_nuclear_norm, color=color, label=f"{n_tokens} tokens")
    left.plot(widths, [matrix_nuclear_norm(x) for x in states], "o", color=color)
    right.plot(fine, null.matrix_entropy, color=color)
    right.plot(widths, [matrix_entropy(x) for x in states], "o", color=color)
left.set(
    xscale="log", xlabel="width d", ylabel="matrix nuclear-norm", title="Falls with width", ylim=(0, 1.05)
)
right.set(xscale="log", xlabel="width d", ylabel="matrix entropy (nats)", title="Rises, then levels off")
left.legend(loc="lower left")
plt.show()

# %%
# The norm peaks where the width equals the length. Below that it is capped by :math:`\sqrt{d/N}`, above it falls as
# :math:`\sqrt{N/d}`. The entropy rises with either, up to the smaller of the two.
#
# The published figures again
# ---------------------------
# Cerebras-GPT, 111M to 13B parameters, as given in the first version of the paper's tables (Li, Xia, Chang and Wu,
# 2025). The lengths of the texts are not published; 256 tokens are assumed here.

width = np.array([768, 1088, 1536, 2048, 2560, 4096, 5120])
published = {
    "Dolly-15k": [0.6207, 0.5565, 0.5063, 0.4553, 0.4639, 0.3904, 0.4859],
    "Wikipedia": [0.6744, 0.6422, 0.6094, 0.5639, 0.5438, 0.4660, 0.4708],
    "OpenWebText2": [0.7147, 0.7066, 0.6823, 0.6363, 0.6017, 0.5133, 0.4991],
}
null = isotropic_null(256, width).matrix_nuclear_norm

fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.7))
for name, values in published.items():
    left.plot(width, values, "o-", label=name)
    right.plot(width, values / null, "o-")
left.plot(width, null, "--", color="#4a4f57", label="no structure, 256 tokens")
right.axhline(1, linestyle="--", color="#4a4f57")
for ax in (left, right):
    ax.set(xscale="log", xlabel="width d")
    ax.set_xticks(width[::2], width[::2])
    ax.minorticks_off()
left.set(ylabel="matrix nuclear-norm", title="As published")
right.set(ylabel="over the null", title="The same, over the null")
left.legend(loc="lower left", fontsize=8.5)
plt.show()

# %%
# As published, the figure falls as models grow, which reads as compression. The null falls faster: over it, every curve
# rises. That does not show that larger models compress less. It shows that a raw figure cannot separate learning from
# width, and why ``matropy evaluate`` prints a calibrated one beside it.
#
# A value above 1 is no mistake. The surrogate adds the ``min(N, d)`` largest column norms; states that favor some
# features have larger ones than Gaussian states do. The calibrated *entropy* does not depend on the choice of axes and
# stays below 1 for structured states: prefer it where you can.
