"""Progress that a person can read."""

import pytest

from matropy._core import _progress
from matropy._core._progress import progress, silent


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by what it is told."""

    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(_progress, "time", clock)
    return clock


def test_silent_says_nothing(capfd):
    with silent("work", 10, "texts") as bar:
        bar.advance(10)
    assert capfd.readouterr() == ("", "")


def test_lines_come_now_and_then_and_say_what_is_left(capsys, clock):
    with progress("layer [7]", 1000, "tokens") as bar:
        for _ in range(9):
            clock.now += 6
            bar.advance(100)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "layer [7]: 300 of 1,000 tokens, about 42 s left",
        "layer [7]: 600 of 1,000 tokens, about 24 s left",
        "layer [7]: 900 of 1,000 tokens, about 6 s left",
    ]


def test_short_work_says_nothing(capsys, clock):
    with progress("work", 3) as bar:
        for _ in range(3):
            clock.now += 5
            bar.advance()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7260, "2 h 01 min")]
)
def test_durations(seconds, words):
    assert _progress._duration(seconds) == words


def test_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress("reading", 2, "texts") as bar:
        bar.advance()
        bar.advance()
    out, err = capsys.readouterr()
    assert out == ""
    assert "reading" in err
