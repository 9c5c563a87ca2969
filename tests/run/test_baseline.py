"""Rows by the ledger are the rows by the closed form, here and in processes of their own, however often they are counted."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import spanbench
from spanbench.count.baseline import closed_rows
from spanbench.errors import CountMismatch, UsageError
from spanbench.judge.baseline.asked import Asked, asked_of
from spanbench.judge.baseline.row import Row
from spanbench.model.stack import Stack
from spanbench.point import Point
from spanbench.request import point_of
from spanbench.run.baseline import counted_rows
from spanbench.run.baseline import many as processes

POINTS = (
    {"preset": "tiny", "tokens": 9, "span": 4},
    {
        "preset": "tiny",
        "tokens": 10,
        "span": 4,
        "set": {"cross_attention": True, "carry": 2, "gated": True},
        "regimes": ["score", "prefill"],
    },
    {"preset": "tiny", "tokens": 8, "span": 4, "set": {"layers": 10}, "allocation": "block", "regimes": ["prefill"], "batch": 2},
)

REPEATS = 50
ROWS = """
from pathlib import Path
from spanbench.count.baseline import closed_rows
from spanbench.judge.baseline.asked import asked_of
from spanbench.request import point_of
for point in {points!r}:
    asked = asked_of(dict(point))
    for row in closed_rows(asked, *point_of(asked.request(Path(), "dense"))):
        print(row.to_line(), end="")
"""


def asked_points() -> list[tuple[Asked, Point]]:
    asked = [asked_of(dict(point)) for point in POINTS]
    return [(one, point_of(one.request(Path(), "dense"))[0]) for one in asked]


def closed() -> list[Row]:
    asked = [asked_of(dict(point)) for point in POINTS]
    return [row for one in asked for row in closed_rows(one, *point_of(one.request(Path(), "dense")))]


def lines(rows: list[Row]) -> str:
    return "".join(row.to_line() for row in rows)


def silent(what: str, done: int, of: int) -> None:
    """Tell nobody."""


def test_ledger_and_closed_form_write_the_same_rows() -> None:
    assert lines(counted_rows(asked_points(), "dense", silent)) == lines(closed())


def test_the_closed_form_writes_the_same_bytes_every_time() -> None:
    assert {lines(closed()) for _ in range(REPEATS)} == {lines(closed())}


@pytest.mark.slow
def test_processes_of_their_own_write_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "ALONE", 0)
    assert lines(counted_rows(asked_points(), "dense", silent, 2)) == lines(closed())


@pytest.mark.slow
def test_a_process_that_cannot_count_a_point_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "ALONE", 0)
    asked, point = asked_points()[0]
    impossible = Asked({**asked.given, "tokens": "not a number"})
    with pytest.raises(UsageError, match="is not a whole number"):
        counted_rows([(impossible, point)], "dense", silent, 2)


@pytest.mark.parametrize("python", ["python3.12", "python3.13"])
def test_other_pythons_write_the_same_bytes(python: str) -> None:
    found = shutil.which(python)
    if found is None or subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"{python} is not installed")
    folder = Path(spanbench.__file__).parent.parent
    ran = subprocess.run(
        [found, "-B", "-c", ROWS.format(points=POINTS)], cwd=folder, capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert ran.stdout == lines(closed()), ran.stderr


def test_a_layer_that_a_deep_stack_leaves_out_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    build = Stack.__init__

    def shorter(self: Stack, *args: Any, **named: Any) -> None:
        build(self, *args, **named)
        self.blocks = self.blocks[:9]

    monkeypatch.setattr(Stack, "__init__", shorter)
    with pytest.raises(CountMismatch, match="layer 9, flops: closed form says"):
        counted_rows(asked_points()[2:], "dense", silent)
