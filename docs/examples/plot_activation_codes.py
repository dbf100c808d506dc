r"""
Linear regions, and who shares one
==================================

A ReLU network cuts its input space into regions on each of which it is linear. Which units are on is the same all over a
region and different in the next one: a binary code. This example draws the regions of a small network, then asks how wide a
network has to be to give every image a region of its own.
"""

# %%
# A plane, cut
# ------------
# Two layers of eight units on two moons. Every pixel of the plane is an input; pixels of one code have one color, and
# ``CodeBook`` says how many codes there are.

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits, make_moons

from matropy.metrics import ActivationRecorder, HammingKNN, phase_chart


def codes_of(model, x):
    with ActivationRecorder(model) as recorder, torch.no_grad():
        model(torch.as_tensor(x, dtype=torch.float32))
    return recorder.codes


def train(model, x, y, epochs, batch=64):
    x, y = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    order = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=order).split(batch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()


def network(*sizes):
    layers = []
    for before, after in pairwise(sizes[:-1]):
        layers += [torch.nn.Linear(before, after), torch.nn.BatchNorm1d(after), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(*sizes[-2:]))


torch.manual_seed(2)
points, labels = make_moons(300, noise=0.12, random_state=0)
across, up = np.meshgrid(np.linspace(-1.6, 2.6, 420), np.linspace(-1.2, 1.7, 290))
plane = np.column_stack([across.ravel(), up.ravel()])
model = network(2, 8, 8, 2)

fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.4), sharey=True)
for ax, moment in zip(axes, ("before training", "after training"), strict=True):
    if moment == "after training":
        train(model, points, labels, epochs=60)
    codes = codes_of(model, plane)
    _, region = np.unique(codes.packed[:, 0], return_inverse=True)
    colors = np.random.default_rng(1).permutation(region.max() + 1)[region]
    ax.imshow(
        colors.reshape(across.shape),
        extent=(-1.6, 2.6, -1.2, 1.7),
        origin="lower",
        aspect="auto",
        cmap="Spectral",
        alpha=0.6,
        interpolation="nearest",
    )
    for label, color in ((0, "#1f5fa8"), (1, "#c8502d")):
        ax.plot(*points[labels == label].T, ".", color=color, markersize=4)
    own = codes_of(model, points)
    ax.grid(False)
    ax.set(title=f"{len(codes.unique())} regions {moment},\nredundancy of the points {own.redundancy():.2f}")
plt.show()

# %%
# Three hundred points in a plane share a few dozen regions: the redundancy, the share of surplus points, stays high.
#
# How wide is wide enough
# -----------------------
# Images have many more dimensions, and so many more regions. A network of one hidden layer on small digits, trained on
# growing subsets: redundancy of the test images in color, accuracy of nine nearest neighbours on the codes in the cells.

images, digits = load_digits(return_X_y=True)
images = images / 16
results = []
for samples in (100, 300, 1000):
    for width in (4, 8, 16, 32, 64, 128):
        torch.manual_seed(0)
        model = network(64, width, 10)
        train(model, images[:samples], digits[:samples], epochs=max(3, 1000 // samples))
        training, test = codes_of(model, images[:samples]), codes_of(model, images[1000:])
        accuracy = HammingKNN().fit(training, digits[:samples]).score(test, digits[1000:])
        results.append(
            {"size": width, "samples": samples, "redundancy": test.redundancy(), "accuracy": accuracy}
        )

chart = phase_chart(results)
fig, ax = plt.subplots(figsize=(8, 3.6))
chart.plot(ax)
ax.set(xlabel="units of the hidden layer", ylabel="training images", title="Activation hash phase chart")
plt.show()

# %%
# To the left, images fall into the same region and no classifier on the codes can tell them apart. To the right, every
# image has a code of its own, and more units change nothing: the network is wide enough for these data. The thresholds
# between the regimes are arguments of ``phase_chart``.
