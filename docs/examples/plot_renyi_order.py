r"""
One spectrum, a family of entropies
===================================

Rényi's order :math:`q` is a dial. At 0 it counts every direction, at 1 it is Shannon's entropy, at 2 it asks how
often two draws coincide, at infinity only the strongest direction counts. The Hill number is its exponential: the
effective number of directions.
"""

import matplotlib.pyplot as plt
import numpy as np

from matropy.entropy import hill_number

ranks = np.arange(1, 101)
orders = np.linspace(0, 4, 81)

fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.7))
for alpha in (0.0, 0.5, 1.0, 2.0):
    spectrum = ranks**-alpha / np.sum(ranks**-alpha)
    (line,) = left.plot(ranks, spectrum, label=rf"$\alpha={alpha:g}$")
    right.plot(orders, [hill_number(spectrum, order) for order in orders], color=line.get_color())
left.set(
    xscale="log",
    yscale="log",
    xlabel="rank k",
    ylabel="eigenvalue",
    title=r"Spectra $\lambda_k\propto k^{-\alpha}$",
)
right.set(yscale="log", xlabel="order q", ylabel="Hill number", title="Directions in use, by order")
right.axvline(1, color="#4a4f57", linestyle=":", linewidth=1.5)
left.legend(loc="lower left")
plt.show()

# %%
# All four spectra have 100 directions, so they agree at order 0. They part at once: the steeper the spectrum, the
# sooner the count falls. A flat spectrum has 100 at every order. matropy's ``effective_rank`` reads the dial at 1,
# ``participation_ratio`` at 2.
