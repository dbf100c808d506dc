"""
Where a model is unsure, and where it is wrong
==============================================

A language model's loss is one number. Behind it stand, for every token, how surprising it was, how sure the model had
been, and where the token ranked. This example trains a small model on the Python manual and looks at all three, without
ever holding a matrix of logits.
"""

# %%
# A model that predicts the next character from the five before it
# ----------------------------------------------------------------
# The loss owns the classifier, as ``torch.nn.Linear`` would, and takes hidden states.

from pydoc_data.topics import topics

import matplotlib.pyplot as plt
import torch

from matropy.nn import LinearCrossEntropyLoss, token_statistics

text = " ".join(topics[name] for name in sorted(topics))
characters = sorted(set(text))
tokens = torch.tensor([characters.index(character) for character in text[:200_000]])

generator = torch.Generator().manual_seed(0)
torch.manual_seed(0)
body = torch.nn.Sequential(
    torch.nn.Embedding(len(characters), 24),
    torch.nn.Flatten(),
    torch.nn.Linear(5 * 24, 128),
    torch.nn.GELU(),
    torch.nn.Linear(128, 32),
)
criterion = LinearCrossEntropyLoss(32, len(characters), bias=True)
optimizer = torch.optim.Adam([*body.parameters(), *criterion.parameters()], lr=5e-3)
train, held_out = tokens[:180_000].unfold(0, 6, 1), tokens[180_000:].unfold(0, 6, 1)

for _ in range(300):
    batch = train[torch.randint(len(train), (256,), generator=generator)]
    optimizer.zero_grad()
    criterion(body(batch[:, :5]), batch[:, 5]).backward()
    optimizer.step()

# %%
# Surprise against uncertainty
# ----------------------------
# A model that knows what it does not know is, on average, as surprised as it expected to be: the mean of the negative
# log-likelihood over tokens of one entropy is that entropy. Above the diagonal a model is overconfident. This one is,
# where it is unsure: the last topics of the manual differ from those that it was trained on.

with torch.no_grad():
    statistics = token_statistics(
        body(held_out[:, :5]), criterion.weight, held_out[:, 5], linear_bias=criterion.bias
    )

edges = torch.quantile(statistics.entropy, torch.linspace(0, 1, 13))
group = torch.bucketize(statistics.entropy, edges[1:-1])
expected = torch.stack([statistics.entropy[group == index].mean() for index in range(12)])
observed = torch.stack([statistics.nll[group == index].mean() for index in range(12)])

fig, ax = plt.subplots()
ax.plot(expected, expected, color="#4a4f57", linestyle=":", linewidth=1.5, label="as expected")
ax.plot(expected, observed, marker="o", label="characters of the manual")
ax.set(
    xlabel="entropy of the prediction, nats",
    ylabel="mean negative log-likelihood, nats",
    title="Where it is unsure, it is still too sure",
)
ax.legend(loc="upper left")
plt.show()

# %%
# Where the true character ranked
# -------------------------------
# The rank counts the characters that the model thought more likely.

ranks = torch.bincount(statistics.rank, minlength=len(characters)).double()
share = (ranks.cumsum(0) / ranks.sum())[:20]

fig, ax = plt.subplots()
ax.plot(range(1, 21), share, marker="o")
ax.set(
    xlabel="guesses",
    ylabel="share of characters found",
    xticks=range(0, 21, 5),
    ylim=(0, 1),
    title="How many guesses the model needs",
)
plt.show()
