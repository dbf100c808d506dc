"""A source whose every law is known: a Markov chain, sampled and recorded without a model."""

from __future__ import annotations

import numpy as np

from matropy.information import Decoding, TokenRecord

LAMBDAS = (-0.5, -0.25, -0.1, 0.05, 0.1, 0.2)


class MarkovSource:
    """Rows of a transition matrix, and the record of every (state, token) pair under one declared law."""

    def __init__(self, symbols=50, seed=0, decoding=None, lambdas=LAMBDAS):
        self.rng = np.random.default_rng(seed)
        self.rows = self.rng.dirichlet(np.full(symbols, 0.3), size=symbols)
        self.symbols = symbols
        state, token = np.divmod(np.arange(symbols**2), symbols)
        self.pairs = TokenRecord.from_logits(
            np.log(self.rows[state]), token, decoding=decoding or Decoding(), lambdas=lambdas
        )

    def strings(self, count, length, rows=None):
        """Sample ``count`` strings: their states before each token, and the tokens."""
        cumulative = np.cumsum(self.rows if rows is None else rows, axis=1)
        cumulative /= cumulative[:, -1:]
        states = np.empty((count, length + 1), dtype=np.int64)
        states[:, 0] = self.rng.integers(self.symbols, size=count)
        uniform = self.rng.random((length, count))
        for step in range(length):
            states[:, step + 1] = (cumulative[states[:, step]] < uniform[step, :, None]).sum(1)
        return states

    def indices(self, states):
        """Places of the pairs of each string in ``self.pairs``."""
        return states[:, :-1] * self.symbols + states[:, 1:]

    def records(self, states):
        """One record a string."""
        return [self.pairs[index] for index in self.indices(states)]

    def log_e_paths(self, states):
        """Paths of the e-process of all strings at once, straight from its definition, shape (count, length)."""
        index = self.indices(states)
        paths = [
            np.cumsum(value * self.pairs.surprise[index] - self.pairs.cumulant[index, column], axis=1)
            for column, value in enumerate(self.pairs.lambdas)
        ]
        return np.logaddexp.reduce(paths) - np.log(len(paths))

    def scores(self, states):
        """The standard score z of all strings."""
        index = self.indices(states)
        excess = (self.pairs.surprise - self.pairs.entropy)[index].sum(1)
        return excess / np.sqrt(self.pairs.variance[index].sum(1))
