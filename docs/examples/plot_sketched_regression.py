r"""
A regression of which every coefficient may be read
===================================================

A hundred thousand rows, compressed to two thousand. Each coefficient gets an interval for the solution of *all* rows, from
the sketch alone. Beside it stands what people do instead, a regression on a random sample of as many rows, and then an
instance on which a sparse sketch goes wrong.
"""

# %%
# Intervals for the solution of all rows
# --------------------------------------
# Sixteen groups of very unequal size, as in a table of carriers or postcodes. The last ones have a handful of rows.

import warnings

import matplotlib.pyplot as plt
import numpy as np

from matropy.recovery import Sketch, SketchedLinearRegression

rng = np.random.default_rng(0)
n, m = 100_000, 2000
share = 0.45 ** np.arange(16)
group = rng.choice(16, size=n, p=share / share.sum())
design = np.column_stack([rng.standard_t(3, size=n), np.eye(16)[group]])
target = design @ np.append(0.5, rng.normal(size=16)) + rng.standard_t(3, size=n)
design = design[:, design.any(axis=0)]

full = SketchedLinearRegression(method="normal", fit_intercept=False).fit(design, target)
sketch = SketchedLinearRegression(m, method="sketch", fit_intercept=False, random_state=0).fit(design, target)

at = rng.integers(0, n, m)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # groups without a row in the sample
    sample = SketchedLinearRegression(method="normal", fit_intercept=False).fit(design[at], target[at])

fig, ax = plt.subplots(figsize=(8.4, 4.2))
place = np.arange(design.shape[1])
low, high = sketch.conf_int(simultaneous=True).T - full.coef_
ax.vlines(place, low, high, color="#1f5fa8", linewidth=5, alpha=0.35, label="95 % of the sketch, all at once")
ax.plot(place, sketch.coef_ - full.coef_, "o", color="#1f5fa8", label="from the sketch")
ax.plot(place, sample.coef_ - full.coef_, "x", color="#c8502d", label="from a sample of as many rows")
ax.axhline(0, color="#4a4f57", linestyle="--", linewidth=1.2)
ax.set_yscale("symlog", linthresh=0.3)
ax.set_xticks(place, [f"{int(count):,}" for count in (design != 0).sum(axis=0)], rotation=60, fontsize=8)
ax.set(
    xlabel="rows that bear on the coefficient",
    ylabel="minus the solution of all rows",
    title="Rare groups get wide bars, and honest ones",
)
ax.legend(loc="upper left", fontsize=8.5)
plt.show()

# %%
# The bars are wide where few rows bear on a coefficient: at this size a sketch cannot know it better, and says so. The sample
# may look closer there, and means nothing: it has no row of the rarest groups, and least squares gives them zero.
#
# Where a sparse sketch goes wrong
# --------------------------------
# The design is an identity matrix on top of zeros, the target sits on a few later rows. All coefficients are zero. A count
# sketch adds rows into buckets: when a row of the design and one of the target meet, that coefficient is off by a fixed
# amount, whatever the number of other rows. Signs and a Hadamard matrix spread the same error over all coefficients.

d, m, n, t = 64, 1024, 8192, 48
errors = {"srht": [], "countsketch": []}
for seed in range(30):
    rng = np.random.default_rng(seed)
    rows = np.zeros((n, d + 1))
    rows[:d, :d] = np.eye(d)
    rows[d + rng.choice(n - d, t, replace=False), d] = rng.choice([-1, 1], t) / np.sqrt(t)
    for kind, found in errors.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rows of the design that share a bucket
            model = SketchedLinearRegression(fit_intercept=False).fit_sketch(
                Sketch(kind, m, seed).update(rows)
            )
        found.append(np.sqrt(m) * np.abs(model.coef_).max())

fig, ax = plt.subplots(figsize=(6.4, 3.7))
for (kind, found), color in zip(errors.items(), ("#1f5fa8", "#c8502d"), strict=True):
    ax.plot(np.arange(1, 31), np.sort(found), "o-", color=color, markersize=4, label=kind)
ax.axhline(np.sqrt(m / t), color="#4a4f57", linestyle="--", linewidth=1.2)
ax.text(1, np.sqrt(m / t) * 1.04, "one collision", va="bottom", color="#4a4f57")
ax.set(
    xlabel="draws, the best first",
    ylabel=r"$\sqrt{m}$ × largest coefficient",
    title="A single collision ruins a coefficient",
    ylim=(0, None),
)
ax.legend(loc="lower right")
plt.show()
