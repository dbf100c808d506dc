"""Spectra through one tridiagonal matrix, in threads that run side by side.

SciPy's wrappers of these LAPACK routines hold Python's lock; the same routines, called through the addresses that
SciPy publishes for Cython, do not.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cython_lapack

__all__ = ["raw_and_centered_eigenvalues", "symmetric_eigenvalues"]

Matrix = NDArray[Any]


def symmetric_eigenvalues(a: Matrix, *, overwrite: bool = False) -> Matrix:
    """Eigenvalues of one symmetric matrix, rising; float32 or float64, as it came.

    Of an array in C order only the lower triangle is looked at; with ``overwrite`` it is used up.
    """
    return _eigenvalues(*_tridiagonal(a, overwrite=overwrite))


def raw_and_centered_eigenvalues(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Eigenvalues of the smaller Gram matrix of rows, as they are and about their mean, each falling.

    Householder reductions leave the last basis vector alone. If that vector is the constant one (of
    :math:`XX^\top`), centering deletes the last row and column of the tridiagonal matrix; if it is the mean row (of
    :math:`X^\top X`), centering subtracts :math:`n\|\mu\|^2` from its last entry. So one reduction, the costly
    part, serves both spectra.

    Parameters
    ----------
    x : array of float64, shape (n, d)

    Returns
    -------
    raw, centered : array of float64, shape (min(n, d),)
    """
    n, d = x.shape
    if n <= d:
        diagonal, off = _tridiagonal(_reflected(x @ x.T, np.ones(n)), overwrite=True)
        centered = np.append(_eigenvalues(diagonal[:-1], off[:-1]), 0.0)
    else:
        mean = x.mean(axis=0)
        diagonal, off = _tridiagonal(_reflected(x.T @ x, mean), overwrite=True)
        moved = diagonal.copy()
        moved[-1] -= n * (mean @ mean)
        centered = _eigenvalues(moved, off)
    return _falling(_eigenvalues(diagonal, off)), _falling(centered)


def _reflected(a: Matrix, last: Matrix) -> Matrix:
    """``a``, in its place, in a basis whose last vector points along ``last``: HaH with the reflection H = 1 - 2uuᵀ."""
    length = np.linalg.norm(last)
    if not length > 0:
        return a
    u = last / length
    # Away from the last axis, so that nothing cancels.
    u[-1] += 1.0 if u[-1] >= 0 else -1.0
    u /= np.linalg.norm(u)
    w = a @ u
    w -= (u @ w) * u
    w *= 2
    # One product of two columns, since two outer products would each be as large as ``a``.
    a -= np.stack([u, w], axis=1) @ np.stack([w, u])
    return a


def _falling(eigenvalues: Matrix) -> Matrix:
    falling: Matrix = np.maximum(np.sort(eigenvalues)[::-1], 0.0)
    return falling


def _tridiagonal(a: Matrix, *, overwrite: bool = False) -> tuple[Matrix, Matrix]:
    """Diagonal and off-diagonal of QᵀaQ, where Q keeps the last axis."""
    # Of a symmetric matrix the transpose is the same, and is copied without being turned round.
    reduced = np.array(a.T if a.flags.c_contiguous else a, order="F", copy=None if overwrite else True)
    n = len(reduced)
    diagonal, off, tau = (
        np.empty(n, a.dtype),
        np.empty(max(n - 1, 1), a.dtype),
        np.empty(max(n - 1, 1), a.dtype),
    )
    # Blocks of 16 columns, for which LAPACK looks at the room it is given; its own 32 are slower at these sizes.
    work = np.empty(16 * n, a.dtype)
    info = ctypes.c_int(0)
    _routine("sytrd", a.dtype)(
        ctypes.c_char_p(b"U"), _int(n), _data(reduced), _int(n), _data(diagonal), _data(off), _data(tau), _data(work),
        _int(len(work)), ctypes.byref(info),
    )  # fmt: skip
    return diagonal, off[: n - 1]


def _eigenvalues(diagonal: Matrix, off: Matrix) -> Matrix:
    result, off = diagonal.copy(), np.append(off, 0).astype(diagonal.dtype)
    info = ctypes.c_int(0)
    _routine("sterf", diagonal.dtype)(_int(len(result)), _data(result), _data(off), ctypes.byref(info))
    if info.value > 0:
        raise np.linalg.LinAlgError("the eigenvalues did not converge")
    return result


def _routine(name: str, dtype: np.dtype[Any]) -> Any:
    return _ROUTINES[("s" if dtype == np.float32 else "d") + name]


def _address(name: str) -> Any:
    capsule = cython_lapack.__pyx_capi__[name]
    pythonapi = ctypes.pythonapi
    pythonapi.PyCapsule_GetName.restype = ctypes.c_char_p
    pythonapi.PyCapsule_GetName.argtypes = [ctypes.py_object]
    pythonapi.PyCapsule_GetPointer.restype = ctypes.c_void_p
    pythonapi.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = pythonapi.PyCapsule_GetPointer(capsule, pythonapi.PyCapsule_GetName(capsule))
    return ctypes.CFUNCTYPE(None)(address)


def _int(value: int) -> Any:
    return ctypes.byref(ctypes.c_int(value))


def _data(array: Matrix) -> Any:
    return array.ctypes.data_as(ctypes.c_void_p)


_ROUTINES = {name: _address(name) for name in ("ssytrd", "dsytrd", "ssterf", "dsterf")}
