import io

import numpy as np
import pytest
from rich.console import Console

from matropy.reporting import Column, Link, Table


def printed(table):
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(table.to_rich())
    return console.file.getvalue()


def test_cells_are_written_out_with_exact_numbers_beside():
    table = Table(
        "t",
        (Column("model"), Column("loss", "nats"), Column("tokens"), Column("done")),
        (("a", 0.71587, np.int64(1234), True), (Link("b", "#b"), None, 5, False)),
    )
    first, second = table.cells
    assert [cell.text for cell in first] == ["a", "0.7159", "1,234", "yes"]
    assert [cell.number for cell in first] == ["", "0.71587", "1234", ""]
    assert (second[0].text, second[0].href, second[1].kind) == ("b", "#b", "missing")
    assert table.alignments == ("left", "right", "right", "left")


def test_columns_have_their_own_digits():
    assert Table("t", (Column("a", digits=2),), ((0.1234,),)).cells[0][0].text == "0.12"


def test_rich_prints_brackets_and_controls_as_text():
    table = Table("[bold]t[/]", (Column("[red]n", "[u]"),), (("[link=x]y[/link]",), ("\x1b[31mred",)), "[i]c")
    output = printed(table)
    for content in ("[bold]t[/]", "[red]n ([u])", "[link=x]y[/link]", "[i]c"):
        assert content in output
    assert "\x1b" not in output


def test_a_table_without_rows_prints():
    assert "a" in printed(Table("t", (Column("a"),), ()))


@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        ((), (), "at least one column"),
        ((Column("a"),), ((1,), (1, 2)), "Row 1 of table 't' has 2 cells for 1 columns"),
        ((Column("a"),), (([1],),), "Row 0, column 'a' of table 't' must be text.*got list"),
    ],
)
def test_table_says_what_is_wrong(columns, rows, message):
    with pytest.raises(ValueError, match=message):
        Table("t", columns, rows)


def test_a_column_needs_a_digit():
    with pytest.raises(ValueError, match="digits of column 'a' must be at least 1; got 0"):
        Column("a", digits=0)
