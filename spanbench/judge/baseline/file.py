"""The file of a baseline: a header that says what is counted, then a row for each point and arm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, cast, get_args

from spanbench.errors import NothingMeasured, UsageError
from spanbench.files import why
from spanbench.judge.baseline.asked import Asked, canonical
from spanbench.judge.baseline.errors import BaselineBroken
from spanbench.judge.baseline.reading import json_of, read_point, read_row
from spanbench.judge.baseline.row import Row
from spanbench.tally import Convention

__all__ = ["BASELINE", "SCHEMA", "Baseline", "Header", "accept_command", "read_baseline"]

BASELINE = 1
"""Version of the file's form."""
SCHEMA = 1
"""Schema of what is counted: that of records. Written out here, since records need pydantic, and a check of formulas does not."""

_MARKS = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")
_KEYS = {"baseline", "schema", "convention", "points", "reason"}


def accept_command(path: str) -> str:
    """Return the command that takes the new counts over, as a shell reads it."""
    return f'spanbench baseline update {_typed(path)} --reason "…"'


def _typed(path: str) -> str:
    """Return a path as it is typed: one that begins with a dash would be taken for an option."""
    return quote(f"./{path}" if path.startswith("-") else path)


@dataclass(frozen=True, slots=True)
class Header:
    """The question: the points that are counted, by which convention, and why the answer last changed."""

    convention: Convention
    asked: tuple[Asked, ...]
    reason: str = ""

    def to_line(self) -> str:
        """Return the header as one JSON line, newline included."""
        points = [asked.given for asked in sorted(self.asked, key=lambda asked: asked.order)]
        plain = {"baseline": BASELINE, "schema": SCHEMA, "convention": self.convention, "points": points}
        return canonical(plain | ({"reason": self.reason} if self.reason else {})) + "\n"


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline as it was read."""

    path: str
    header: Header
    rows: tuple[Row, ...]
    lines: int
    """Lines of the file."""
    problems: tuple[str, ...] = ()
    """Of a tolerant reading: the lines that are no rows, and why."""

    @property
    def folder(self) -> Path:
        """Where the paths of its configs begin."""
        return Path(self.path).parent

    @property
    def in_order(self) -> bool:
        """Whether the rows stand as they are written."""
        return list(self.rows) == sorted(self.rows, key=lambda row: row.order)

    @staticmethod
    def text(header: Header, rows: Iterable[Row]) -> str:
        """Return the whole file: the same for the same counts, whatever order they come in."""
        return header.to_line() + "".join(row.to_line() for row in sorted(rows, key=lambda row: row.order))


def read_baseline(path: str, *, tolerant: bool = False) -> Baseline:
    """Read a baseline; `tolerant` needs the header alone, and tells which rows cannot be read.

    A byte-order mark, Windows line ends and blank lines are let pass; rows may stand in any order.

    Raises:
        UsageError: there is no such file, or it cannot be read.
        NothingMeasured: it is empty, or has no points, or (unless tolerant) no rows.
        BaselineBroken: a line is not what was written; its number is named.
    """
    lines = _lines(path)
    number, first = next(((n, line) for n, line in enumerate(lines, 1) if line.strip()), (1, ""))
    header = _header(path, number, first)
    rows, problems = _rows(
        path, header.convention, [(n, line) for n, line in enumerate(lines, 1) if n > number and line.strip()], tolerant=tolerant
    )
    if not (rows or tolerant):
        raise NothingMeasured(f"{path}: has a header and no rows, so nothing is compared; {accept_command(path)} counts them")
    return Baseline(path, header, tuple(rows), sum(bool(line.strip()) for line in lines), tuple(problems))


def _lines(path: str) -> list[str]:
    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such baseline; make one with spanbench baseline create --out {_typed(path)}") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise UsageError(f"{path}: cannot be read ({why(error)}); give the file of a baseline") from None
    if not raw.strip():
        raise NothingMeasured(f"{path}: is empty, so nothing is compared; make one with spanbench baseline create")
    try:
        return [line.removesuffix("\r") for line in raw.decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BaselineBroken(f"{path}, line {line}: is not UTF-8 text; a baseline is") from None


def _header(path: str, number: int, line: str) -> Header:
    where = f"{path}, line {number}"
    if line.startswith(_MARKS):
        raise BaselineBroken(
            f"{where}: a merge conflict within the header; take either side of it, then {accept_command(path)} counts the rows anew"
        )
    plain = json_of(line, where)
    if "baseline" not in plain:
        raise BaselineBroken(f"{where}: is not the header of a baseline (no 'baseline'); make one with spanbench baseline create")
    _check_version(plain, where)
    _check_header(plain, where)
    asked = tuple(read_point(point, f"{where}, point {n}") for n, point in enumerate(plain["points"], 1))
    keys = [one.key for one in asked]
    twice = next((one for one in asked if keys.count(one.key) > 1), None)
    if twice is not None:
        raise BaselineBroken(f"{where}: the point {twice.name!r} is asked for twice")
    if not asked:
        raise NothingMeasured(f"{where}: the header has no points, so nothing is compared; make one with spanbench baseline create")
    return Header(cast(Convention, plain["convention"]), asked, plain.get("reason", ""))


def _check_version(plain: dict[str, Any], where: str) -> None:
    for name, known in (("baseline", BASELINE), ("schema", SCHEMA)):
        value = plain.get(name)
        if type(value) is int and value > known:
            raise BaselineBroken(
                f"{where}: {name} {value}, this version reads {known}: written by a newer version of spanbench; upgrade it"
            )
        if type(value) is not int or value != known:
            raise BaselineBroken(f"{where}: {name} = {value!r}, this version of spanbench reads {name} {known}")


def _check_header(plain: dict[str, Any], where: str) -> None:
    unknown = sorted(set(plain) - _KEYS)
    if unknown:
        raise BaselineBroken(f"{where}: unknown key {unknown[0]!r} of the header")
    known = get_args(Convention)
    if plain.get("convention") not in known:
        raise BaselineBroken(f"{where}: convention {plain.get('convention')!r} is not known; known: {', '.join(known)}")
    if not isinstance(plain.get("points"), list):
        raise BaselineBroken(f"{where}: points = {plain.get('points')!r} is no list of points")
    if not isinstance(plain.get("reason", ""), str):
        raise BaselineBroken(f"{where}: reason = {plain['reason']!r} is not text")


def _rows(path: str, convention: Convention, lines: Sequence[tuple[int, str]], *, tolerant: bool) -> tuple[list[Row], list[str]]:
    found: dict[tuple[str, str], Row] = {}
    problems = []
    for number, line in lines:
        try:
            row = _row(line, f"{path}, line {number}", number)
            _check_once(row, found.get(row.key), path)
            _check_convention(row, convention, path)
            found[row.key] = row
        except BaselineBroken as error:
            if not tolerant:
                raise BaselineBroken(f"{error}; {accept_command(path)} counts all rows anew") from None
            problems.append(str(error))
    return list(found.values()), problems


def _row(line: str, where: str, number: int) -> Row:
    if line.startswith(_MARKS):
        raise BaselineBroken(f"{where}: a merge conflict ({line.split(maxsplit=1)[0]})")
    return read_row(line, where, number)


def _check_convention(row: Row, convention: Convention, path: str) -> None:
    if row.convention != convention:
        raise BaselineBroken(
            f"{path}, line {row.line} ({row.name}): its FLOPs are by the convention {row.convention}, the header's by {convention}"
        )


def _check_once(row: Row, before: Row | None, path: str) -> None:
    if before is not None:
        raise BaselineBroken(f"{path}, line {row.line} ({row.name}): stands there twice, first in line {before.line}")
