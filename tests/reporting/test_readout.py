import json

from matropy.reporting import Figure, HeatMap, Series
from matropy.reporting._readout import readout


def read(*series):
    return json.loads(readout(Figure("t", "Layer", "y", series)))


def test_every_series_is_told_at_every_x_with_its_interval():
    data = read(
        Series("a", [0, 1], [0.5, None], [0.4, 0], [0.6, 1]), Series("null", [0, 1], [2, 2], kind="reference")
    )
    first, second = data["columns"]
    assert first["label"] == "0"
    assert [(name, role, text) for name, role, _, text in first["rows"]] == [
        ("a", "s0", "0.5 (0.4 to 0.6)"),
        ("null", "reference", "2"),
    ]
    assert [row[0] for row in second["rows"]] == ["null"]


def test_points_that_share_an_x_are_told_together():
    (column,) = read(Series("a", [1] * 5, [1, 2, 3, 4, 5], kind="points"))["columns"]
    assert column["rows"][0][3] == "1; 2; 3; 2 more"


def test_long_series_stay_small():
    n = 20_000
    data = read(Series("a", range(n), [float(i) for i in range(n)]))
    assert len(data["columns"]) < 500
    assert " to " in data["columns"][0]["label"]


def test_a_heat_map_tells_its_cells():
    data = json.loads(readout(HeatMap("m", "x", "y", ["a", "b"], [1], [[0.12345, None]])))
    assert (data["columns"], data["rows"], data["values"]) == (["a", "b"], ["1"], [["0.1235", "–"]])
