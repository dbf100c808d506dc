"""What a test needs to know of every token, without the model."""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from matropy._core._errors import InputError
from matropy._core._files import write_atomic
from matropy._core._validation import Array, check_array, check_integer
from matropy.information._provenance._decoding import FULL_LAW, Decoding
from matropy.information._provenance._token_statistics import LAMBDAS, token_statistics

__all__ = ["TokenRecord", "check_lambdas", "check_tokens"]

_FORMAT = "matropy.token-record"
_VERSION = 1
_ARRAYS = {"surprise": 1, "entropy": 1, "variance": 1, "cumulant": 2, "rank": 1, "tokens": 1}


@dataclass(frozen=True, eq=False)
class TokenRecord:
    r"""What the declared law :math:`p_t` of a model says about each token :math:`y_t` of a text.

    Every test of provenance reads this and nothing else, so a text is run through the model once. A record can be cut
    like an array: ``record[:100]`` holds the first hundred tokens.

    Attributes
    ----------
    surprise : array, shape (n,)
        :math:`s_t=-\ln p_t(y_t)`, nats; infinite for a token that the law does not allow.
    entropy : array, shape (n,)
        :math:`h_t=-\sum_v p_t(v)\ln p_t(v)`, nats.
    variance : array, shape (n,)
        :math:`v_t=\sum_v p_t(v)\ln^2p_t(v)-h_t^2`, nats².
    cumulant : array, shape (n, m)
        :math:`K_t(\lambda)=\ln\sum_v p_t(v)^{1-\lambda}` over the tokens that the law allows, one column a
        :math:`\lambda`; nats.
    rank : array of int, shape (n,)
        How many tokens the model finds likelier than :math:`y_t`, before any decoding; 0 is the likeliest.
    tokens : array of int, shape (n,)
        Token ids.
    lambdas : tuple of float
        The bets :math:`\lambda` of the e-process: each tempers the law to :math:`1/(1-\lambda)`.
    decoding : Decoding
        The declared law.
    vocabulary : int
        Number of tokens V.
    model : str
        Name of the model, or empty.
    """

    surprise: NDArray[np.float64]
    entropy: NDArray[np.float64]
    variance: NDArray[np.float64]
    cumulant: NDArray[np.float64]
    rank: NDArray[np.int64]
    tokens: NDArray[np.int64]
    lambdas: tuple[float, ...]
    decoding: Decoding
    vocabulary: int
    model: str = ""

    def __post_init__(self) -> None:
        for name, ndim in _ARRAYS.items():
            kind = np.int64 if name in ("rank", "tokens") else np.float64
            array = np.asarray(getattr(self, name), dtype=kind)
            if array.ndim != ndim or len(array) != len(self.surprise):
                raise ValueError(f"{name} of a record must have {ndim} axes and a row for every token")
            if not (np.isfinite(array) | (name == "surprise") & (array == math.inf)).all():
                raise ValueError(f"{name} of a record holds NaN or infinite values")
            object.__setattr__(self, name, array)
        object.__setattr__(self, "lambdas", check_lambdas(self.lambdas))
        if self.cumulant.shape[1] != len(self.lambdas):
            raise ValueError(
                f"cumulant has {self.cumulant.shape[1]} columns for {len(self.lambdas)} lambdas; they must agree"
            )
        check_integer(self.vocabulary, "vocabulary", low=2)
        check_tokens(self.tokens, self.vocabulary)

    @classmethod
    def from_logits(
        cls,
        logits: Array,
        tokens: Array,
        *,
        decoding: Decoding = FULL_LAW,
        lambdas: Sequence[float] = LAMBDAS,
        block: int | None = None,
    ) -> TokenRecord:
        """Make a record from stored logits or log-probabilities.

        Parameters
        ----------
        logits : array, shape (n, V)
            Row t is the full law of ``tokens[t]``; -inf is a token that it forbids. NumPy or torch; float32 and
            float64 are computed in their own precision, half precision in float32, and all sums end in float64.
        tokens : array of int, shape (n,)
            The tokens that came.
        decoding : Decoding
            The law that is declared.
        lambdas : sequence of float
            Different finite numbers below 1, none of them 0. Beyond 0.5 the e-process has a huge variance.
        block : int, optional
            The most rows that are worked on at once. It changes nothing but memory and time.

        Returns
        -------
        TokenRecord

        Raises
        ------
        ValueError
            For NaN or +inf, a row that forbids every token, a token id outside the vocabulary, a vocabulary of one,
            lengths that differ, or ``lambdas`` out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from matropy.information import TokenRecord
        >>> record = TokenRecord.from_logits(np.log([[0.5, 0.25, 0.25]]), [1])
        >>> print(record.surprise[0] / np.log(2), record.entropy[0] / np.log(2))
        2.0 1.5
        """
        rows, xp = check_array(logits, "logits", min_ndim=2, max_ndim=2)
        if rows.shape[1] < 2:
            raise ValueError(f"logits must have a column for each of two or more tokens, got {rows.shape[1]}")
        lambdas = check_lambdas(lambdas)
        if block is not None:
            block = check_integer(block, "block", low=1)
        ids = check_tokens(tokens, rows.shape[1])
        if len(ids) != len(rows):
            raise ValueError(f"logits have {len(rows)} rows for {len(ids)} tokens; they must agree")
        if hasattr(rows, "detach"):
            rows = rows.detach()
            if rows.device.type == "mps":  # has no float64
                rows = rows.cpu()
        places = xp.asarray(ids, device=getattr(rows, "device", None))
        found = token_statistics(rows, places, decoding, lambdas, block=block)
        return cls(
            surprise=_numpy(found.surprise),
            entropy=_numpy(found.entropy),
            variance=_numpy(found.variance),
            cumulant=_numpy(found.cumulant),
            rank=_numpy(found.rank),
            tokens=ids,
            lambdas=lambdas,
            decoding=decoding,
            vocabulary=rows.shape[1],
        )

    def __len__(self) -> int:
        return len(self.surprise)

    def __getitem__(self, kept: slice | NDArray[Any]) -> TokenRecord:
        """The record of some of the tokens."""
        if not isinstance(kept, slice):
            kept = np.atleast_1d(kept)
        return replace(self, **{name: getattr(self, name)[kept] for name in _ARRAYS})

    @property
    def log_likelihood(self) -> float:
        r"""Of all tokens, :math:`-\sum_ts_t`; nats."""
        return -float(self.surprise.sum())

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the record to a file of NumPy arrays (npz), whole or not at all, and give its path."""
        about = {
            "format": _FORMAT,
            "version": _VERSION,
            **{field.name: getattr(self, field.name) for field in fields(self) if field.name not in _ARRAYS},
        }
        content = io.BytesIO()
        np.savez_compressed(
            content,
            allow_pickle=False,
            about=np.array(msgspec.json.encode(about).decode()),
            **{name: getattr(self, name) for name in _ARRAYS},
        )
        target = Path(path)
        write_atomic(target, content.getvalue())
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TokenRecord:
        """Read a record that :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file is missing, no record, of another version or damaged.
        """
        file = Path(path)
        try:
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as content:
                about = msgspec.json.decode(str(content["about"]), type=_About)
                arrays = {name: content[name] for name in _ARRAYS}
            if (about.format, about.version) != (_FORMAT, _VERSION):
                raise ValueError(f"its format is {about.format!r} of version {about.version}")
            return cls(
                **arrays,
                lambdas=about.lambdas,
                decoding=about.decoding,
                vocabulary=about.vocabulary,
                model=about.model,
            )
        except OSError as error:
            raise InputError(f"cannot read {file}: {error.strerror or error}") from error
        except (KeyError, TypeError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise InputError(f"{file} is not a record of tokens: {error}") from error


class _About(msgspec.Struct):
    format: str
    version: int
    lambdas: tuple[float, ...]
    decoding: Decoding
    vocabulary: int
    model: str


def check_lambdas(lambdas: Sequence[float]) -> tuple[float, ...]:
    """Return the grid of an e-process as numbers."""
    grid = tuple(float(value) for value in np.atleast_1d(np.asarray(lambdas, dtype=np.float64)))
    if not grid or not all(math.isfinite(value) and value < 1 and value != 0 for value in grid):
        raise ValueError(f"lambdas must be finite numbers below 1, none of them 0; got {lambdas!r}")
    if len(set(grid)) < len(grid):
        raise ValueError(f"lambdas must differ from each other; got {lambdas!r}")
    return grid


def check_tokens(tokens: Array, vocabulary: int | None = None) -> NDArray[np.int64]:
    """Return token ids as a row of NumPy integers within the vocabulary."""
    ids = np.asarray(tokens.detach().cpu() if hasattr(tokens, "detach") else tokens)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"tokens must be integers, got dtype {ids.dtype}")
    if ids.ndim != 1:
        raise ValueError(f"tokens must be one row of ids, got shape {ids.shape}")
    if len(ids) and int(ids.min()) < 0:
        raise ValueError(f"tokens hold the id {int(ids.min())}; ids count from 0")
    if vocabulary is not None and len(ids) and int(ids.max()) >= vocabulary:
        raise ValueError(f"tokens hold the id {int(ids.max())}, and the vocabulary ends at {vocabulary - 1}")
    return ids.astype(np.int64)


def _numpy(x: Array) -> NDArray[Any]:
    return np.asarray(x.cpu() if hasattr(x, "cpu") else x)
