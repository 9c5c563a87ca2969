"""Ctrl-C during a sweep: never within the writing of a record, and always in time to stop the children."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

__all__ = ["Interrupts"]


class Interrupts:
    """Turns SIGINT into a KeyboardInterrupt while it is entered, and holds it back where it would do harm.

    Commands otherwise end within the signal's handler, because torch swallows exceptions; a sweep's own process has no torch.
    Where SIGINT is ignored (`nohup`, `&`) it stays so.
    """

    def __init__(self) -> None:
        self._held, self._came = False, False
        self._before: Any = None

    def __enter__(self) -> Self:
        try:
            self._before = signal.getsignal(signal.SIGINT)
            if self._before is not signal.SIG_IGN:
                signal.signal(signal.SIGINT, self._answer)
        except ValueError:  # not the main thread, which alone is interrupted
            self._before = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None and self._before is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._before)

    def _answer(self, _signal: int, _frame: FrameType | None) -> None:
        if self._held:
            self._came = True
            return
        raise KeyboardInterrupt

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Let what is inside come to its end first."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._came:
            raise KeyboardInterrupt
