"""Regimes of a phase chart."""

import numpy as np
import pytest

from matropy.metrics import phase_chart


def cell(size, samples, redundancy, accuracy):
    return {"size": size, "samples": samples, "redundancy": redundancy, "accuracy": accuracy}


CELLS = [
    cell(100, 20, 0.0, 0.95),
    cell(10, 20, 0.3, 0.6),
    cell(30, 20, 0.05, 0.94),
    cell(60, 20, 0.001, 0.94),
    cell(100, 10, 0.0, 0.80),
    cell(10, 10, 0.0501, 0.8),
    cell(30, 10, 0.0, 0.75),
    cell(60, 10, 0.0, 0.81),
]


def test_regimes_by_their_rule():
    chart = phase_chart(CELLS)
    assert chart.x.tolist() == [10, 30, 60, 100]
    assert chart.y.tolist() == [10, 20]
    assert chart.redundancy.tolist() == [[0.0501, 0, 0, 0], [0.3, 0.05, 0.001, 0]]
    assert chart.accuracy.tolist() == [[0.8, 0.75, 0.81, 0.8], [0.6, 0.94, 0.94, 0.95]]
    assert chart.regime.tolist() == [
        ["under", "critical", "sufficient", "sufficient"],
        ["under", "critical", "sufficient", "sufficient"],
    ]


def test_thresholds_are_arguments():
    strict = phase_chart(CELLS, under=0.04, sufficient=0, margin=0.005)
    assert strict.regime.tolist() == [
        ["under", "critical", "critical", "sufficient"],
        ["under", "under", "critical", "sufficient"],
    ]
    loose = phase_chart(CELLS, under=1, sufficient=1, margin=1)
    assert set(loose.regime.ravel()) == {"sufficient"}


def test_results_of_one_cell_are_averaged():
    chart = phase_chart([cell(1, 1, 0.0, 0.5), cell(1, 1, 0.2, 0.7), cell(1, 1, 0.1, 0.6)])
    assert chart.redundancy[0, 0] == pytest.approx(0.1)
    assert chart.accuracy[0, 0] == pytest.approx(0.6)
    assert chart.regime.tolist() == [["under"]]


def test_other_axes():
    results = [{"width": 1, "epoch": 2, "redundancy": 0, "accuracy": 1, "seed": 3}]
    chart = phase_chart(results, axes=("width", "epoch"))
    assert (chart.axes, chart.x[0], chart.y[0]) == (("width", "epoch"), 1, 2)


def test_table_and_dict_hold_every_cell():
    chart = phase_chart(CELLS)
    assert chart.table().row_count == 8
    plain = chart.to_dict()
    assert plain["regime"][1][0] == "under"
    assert plain["axes"] == ["size", "samples"]
    assert np.array(plain["redundancy"]).shape == (2, 4)


def test_plot_writes_regime_and_accuracy_into_the_cells():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    chart = phase_chart(CELLS)
    figure, given = pyplot.subplots()
    ax = chart.plot(given)
    assert ax is given
    assert [text.get_text() for text in ax.texts][:2] == ["under\n0.80", "critical\n0.75"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["10", "30", "60", "100"]
    np.testing.assert_array_equal(ax.images[0].get_array(), chart.redundancy)
    assert chart.plot() is not given
    pyplot.close("all")
    assert figure


@pytest.mark.parametrize(
    ("results", "options", "message"),
    [
        ([], {}, "results is empty"),
        (CELLS[:-1], {}, "results has none for size=60, samples=10"),
        ([{"size": 1, "redundancy": 0, "accuracy": 0}], {}, "a result lacks 'samples'; it has"),
        ([cell(1, 1, float("nan"), 0.5)], {}, "redundancy of a result must be finite, got nan"),
        ([cell(float("inf"), 1, 0, 0.5)], {}, "size of a result must be finite"),
        ([cell(1, 1, 1.5, 0.5)], {}, "redundancy of a result must lie between 0 and 1, got 1.5"),
        ([cell(1, 1, 0.5, 93)], {}, "accuracy of a result must lie between 0 and 1, got 93"),
        (CELLS, {"under": 0.01, "sufficient": 0.02}, "sufficient must not exceed under, got 0.02 and 0.01"),
        (CELLS, {"under": 2}, "under must lie between 0 and 1, got 2"),
        (CELLS, {"sufficient": float("nan")}, "sufficient must lie between 0 and 1, got nan"),
        (CELLS, {"margin": -1}, "margin must lie between 0 and 1, got -1"),
        (CELLS, {"axes": ("size", "size")}, "axes must be two different names"),
        (CELLS, {"axes": "xy"}, "axes must be two different names"),
    ],
)
def test_bad_input_is_refused(results, options, message):
    with pytest.raises(ValueError, match=message):
        phase_chart(results, **options)
