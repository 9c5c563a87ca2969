"""Pieces of files read in order: a few of them here, many by several processes side by side, one a core.

Whoever is free takes the next piece. A helper that fails for whatever reason costs time and nothing else: what nobody read is
read here at the end, in order, where every error has its line.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict

from spanbench.errors import SpanbenchError
from spanbench.show.report.reading.digest import Wanted
from spanbench.show.report.reading.pieces import Piece, Reading, read_piece

__all__ = ["HELPER", "MOST_PROCESSES", "read_pieces"]

HELPER = (sys.executable, "-P", "-m", "spanbench.show.report.reading.helper")
MOST_PROCESSES = 8
_LEAST_PIECES = 2
"""For a process: starting one takes as long as reading one piece."""


def read_pieces(pieces: Sequence[Piece], wanted: Wanted, command: Sequence[str] = HELPER) -> Iterator[tuple[Piece, Reading]]:
    """Yield what each piece holds, in their order, with the file's own line numbers.

    Raises:
        UsageError: a line that is no record, or a file that cannot be read.
        SchemaMismatch: a record of another schema.
    """
    found = _read_by_any(pieces, wanted, command)
    lines: dict[str, int] = {}
    for at, piece in enumerate(pieces):
        before = lines.get(piece.path, 0)
        reading = found.pop(at, None) or read_piece(piece, wanted, before)
        lines[piece.path] = before + reading.lines
        yield piece, Reading(reading.digests, reading.lines, [before + number for number in reading.torn])


def _read_by_any(pieces: Sequence[Piece], wanted: Wanted, command: Sequence[str]) -> dict[int, Reading]:
    """Return by place what could be read, by this process and its helpers."""
    left, found = deque(enumerate(pieces)), dict[int, Reading]()
    with ExitStack() as helpers:
        helping: list[_Helper] = []
        with suppress(OSError):  # no more processes may be started here
            helping.extend(helpers.enter_context(_Helper(left, found, wanted, command)) for _ in range(_processes(len(pieces)) - 1))
        with suppress(IndexError, SpanbenchError):  # nothing is left; or an error, which its turn will find again
            while helping:
                at, piece = left.popleft()
                found[at] = read_piece(piece, wanted)
        for helper in helping:
            helper.join()
    return found


def _processes(pieces: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, pieces // _LEAST_PIECES, MOST_PROCESSES))


class _Helper:
    """A process that takes pieces from `left` and whose readings come to `found`; it ends by itself where nobody asks it any more."""

    def __init__(self, left: deque[tuple[int, Piece]], found: dict[int, Reading], wanted: Wanted, command: Sequence[str]) -> None:
        self._left, self._found, self._wanted = left, found, wanted
        self._process = subprocess.Popen(  # noqa: S603  # spanbench itself, or what a test named
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process, and takes the helper's questions away
        )
        self._asking = threading.Thread(target=self._ask, daemon=True)
        self._asking.start()

    def _ask(self) -> None:
        """Ask for pieces one by one until none is left or an answer is none."""
        with suppress(Exception):  # an end within a pickle can be any error; what is missing is read again
            while True:
                at, piece = self._left.popleft()
                self._found[at] = self._answer(piece)

    def _answer(self, piece: Piece) -> Reading:
        asked, answers = self._process.stdin, self._process.stdout
        if asked is None or answers is None:
            raise OSError("no pipes")
        asked.write(json.dumps({"wanted": asdict(self._wanted), "piece": asdict(piece)}).encode() + b"\n")
        asked.flush()
        answer = pickle.load(answers)  # noqa: S301  # what this very process started wrote it
        if not isinstance(answer, Reading):
            raise TypeError(type(answer).__name__)
        return answer

    def join(self) -> None:
        """Wait until it takes no more."""
        self._asking.join()

    def __enter__(self) -> _Helper:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._asking.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # a question that nobody took
                    pipe.close()
