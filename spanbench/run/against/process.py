"""One worker as its parent sees it: started, asked for one slot after another, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from spanbench.errors import SpanbenchError

__all__ = ["SCRIPT", "Worker", "WorkerFailed", "package_folder"]

SCRIPT = Path(__file__).with_name("worker.py")

_KEEP = str(2**31 - 1)
# What spanbench.measure.host.allocator asks of glibc in a process of its own: freed memory is kept, in every version alike.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": _KEEP, "MALLOC_TRIM_THRESHOLD_": _KEEP}
_LINE = 300  # of what a worker said last: enough to know the error by


class WorkerFailed(SpanbenchError):
    """A worker could not do what it was asked; the message is what it said."""


class Worker:
    """A process in a session of its own, so that Ctrl-C reaches its parent alone, which then stops it."""

    def __init__(self, top: Path) -> None:
        self._said = tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")  # noqa: SIM115  # closed by `stop`
        self._process = subprocess.Popen(  # noqa: S603  # this Python, and a script of this package
            [sys.executable, "-P", str(SCRIPT)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, encoding="utf-8",
            cwd=top, env=_environment(top), start_new_session=True,
        )  # fmt: skip

    def build(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have the job's arms built; return what the worker tells of them.

        Raises:
            WorkerFailed: why they cannot be.
        """
        return self._ask({"job": job})

    def run(self, arm: str, regime: str, repeats: int) -> float:
        """Return the seconds of so many runs, by the worker's own clock.

        Raises:
            WorkerFailed: why there are none.
        """
        return float(self._ask({"arm": arm, "regime": regime, "repeats": repeats})["seconds"])

    def _ask(self, order: Mapping[str, Any]) -> Mapping[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise WorkerFailed("it has no pipes")
        with suppress(BrokenPipeError):  # it died before it read; how is told by its exit
            stdin.write(f"{json.dumps(order)}\n")
            stdin.flush()
        line = stdout.readline()
        if not line.endswith("\n"):
            raise WorkerFailed(self._end())
        told: Mapping[str, Any] = json.loads(line)
        if "error" in told:
            raise WorkerFailed(told["error"])
        return told

    def _end(self) -> str:
        """Return why the process has ended, in one line."""
        code = self._process.wait()
        if code < 0:
            name = signal.Signals(-code).name
            return f"it was killed by {name}{' (out of memory?)' if -code == signal.SIGKILL else ''}"
        self._said.seek(0)
        lines = [line.strip() for line in self._said if line.strip()]
        return lines[-1][:_LINE] if lines else f"it ended with exit code {code} and said nothing"

    def stop(self) -> None:
        """Kill the process with whatever it started, and give its pipes back."""
        with suppress(ProcessLookupError, PermissionError):  # it has ended by itself
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            with suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()


def package_folder(top: Path) -> Path | None:
    """Return the folder from which a project gives spanbench itself, or None where the installed one is used."""
    return next((folder for folder in (top, top / "src") if (folder / "spanbench" / "__init__.py").is_file()), None)


def _environment(top: Path) -> dict[str, str]:
    """Return the worker's environment: the project's own spanbench in front, if it has one."""
    own, before = package_folder(top), os.environ.get("PYTHONPATH")
    path = os.pathsep.join(str(part) for part in (own, before) if part)
    return {**os.environ, **_ALLOCATOR, **({"PYTHONPATH": path} if path else {})}
