r"""
How many kinds? A count that the mean does not see
==================================================

Internal diversity is one minus the mean similarity. The Vendi score is the effective number of different items. This
example makes sets in which the two disagree: a generator that copies a few very different prototypes, and one that
explores a small region evenly.
"""

# %%
# Copies of far-apart prototypes against an even cloud
# ----------------------------------------------------
# The copier knows between 2 and 40 prototypes, far from each other, and adds a little noise. The explorer covers one
# cloud. A Gaussian kernel of one bandwidth measures both.

import matplotlib.pyplot as plt
import numpy as np

from matropy.metrics import internal_diversity, rarefaction, vendi_profile, vendi_score

rng = np.random.default_rng(0)
n, d = 400, 16
explorer = rng.normal(size=(n, d))
options = {"kernel": "rbf", "sigma": 4.0}


def copier(prototypes):
    centres = 6 * rng.normal(size=(prototypes, d))
    return centres[rng.integers(0, prototypes, n)] + 0.2 * rng.normal(size=(n, d))


numbers = np.array([2, 3, 5, 8, 12, 20, 40])
copies = [copier(number) for number in numbers]

fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.7))
left.plot(numbers, [internal_diversity(x, **options) for x in copies], "o-", label="copier")
left.axhline(internal_diversity(explorer, **options), color="#c8502d", linestyle="--", label="explorer")
right.plot(numbers, [vendi_score(x, **options) for x in copies], "o-")
right.plot(numbers, numbers, ":", color="#4a4f57")
right.text(12, 9, "their number", color="#4a4f57", ha="left", va="top")
right.axhline(vendi_score(explorer, **options), color="#c8502d", linestyle="--")
left.set(ylabel="internal diversity", title="Saturates at once", ylim=(0, 1.05))
right.set(yscale="log", ylabel="Vendi score", title="Counts the prototypes")
right.set_yticks([2, 5, 10, 20, 40], ["2", "5", "10", "20", "40"])
for ax in (left, right):
    ax.set(xscale="log", xlabel="prototypes")
    ax.set_xticks(numbers, numbers)
    ax.minorticks_off()
left.legend(loc="lower right")
plt.show()

# %%
# By internal diversity three prototypes already beat the cloud, and from a dozen on there is little left to tell them
# apart. The score runs along their number, a little above it because the noise counts as well, and puts the cloud
# beside some twenty prototypes.
#
# The dial: rare or common
# ------------------------
# Order 0 is the rank of the kernel, where every trace of a difference counts; large orders see the common kinds alone.
# Here one item in a hundred is of a rare kind, ninety kinds in all.

common = np.repeat(np.eye(100)[:10], 99, axis=0)
rare = np.eye(100)[10:]
profile = vendi_profile(np.concatenate([common] * 10 + [rare]), np.linspace(0, 4, 81))

fig, ax = plt.subplots()
profile.plot(ax)
ax.axhline(10, color="#4a4f57", linestyle=":", linewidth=1.5)
ax.text(4, 10.5, "common kinds", ha="right", va="bottom", color="#4a4f57")
ax.set_yticks([10, 20, 50, 100], ["10", "20", "50", "100"])
ax.minorticks_off()
ax.set(title="Ten common kinds, ninety rare ones")
plt.show()

# %%
# Equal sizes only
# ----------------
# The score grows with the number of items, until the kinds are exhausted, and not at the same pace everywhere. Compare
# sets at equal size: ``rarefaction`` draws subsets.

sizes = [10, 20, 50, 100, 200, 400]
fig, ax = plt.subplots()
for name, x in {"explorer": explorer, "20 prototypes": copies[5]}.items():
    rarefaction(x, sizes, rng=0, **options).plot(ax, label=name)
ax.set(title="Kinds found, by size of the sample")
ax.legend()
plt.show()

# %%
# A hundred items of the copier look more diverse than a hundred of the cloud: far-apart prototypes are found quickly. At
# four hundred it is the other way round, and only the cloud goes on growing. Bands are one standard deviation over ten
# subsets.
