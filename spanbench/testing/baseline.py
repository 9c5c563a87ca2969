"""Files of cases: JSON lines sorted by name, replaced whole, so that readers see the old file or the new one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spanbench.errors import UsageError
from spanbench.files import write_whole
from spanbench.record.lock import try_lock
from spanbench.testing.case import BrokenBaseline, Case

__all__ = ["BrokenBaseline", "Case", "Line", "read", "update"]

_PATIENCE, _PAUSE = 60.0, 0.02
"""Seconds to wait for other processes that write to a folder's baselines, each for a moment, and between two looks."""


@dataclass(frozen=True, slots=True)
class Line:
    """A case and the line it stands on, from 1."""

    number: int
    case: Case


def read(path: Path) -> dict[str, Line] | None:
    """Return the cases of a baseline by name; None where there is no such file. They need not be sorted: merges may mix them.

    Raises:
        BrokenBaseline: a line is no case, or two have one name; the line is named.
        UsageError: the file cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise BrokenBaseline(f"{path}: is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}); name a file of counts") from None
    found: dict[str, Line] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        case = Case.of(line, f"{path}:{number}")
        if case.name in found:
            raise BrokenBaseline(f"{path}:{number}: {case.name!r} stands on line {found[case.name].number} already; take one of them out")
        found[case.name] = Line(number, case)
    return found


def update(path: Path, case: Case) -> bool:
    """Put a case into its baseline, in place of the one of its name; all others stay. Return whether the file changed.

    Safe where several processes do it at once: each holds the folder meanwhile.

    Raises:
        BrokenBaseline: the file cannot be read as a baseline, so nothing is written.
        UsageError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _held(path.parent):
            cases = {name: line.case for name, line in (read(path) or {}).items()} | {case.name: case}
            text = "".join(cases[name].line() for name in sorted(cases))
            if path.exists() and path.read_bytes() == text.encode():
                return False
            write_whole(path, [text.encode()])
            return True
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); name a file you may write") from None


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a folder against other processes that update baselines in it. No file is left behind, and none need be ignored by git."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders, and has no such lock either
        yield
        return
    try:
        end = time.monotonic() + _PATIENCE
        while not try_lock(handle):
            if time.monotonic() > end:
                raise UsageError(f"{folder}: another process has been updating baselines in it for {_PATIENCE:.0f} s; end it first")
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(handle)
