"""Ctrl-C at any moment: one line, exit code 130, and nothing that was finished is lost.

The process ends within the signal's handler. A KeyboardInterrupt would have to find its way out of libraries that
swallow it, or print it: torch and fvcore while they are imported, counters that torch calls back, finalizers. Ending
at once is safe here, because a record is on the disk before its command goes on, and data is printed in one piece.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

__all__ = ["INTERRUPTED", "answer_interrupts", "say", "scratch_folder"]

INTERRUPTED = 130

_SHOW_CURSOR = "\x1b[?25h"
"""A progress bar hides it."""


@contextmanager
def answer_interrupts(*, until_the_end: bool) -> Iterator[None]:
    """Answer SIGINT with the end of the process, here or until its end; without effect where it is ignored (`nohup`, `&`)."""
    try:
        before = signal.getsignal(signal.SIGINT)
        if before is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, _leave)
    except ValueError:  # not the main thread, which alone is interrupted
        yield
        return
    try:
        yield
    finally:
        if not until_the_end:
            signal.signal(signal.SIGINT, before)


_scratch: list[Path] = []
"""Folders that must not outlive the process."""


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """Yield a new temporary folder, which is gone afterwards: also where SIGINT or SIGTERM ends the process within."""
    try:
        before = signal.getsignal(signal.SIGTERM)
        if before is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _leave)
    except ValueError:  # not the main thread, which alone gets signals
        before = None
    folder = Path(tempfile.mkdtemp(prefix=f"spanbench-{name}-"))
    _scratch.append(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _scratch.remove(folder)
        if before is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, before)


def say(line: str) -> None:
    """Print one line on standard error, where there is one."""
    if sys.stderr is not None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _leave(_signal: int, _frame: FrameType | None) -> None:
    # Written to the descriptor itself: the signal may have come in the middle of a buffered write.
    cursor, start = (_SHOW_CURSOR, "\r\x1b[K") if os.isatty(2) else ("", "")
    try:
        os.write(2, f"{cursor}{start}spanbench: error: interrupted; what was not finished is not kept\n".encode())
        for folder in _scratch:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os._exit(INTERRUPTED)
