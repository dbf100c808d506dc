"""The paper's own figures beside what pure geometry gives."""

from __future__ import annotations

from matropy.metrics import isotropic_null
from matropy.reporting import Figure, Series
from matropy.studies._contract import Measured
from matropy.studies.matrix_nuclear_norm._published import CEREBRAS_NORM, CEREBRAS_WIDTHS

_TOKENS = 256


def measure_null() -> Measured:
    """Divide the published series by the null of states without structure, of one length."""
    null = [float(isotropic_null(_TOKENS, width).matrix_nuclear_norm) for width in CEREBRAS_WIDTHS]
    over_null = {
        data: [value / without for value, without in zip(series, null, strict=True)]
        for data, series in CEREBRAS_NORM.items()
    }
    values = {f"null_{width}": value for width, value in zip(CEREBRAS_WIDTHS, null, strict=True)}
    for data, series in over_null.items():
        name = f"over_null_{data.split('-')[0].lower()}"
        values |= {f"{name}_{width}": value for width, value in zip(CEREBRAS_WIDTHS, series, strict=True)}
    return Measured(values, (), (_raw_figure(null), _corrected_figure(over_null)))


def _raw_figure(null: list[float]) -> Figure:
    return Figure(
        "Published norms fall with width, as geometry does",
        "hidden width",
        "matrix nuclear-norm",
        (
            *(Series(data, CEREBRAS_WIDTHS, series) for data, series in CEREBRAS_NORM.items()),
            Series("no structure at all", CEREBRAS_WIDTHS, null, kind="reference"),
        ),
        caption=f"Cerebras-GPT 111M to 13B as published; the null is of {_TOKENS} independent Gaussian tokens.",
        x_scale="log",
    )


def _corrected_figure(over_null: dict[str, list[float]]) -> Figure:
    return Figure(
        "The same, over the null",
        "hidden width",
        "norm over null",
        tuple(Series(data, CEREBRAS_WIDTHS, series) for data, series in over_null.items()),
        caption=f"The paper does not give the lengths of its texts; the null assumes {_TOKENS} tokens for all.",
        x_scale="log",
    )
