"""Ctrl-C at any moment: one line, exit code 130, and nothing that was finished is lost.

The process ends within the signal's handler. A KeyboardInterrupt would have to find its way out of libraries that
swallow it, or print it: torch and fvcore while they are imported, counters that torch calls back, finalizers. Ending
at once is safe here, because a record is on the disk before its command goes on, and data is printed in one piece.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["INTERRUPTED", "also_on_leaving", "answer_interrupts", "say"]

INTERRUPTED = 130

_SHOW_CURSOR = "\x1b[?25h"
"""A progress bar hides it."""

_on_leaving: list[Callable[[], object]] = []


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


@contextmanager
def also_on_leaving(call: Callable[[], object]) -> Iterator[None]:
    """Have a call made where SIGINT or SIGTERM ends the process within: for what must not outlive it, such as a folder."""
    before: object = None
    try:
        before = signal.getsignal(signal.SIGTERM)
        if before is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _leave)
    except ValueError:  # not the main thread, which alone gets signals
        before = None
    _on_leaving.append(call)
    try:
        yield
    finally:
        _on_leaving.remove(call)
        if before is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


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
        for call in _on_leaving:
            call()
    finally:
        os._exit(INTERRUPTED)
