"""One child process of a sweep: asked by lines on its standard input, answering by lines on its standard output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from spanbench.sweep.job import Job
from spanbench.sweep.lifeline import PARENT

__all__ = ["Child", "Reply"]

_PREFIX = "spanbench: error: "
_LAST_LINES = 20


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of one attempt: a record's line, or why there is none; `killed`: it died, and may be tried again."""

    line: str | None
    reason: str | None = None
    killed: bool = False


class Child:
    """A process in a group of its own, so that whatever it started can be stopped with it."""

    def __init__(self, command: Sequence[str], heard: Callable[[str], None]) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # spanbench itself, or what the caller of the engine named
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            env={**os.environ, PARENT: str(os.getpid())},
        )
        self.ended = False
        """The process is gone."""
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._listener = threading.Thread(target=self._listen, args=(heard,), daemon=True)
        self._sweeper = threading.Thread(target=self._sweep_up, daemon=True)
        self._listener.start()
        self._sweeper.start()

    def _listen(self, heard: Callable[[str], None]) -> None:
        for line in self._process.stderr or ():
            self._last.append(line.rstrip())
            heard(line.rstrip())

    def _sweep_up(self) -> None:
        """Stop what the process started once it has ended itself: it would hold the pipes open, and go on using the device."""
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)  # not reaped, so that its number is no one else's yet
            self._kill()

    def once(self, job: Job) -> Reply:
        """Ask for one job, and return what was answered by the child's end."""
        out = ""
        with suppress(BrokenPipeError):  # it died before it read; how is told by its exit
            self._write(job.to_json())
            self._close_input()
        if self._process.stdout is not None:
            out = self._process.stdout.read()
        return self._ended(out)

    def ask(self, job: Job) -> Reply:
        """Ask for one job of many: the answer is one line of JSON with `line` and `reason`."""
        answer = ""
        with suppress(BrokenPipeError):
            self._write(f"{job.to_json()}\n")
        if self._process.stdout is not None:
            answer = self._process.stdout.readline()
        if not answer.endswith("\n"):
            return self._ended("")
        plain = json.loads(answer)
        return Reply(plain["line"], plain["reason"])

    def _write(self, text: str) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(text)
            self._process.stdin.flush()

    def _close_input(self) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # what was left in the buffer has no reader
                self._process.stdin.close()

    def _ended(self, out: str) -> Reply:
        """Return the reply of a child that has closed its output."""
        self.ended = True
        self._sweeper.join()
        code = self._process.wait()
        self._listener.join()
        if code == 0 and out.startswith("{") and out.endswith("\n"):
            return Reply(out)
        if code < 0:
            return Reply(None, f"killed by {_signal(-code)}", killed=True)
        said = next((line.removeprefix(_PREFIX) for line in reversed(self._last) if line), "it said nothing")
        return Reply(None, said if code else "it ended without a record", killed=not code)

    def stop(self) -> None:
        """Kill the process and what it started, and forget it. Safe from any thread, and more than once."""
        if self._process.returncode is None:
            self._kill()
        self._sweeper.join()
        self._process.wait()

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # it ended by itself; macOS refuses a group of zombies
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Stop the process and give its pipes back; for the thread that asks it."""
        self.stop()
        self._listener.join()
        self._close_input()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


def _signal(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
