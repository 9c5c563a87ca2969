"""Spanbench in a process of its own, with an environment of its own, and what it leaves; and a machine that others keep busy."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import SECONDS, Ran
from tests.measure.nvml.fake import environment

__all__ = ["Kept", "busy_machine", "codes", "compared", "once", "ratios", "spanbench", "with_gpu"]

SPANBENCH = ("-m", "spanbench")

_CODE = re.compile(r"\[([a-z0-9-]+)\]$")


def with_gpu(*words: str) -> dict[str, str]:
    """Return the environment of a process that sees the fake driver, and shares the tests' cache of agreed witnesses."""
    kept = {name: os.environ[name] for name in ("SPANBENCH_CACHE",) if name in os.environ}
    return environment(*words, COLUMNS="80") | kept


def spanbench(*arguments: str | Path, env: Mapping[str, str] | None = None, started: Sequence[str] = SPANBENCH) -> Ran:
    """Run the command line in a process of its own; `started` is how Python gets to it."""
    command = [sys.executable, *started, *map(str, arguments)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Kept:
    """A finished `compare`, and the record that it kept."""

    ran: Ran
    record: Mapping[str, Any]

    def row(self, arm: str, regime: str, quantity: str) -> Mapping[str, Any]:
        """Return the one row of an arm's whole forward."""
        (found,) = [row for row in self.rows(quantity) if (row["arm"], row["regime"]) == (arm, regime)]
        return found

    def rows(self, quantity: str) -> list[Mapping[str, Any]]:
        """Return the rows of a quantity, of whole forwards."""
        return [row for row in self.record["measures"] if row["quantity"] == quantity and row["stage"] == "total"]

    @property
    def schedules(self) -> Mapping[str, Any]:
        """Return what was run, by regime."""
        found = self.record["environment"]["schedule"]
        return {name: found[name] for name in self.record["point"]["regimes"] if "slots" in found.get(name, {})}


def compared(folder: Path, *arguments: str, env: Mapping[str, str] | None = None, started: Sequence[str] = SPANBENCH) -> Kept:
    """Compare both arms of the smallest preset, without what is measured beside the pair, and read back the record."""
    kept = folder / "records.jsonl"
    point = ("--preset", "tiny", "--tokens", "42", "--span", "8", "--no-limits", "--no-peak")
    ran = spanbench("compare", *point, *arguments, "--out", kept, env=env, started=started)
    assert kept.exists(), ran
    return Kept(ran, json.loads(kept.read_text(encoding="utf-8").splitlines()[-1]))


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Kept]) -> Kept:
    """Return what `make` gives for a folder; of pytest's processes one makes it, and the others wait for it and read it."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / f"once-{name}"
    folder.mkdir(exist_ok=True)
    made = folder / "made.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            made.write_text(json.dumps(asdict(make(folder))), encoding="utf-8")
    found = json.loads(made.read_text(encoding="utf-8"))
    return Kept(Ran(**found["ran"]), found["record"])


def codes(record: Mapping[str, Any]) -> set[str]:
    """Return the codes of a record's warnings."""
    return {found[1] for text in record["warnings"] if (found := _CODE.search(text))}


def ratios(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rows that set one measured figure against another."""
    paired = [row for row in record["measures"] if row["quantity"].startswith(("ratio:", "null_"))]
    return [row for row in paired if row["source"] == "measured"]


@contextmanager
def busy_machine() -> Iterator[None]:
    """Be a machine of two cores, both of which another process keeps busy; what is started meanwhile shares them."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("cores can be chosen on Linux alone")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:2]))
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
        os.sched_setaffinity(0, before)
