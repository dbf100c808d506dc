"""A tall, real regression with rare categories: the delay at arrival of the flights that left New York in 2013."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["flights_design"]

Floats = NDArray[np.float64]


def flights_design(path: Path, every: int = 1) -> tuple[Floats, Floats, list[str]]:
    """Design, target and names of the columns.

    A column of ones; delay at departure and time in the air (minutes), distance (miles); then indicators of month, hour,
    origin, carrier and destination, each without its first level (months and hours are sorted as text). The target is
    the delay at arrival in minutes.

    Parameters
    ----------
    path : Path
        ``flights_2013.npz``.
    every : int
        Take every so manieth row only, and no column that is zero in all of them.

    Returns
    -------
    design : array, shape (327346, 153) for all rows
    target : array, shape (327346,)
    names : list of str
    """
    with np.load(path, allow_pickle=False) as table:
        rows = slice(None, None, every)
        target = table["arr_delay"][rows].astype(np.float64)
        columns = [np.ones(len(target))]
        names = ["intercept"]
        for name in ("dep_delay", "air_time", "distance"):
            columns.append(table[name][rows].astype(np.float64))
            names.append(name)
        levels = {
            name: np.array(sorted(np.unique(table[name]).tolist(), key=str)) for name in ("month", "hour")
        }
        labels = {name: values.astype(str) for name, values in levels.items()}
        for name in ("origin", "carrier", "dest"):
            labels[name] = table[f"{name}_levels"].astype(str)
            levels[name] = np.argsort(labels[name], kind="stable")
            labels[name] = labels[name][levels[name]]
        for name, values in levels.items():
            codes = table[name][rows]
            columns += [(codes == value).astype(np.float64) for value in values[1:]]
            names += [f"{name} {label}" for label in labels[name][1:]]
    seen = [column.any() for column in columns]
    return (
        np.column_stack([column for column, there in zip(columns, seen, strict=True) if there]),
        target,
        [name for name, there in zip(names, seen, strict=True) if there],
    )
