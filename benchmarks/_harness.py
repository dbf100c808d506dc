"""Two functions on the same input, in turn: ratios of time and of extra memory.

A benchmark gives contenders and a check that their answers agree; ratios are medians over alternating rounds. What it
prints is also written to ``benchmarks/results``: one JSON file a benchmark and one line in its README.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from matropy.reporting import Column, Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Contender:
    """A function under test; ``source`` says ``installed NAME VERSION`` or ``re-implemented from ...``."""

    name: str
    call: Callable[[], Any]
    source: str


@dataclass(frozen=True)
class Row:
    """One case: times faster and extra memory, ours against the peer's; ``floor`` is our time over what must move."""

    case: str
    ours: str
    peer: str
    times_faster: float
    aim: float
    over_floor: float | None
    our_extra_mb: float | None
    peer_extra_mb: float | None

    @property
    def reached(self) -> bool:
        return self.times_faster >= self.aim


def compare(
    case: str,
    ours: Contender,
    peer: Contender,
    *,
    agree: Callable[[Any, Any], None],
    aim: float,
    floor: Callable[[], Any] | None = None,
    rounds: int = 7,
) -> Row:
    """Check that the answers agree, then alternate."""
    agree(ours.call(), peer.call())
    ratios, over_floor = [], []
    for _ in range(rounds):
        mine, theirs = seconds(ours.call), seconds(peer.call)
        ratios.append(theirs / mine)
        if floor is not None:
            over_floor.append(mine / seconds(floor))
    return Row(
        case,
        ours.name,
        f"{peer.name} ({peer.source})",
        median(ratios),
        aim,
        median(over_floor) if over_floor else None,
        extra_memory(ours.call),
        extra_memory(peer.call),
    )


def seconds(call: Callable[[], Any], at_least: float = 0.05) -> float:
    """Seconds a call, over as many calls as fill a twentieth of a second."""
    calls, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < at_least or not calls:
        call()
        calls += 1
    return elapsed / calls


def extra_memory(call: Callable[[], Any]) -> float | None:
    """Peak of resident memory during a call above what was there before, in MB; None where Linux does not tell."""
    peak = Path("/proc/self/clear_refs")
    if not peak.exists():
        return None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = _status("VmRSS")
    peak.write_text("5")  # resets VmHWM
    call()
    return (_status("VmHWM") - before) / 1e3


def resident_mb() -> float:
    """Resident memory of this process, in MB (Linux)."""
    return _status("VmRSS") / 1e3


def report(
    name: str, title: str, rows: Sequence[Row], packages: Sequence[str], notes: Sequence[str] = ()
) -> None:
    """Print the rows and record them with date, machine and versions."""
    table = Table(
        title,
        (
            Column("Case"),
            Column("Ours"),
            Column("Peer"),
            Column("Times faster", digits=3),
            Column("Aim", digits=3),
            Column("Reached"),
            Column("Time over floor", digits=3),
            Column("Extra MB", digits=3),
            Column("Peer's extra MB", digits=3),
        ),
        tuple(
            (
                row.case,
                row.ours,
                row.peer,
                row.times_faster,
                row.aim,
                "yes" if row.reached else "no",
                row.over_floor,
                row.our_extra_mb,
                row.peer_extra_mb,
            )
            for row in rows
        ),
    )
    console = Console(width=None if Console().is_terminal else 160)
    console.print(table.to_rich())
    for note in notes:
        console.print(note)
    record(name, [asdict(row) | {"reached": row.reached} for row in rows], packages, notes)
    reached = sum(row.reached for row in rows)
    summarize(name, f"{reached} of {len(rows)} aims reached: " + "; ".join(_sentence(row) for row in rows))


def record(
    name: str, rows: Sequence[dict[str, Any]], packages: Sequence[str], notes: Sequence[str] = ()
) -> None:
    """Write ``results/NAME.json``."""
    RESULTS.mkdir(exist_ok=True)
    content = {"benchmark": name, **machine(packages), "rows": list(rows), "notes": list(notes)}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def summarize(name: str, sentence: str) -> None:
    """Write or replace the line of this benchmark in the README of the results."""
    readme = RESULTS / "README.md"
    head = [
        "# Latest results",
        "",
        "Ratios, measured on one machine; `python -m benchmarks.NAME` measures yours.",
        "",
    ]
    lines = readme.read_text().splitlines() if readme.exists() else head
    facts = machine(())
    kept = [line for line in lines if not line.startswith(f"- `{name}` ")]
    kept.append(f"- `{name}` ({facts['date'][:10]}, {facts['machine']}): {sentence}.")
    readme.write_text("\n".join(kept) + "\n")


def machine(packages: Sequence[str]) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
    }


def _sentence(row: Row) -> str:
    return f"{row.ours} {row.times_faster:.3g} times as fast as {row.peer.split(' (')[0]} at {row.case}"


def _status(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()
