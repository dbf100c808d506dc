"""The codes of many examples, one bit a unit."""

from __future__ import annotations

import io
import math
import os
import zipfile
from pathlib import Path
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from matropy._core._errors import InputError
from matropy._core._files import write_atomic
from matropy._core._validation import Array, check_base, check_integer
from matropy.entropy import hill_number, renyi_entropy
from matropy.metrics._activation_codes._distinct import distinct_rows
from matropy.metrics._activation_codes._hamming import distance_blocks
from matropy.metrics._activation_codes._packing import (
    Words,
    count_ones,
    pack_binary,
    pack_bits,
    row_blocks,
    unpack_bits,
    word_count,
)

__all__ = ["CodeBook", "as_code_book", "redundancy_ratio"]


def redundancy_ratio(codes: Array | CodeBook) -> float:
    r"""Share of surplus examples, :math:`\rho=(n-u)/n` with :math:`u` different codes among :math:`n` examples.

    It is 0 when every example has a code (a linear region of a ReLU network) of its own. It counts examples that are
    too many, not examples that share their code (:meth:`CodeBook.collision_share`), and grows with n: compare at
    equal n.

    Parameters
    ----------
    codes : array of 0 and 1, shape (n, w), or CodeBook
        NumPy or torch; one row an example.

    Returns
    -------
    float
        In [0, 1).

    Raises
    ------
    TypeError, ValueError
        If the array is no array of zeros and ones with two axes, or is empty.

    References
    ----------
    F. He, S. Lei, J. Ji, D. Tao, 2021, definition of the redundancy ratio.

    Examples
    --------
    >>> from matropy.metrics import redundancy_ratio
    >>> redundancy_ratio([[0, 1], [0, 1], [0, 1], [1, 0]])
    0.5
    """
    return as_code_book(codes, "codes").redundancy()


def as_code_book(codes: Array | CodeBook, name: str) -> CodeBook:
    """``codes`` itself, or the book of an array of zeros and ones."""
    return codes if isinstance(codes, CodeBook) else CodeBook(*pack_binary(codes, name))


class CodeBook:
    r"""Binary codes of n examples in :math:`\lceil w/64\rceil` words each: 32 times smaller than float32.

    Parameters
    ----------
    packed : array of uint64, shape (n, ceil(w / 64))
        Bit j of a code is bit j % 64 of word j // 64; bits beyond w are zero. The array is kept, not copied.
    n_bits : int
        The width w of a code; 0 only where no unit varies.

    Raises
    ------
    TypeError, ValueError
        If ``packed`` has another type or shape, no row, or a bit set beyond the width.

    Examples
    --------
    >>> import numpy as np
    >>> from matropy.metrics import CodeBook
    >>> book = CodeBook.from_bits([[0, 1, 0], [0, 1, 0], [1, 1, 0], [0, 1, 0]])
    >>> len(book), book.n_bits, book.redundancy(), book.collision_share()
    (4, 3, 0.5, 0.75)
    >>> book.dead(), book.always_on()
    (array([False, False,  True]), array([False,  True, False]))
    """

    def __init__(self, packed: Array, n_bits: int) -> None:
        n_bits = check_integer(n_bits, "n_bits", low=0)
        if not (isinstance(packed, np.ndarray) and packed.dtype == np.uint64):
            came = packed.dtype if isinstance(packed, np.ndarray) else type(packed).__name__
            raise TypeError(f"packed must be a NumPy array of uint64, got {came}")
        if packed.ndim != 2 or packed.shape[1] != word_count(n_bits):
            raise ValueError(
                f"packed must have shape (n, {word_count(n_bits)}) for codes of {n_bits} bits, got {packed.shape}"
            )
        if len(packed) == 0:
            raise ValueError(f"packed is empty: shape {packed.shape}")
        if n_bits % 64 and bool((packed[:, -1] >> np.uint64(n_bits % 64)).any()):
            raise ValueError(f"packed has bits set beyond the width of {n_bits}")
        self._buffer: Words = packed
        self._rows = len(packed)
        self._n_bits = n_bits

    @classmethod
    def from_bits(cls, bits: Array) -> CodeBook:
        """Pack an array of zeros and ones.

        Parameters
        ----------
        bits : array of 0 and 1, shape (n, w)
            NumPy or torch, of any type.

        Returns
        -------
        CodeBook

        Raises
        ------
        TypeError, ValueError
            If it is no such array, or is empty.
        """
        return cls(*pack_binary(bits))

    @property
    def packed(self) -> Words:
        """The words, shape (n, ceil(w / 64)); not to be written to."""
        view = self._buffer[: self._rows]
        view.flags.writeable = False
        return view

    @property
    def n_bits(self) -> int:
        """Width w of a code."""
        return self._n_bits

    def __len__(self) -> int:
        return self._rows

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CodeBook):
            return NotImplemented
        return self.n_bits == other.n_bits and np.array_equal(self.packed, other.packed)

    def __repr__(self) -> str:
        return f"CodeBook({len(self)} codes of {self.n_bits} bits)"

    def to_bits(self) -> NDArray[np.bool_]:
        """Unpack.

        Returns
        -------
        array of bool, shape (n, w)
        """
        return unpack_bits(self.packed, self.n_bits)

    def append(self, codes: Array | CodeBook) -> CodeBook:
        """Add the codes of more examples, in place.

        Parameters
        ----------
        codes : array of 0 and 1, shape (m, w), or CodeBook

        Returns
        -------
        CodeBook
            Itself.

        Raises
        ------
        TypeError, ValueError
            As :meth:`from_bits`, or if the codes are of another width.
        """
        other = as_code_book(codes, "codes")
        if other.n_bits != self.n_bits:
            raise ValueError(
                f"codes must have {self.n_bits} bits, as those of the book that they are added to; got {other.n_bits}"
            )
        words, rows = other.packed, self._rows + len(other)
        if rows > len(self._buffer):
            capacity = max(rows, len(self._buffer) * 9 // 8)
            try:
                # Grown where it is, so that the book never takes twice its size.
                self._buffer.resize((capacity, self._buffer.shape[1]))
            except ValueError:  # somebody else holds the array
                grown = np.empty((capacity, self._buffer.shape[1]), np.uint64)
                grown[: self._rows] = self.packed
                self._buffer = grown
        self._buffer[self._rows : rows] = words
        self._rows = rows
        return self

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the book as an ``.npz`` file of two arrays, ``packed`` and ``n_bits``; whole or not at all.

        Returns
        -------
        Path
            The file.
        """
        content = io.BytesIO()
        np.savez(content, packed=self.packed, n_bits=np.int64(self.n_bits))
        write_atomic(Path(path), content.getvalue())
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CodeBook:
        """Read a book that was saved.

        Raises
        ------
        InputError
            If there is no such file, or it holds no code book.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(file["packed"], int(file["n_bits"]))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
        except (KeyError, TypeError, ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} holds no code book: {error}") from error

    def redundancy(self) -> float:
        r"""Share of surplus examples, :math:`(n-u)/n`; see :func:`redundancy_ratio`."""
        return (len(self) - len(self._counts())) / len(self)

    def collision_share(self) -> float:
        """Share of the examples whose code another example has too; not below the redundancy."""
        counts = self._counts()
        return int(counts[counts > 1].sum()) / len(self)

    @overload
    def unique(self, return_counts: Literal[False] = False) -> CodeBook: ...
    @overload
    def unique(self, return_counts: Literal[True]) -> tuple[CodeBook, NDArray[np.int64]]: ...
    @overload
    def unique(self, return_counts: bool) -> CodeBook | tuple[CodeBook, NDArray[np.int64]]: ...
    def unique(self, return_counts: bool = False) -> CodeBook | tuple[CodeBook, NDArray[np.int64]]:
        """The different codes, in the order in which they occur first.

        Parameters
        ----------
        return_counts : bool
            Give how often each occurs, too.

        Returns
        -------
        CodeBook, or (CodeBook, array of int of shape (u,))
        """
        first, counts = distinct_rows(self.packed)
        book = CodeBook(self.packed[first], self.n_bits)
        return (book, counts) if return_counts else book

    def hamming(self, other: CodeBook | None = None, *, block: int = 256) -> NDArray[np.int32]:
        """Hamming distances, in bits, to the codes of another book or of this one.

        Parameters
        ----------
        other : CodeBook, optional
            m codes of the same width.
        block : int
            Rows of this book that are compared at a time.

        Returns
        -------
        array of int32, shape (n, m)

        Raises
        ------
        TypeError, ValueError
            If ``other`` is no book or of another width, or ``block`` is not positive.

        Examples
        --------
        >>> from matropy.metrics import CodeBook
        >>> CodeBook.from_bits([[0, 0, 0], [1, 1, 0]]).hamming()
        array([[0, 2],
               [2, 0]], dtype=int32)
        """
        block = check_integer(block, "block", low=1)
        other = self if other is None else other
        if not isinstance(other, CodeBook):
            raise TypeError(f"other must be a CodeBook, got {type(other).__name__}")
        if other.n_bits != self.n_bits:
            raise ValueError(f"other must have codes of {self.n_bits} bits, got {other.n_bits}")
        distances = np.empty((len(self), len(other)), np.int32)
        for rows, found in distance_blocks(self.packed, other.packed, self.n_bits, block=block):
            distances[rows] = found
        return distances

    def entropy(self, order: float = 1.0, *, base: float = math.e) -> float:
        r"""Rényi entropy of the distribution of codes, :math:`p_c` = share of the examples with code c.

        Order 1 is Shannon's entropy, order 2 the collision entropy :math:`-\ln\sum_c p_c^2`; at most :math:`\ln n`.

        Parameters
        ----------
        order : float
            As for :func:`matropy.entropy.renyi_entropy`.
        base : float
            Of the logarithm; 2 gives bits.

        Returns
        -------
        float
            Nats, unless ``base`` says otherwise.
        """
        return float(renyi_entropy(self._counts() / len(self), order, base=base))

    def effective_codes(self, order: float = 1.0) -> float:
        """Effective number of codes: the exponential of :meth:`entropy`, between 1 and n."""
        return float(hill_number(self._counts() / len(self), order))

    def codebook_size(self) -> float:
        r"""Number M of equally likely codes of which n draws are expected to show the u that were seen.

        The root of :math:`M\,(1-(1-1/M)^n)=u`; infinite when no two examples share a code.
        """
        n, u = len(self), len(self._counts())
        if u == n:
            return math.inf
        if u == 1:
            return 1.0
        # The expected number of pairs that coincide is n(n-1)/2M, and surplus examples are no more than pairs.
        most = n * (n - 1) / (2 * (n - u))
        return float(brentq(lambda size: -size * np.expm1(n * np.log1p(-1 / size)) - u, u, most, rtol=1e-12))

    def bit_entropy(self, *, base: float = math.e) -> float:
        r"""Mean over the units of :math:`-p\ln p-(1-p)\ln(1-p)`, p = share of the examples in which it is on.

        Parameters
        ----------
        base : float
            Of the logarithm; 2 gives bits.

        Returns
        -------
        float
            Nats, unless ``base`` says otherwise; at most ln 2. Zero for a book without bits.
        """
        logarithm = check_base(base)
        share = np.array([self._ones(), len(self) - self._ones()]) / len(self)
        nats = -(share * np.log(np.where(share > 0, share, 1))).sum(0)
        return float(nats.mean() / logarithm) if self.n_bits else 0.0

    def dead(self) -> NDArray[np.bool_]:
        """Which units are off in every example, shape (w,)."""
        return np.equal(self._ones(), 0)

    def always_on(self) -> NDArray[np.bool_]:
        """Which units are on in every example, shape (w,)."""
        return np.equal(self._ones(), len(self))

    def drop_constant(self) -> CodeBook:
        """The book without the units that are dead or always on; distances and redundancy stay as they are."""
        varies = ~(self.dead() | self.always_on())
        packed = np.empty((len(self), word_count(int(varies.sum()))), np.uint64)
        for rows in row_blocks(len(self), 2 * self.n_bits):
            packed[rows] = pack_bits(unpack_bits(self.packed[rows], self.n_bits)[:, varies])
        return CodeBook(packed, int(varies.sum()))

    def _counts(self) -> NDArray[np.int64]:
        """How often each different code occurs."""
        return distinct_rows(self.packed)[1]

    def _ones(self) -> NDArray[np.int64]:
        """In how many examples each unit is on."""
        return count_ones(self.packed, self.n_bits)
