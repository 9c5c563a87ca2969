"""Run the command line as a user would: in this process, or in one of its own where the process matters."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from spanbench.cli.main import main

__all__ = ["TINY", "Cli", "Ran", "python"]

TINY = ("--preset", "tiny", "--tokens", "42", "--span", "8", "--regime", "prefill")
"""One point for most tests: its witnesses run once a session, and are then remembered."""

SECONDS = 120
"""A process that hangs is cut off here; none should come near it."""


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code and both streams."""

    code: int
    out: str
    err: str


class Cli:
    """Calls `main` in this process and reads what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> Ran:
        self._capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Ran(code, *self._capsys.readouterr())

    def fails(self, *arguments: str | Path, code: int = 2) -> str:
        """Run what must be refused in one line, with nothing on standard output; return the line."""
        ran = self(*arguments)
        lines = ran.err.splitlines()
        assert (ran.code, ran.out, len(lines)) == (code, "", 1), ran
        assert lines[0].startswith("spanbench: error: ")
        return lines[0].removeprefix("spanbench: error: ")

    def data(self, *arguments: str | Path) -> str:
        """Run what must succeed; return standard output."""
        ran = self(*arguments)
        assert ran.code == 0, ran
        return ran.out


def python(code: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], input=stdin, capture_output=True, text=True, timeout=SECONDS, check=False
    )
