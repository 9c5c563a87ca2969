"""The lines of a file of records one by one, so that whatever is wrong with one of them can be named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from spanbench.errors import UsageError

__all__ = ["SUFFIX", "Line", "is_cut", "lines_of", "record_files"]

SUFFIX = ".jsonl"
_WORDS = ("null", "true", "false")
_WITHIN = re.compile(r"-|\.|[eE][+-]?|\\(u[0-9a-fA-F]{0,3})?|u[0-9a-fA-F]{0,3}")
"""What stands between the place where JSON stops making sense and the end, where that is within a number or an escape."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not empty: its plain JSON, or why it has none.

    `cut` is a line that breaks off, as a run leaves it that was killed while it wrote; nothing else about it is wrong.
    """

    number: int
    plain: Any = None
    problem: str | None = None
    cut: bool = False


def record_files(paths: list[str]) -> list[Path]:
    """Return the files that paths name, those of a folder sorted; each once.

    Raises:
        UsageError: there is no such file or folder.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        try:
            known, folder = path.exists(), path.is_dir()
        except (OSError, ValueError) as error:  # no permission to look, or a name with a null character
            raise UsageError(f"PATH {str(path)!r}: cannot be read ({error})") from None
        if not known:
            raise UsageError(f"PATH {str(path)!r}: there is no such file or folder; give files of records, or folders of them")
        found |= dict.fromkeys(sorted(path.rglob(f"*{SUFFIX}")) if folder else [path])
    return list(found)


def lines_of(path: Path) -> Iterator[Line]:
    """Yield the lines of a file that are not empty.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _line(number, line.removesuffix(b"\n"))
    except OSError as error:
        raise UsageError(f"PATH {str(path)!r}: cannot be read ({error.strerror})") from None


def is_cut(raw: bytes) -> bool:
    """Tell whether a line only breaks off, as a run leaves it that was killed while it wrote; a crash may leave zero bytes behind it."""
    left = raw.rstrip(b"\0\r\n")
    return not left or _line(0, left).cut


def _line(number: int, raw: bytes) -> Line:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        within = error.end == len(raw) and error.reason == "unexpected end of data"  # broken off inside a letter
        return Line(number, problem="is not UTF-8 text", cut=within and raw.startswith(b"{"))
    try:
        return Line(number, json.loads(text, parse_constant=_refuse))
    except json.JSONDecodeError as error:
        return Line(number, problem=f"is not valid JSON ({error.msg})", cut=_breaks_off(text.rstrip(), error))
    except (ValueError, RecursionError) as error:  # a constant or a number of too many digits, or nested too deeply
        return Line(number, problem=f"is not valid JSON ({error})")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _breaks_off(text: str, error: json.JSONDecodeError) -> bool:
    """Tell whether a text is the beginning of an object: what is wrong with it is that it ends."""
    if not text.startswith("{"):
        return False
    rest = text[error.pos :]
    if "Unterminated" in error.msg or not rest:
        return True
    return error.msg != "Extra data" and (any(word.startswith(rest) for word in _WORDS) or _WITHIN.fullmatch(rest) is not None)
