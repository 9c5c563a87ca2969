"""Gates from a TOML file: [tool.spanbench] of pyproject.toml, or the top level of any other file.

A table [point] says what all gates are asked of, with the keys of a file for `--config`; each table [[gate]] has quantity,
regime, min or max or both, perhaps a name and a stage, and may have a point's keys of its own.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from spanbench.errors import NothingMeasured, UsageError, suggest
from spanbench.judge.gates.gate import Gate, check_limits, check_quantity, check_stage, parse_limit
from spanbench.point import ALL_REGIMES, check_choice
from spanbench.request import MAX, Request, from_toml

__all__ = ["DEFAULT_FILES", "read_gates"]

PYPROJECT = "pyproject.toml"
DEFAULT_FILES = ("spanbench.toml", PYPROJECT)
"""Where gates are looked for in the working folder; the first file that is there is read."""

_OWN = ("name", "quantity", "regime", "stage", "min", "max")
_POINT = tuple(f.name for f in fields(Request) if f.name not in {"regimes", "largest", "note"})
_HEADER = re.compile(r"\s*\[\[\s*(?:tool\s*\.\s*spanbench\s*\.\s*)?gate\s*\]\]\s*(?:#.*)?")


def read_gates(path: str) -> list[Gate]:
    """Return the gates of a file, in its order.

    Raises:
        UsageError: no such file, not TOML, an unknown key, a value of another type, limits that cannot be.
        NothingMeasured: the file has no gate.
    """
    text = _text(path)
    table = _table(_parsed(text, path), path)
    _known(table, ("point", "gate"), path)
    entries = table.get("gate", [])
    if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
        raise UsageError(f"{path}: gate is no list of tables; begin each gate with a line [[{_prefix(path)}gate]]")
    if not entries:
        raise NothingMeasured(f"{path}: has no gate; add a table [[{_prefix(path)}gate]] with quantity, regime, and min or max")
    base = _point_of(table.get("point", {}), Request(), f"{path}: [{_prefix(path)}point]")
    lines = _lines(text, len(entries))
    return [_gate(entry, base, number, path, line) for number, (entry, line) in enumerate(zip(entries, lines, strict=True), start=1)]


# ---- the file -------------------------------------------------------------------------------------------------------


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"--gates {path!r}: there is no such file; give a TOML file with gates") from None
    except OSError as error:
        raise UsageError(f"--gates {path!r}: cannot be read ({error.strerror}); give a TOML file with gates") from None
    except ValueError as error:  # not UTF-8, or a name with a null character
        raise UsageError(f"--gates {path!r}: cannot be read ({error}); give a TOML file with gates") from None


def _parsed(text: str, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text, parse_float=Decimal)  # a limit of 22.46 stays 22.46
    except (ValueError, ArithmeticError, RecursionError) as error:  # numbers of too many digits, tables nested too deeply
        raise UsageError(f"{path}: is not TOML ({error})") from None


def _table(data: dict[str, Any], path: str) -> dict[str, Any]:
    """Return what belongs to spanbench of a file's data."""
    if Path(path).name != PYPROJECT and "tool" not in data:
        return data
    tools = data.get("tool", {})
    table = tools.get("spanbench", {}) if isinstance(tools, dict) else tools
    if not isinstance(table, dict):
        raise UsageError(f"{path}: tool.spanbench is no table; write [[tool.spanbench.gate]]")
    return table


def _prefix(path: str) -> str:
    return "tool.spanbench." if Path(path).name == PYPROJECT else ""


def _lines(text: str, count: int) -> Sequence[int | None]:
    """Return the line of each gate's header; None of any where they were written in another way."""
    found = [number for number, line in enumerate(text.splitlines(), start=1) if _HEADER.fullmatch(line)]
    return found if len(found) == count else [None] * count


# ---- one gate -------------------------------------------------------------------------------------------------------


def _gate(entry: Mapping[str, Any], base: Request, number: int, path: str, line: int | None) -> Gate:
    where = f"{path}: gate {number}"
    _known(entry, (*_OWN, *_POINT), where)
    for key in ("quantity", "regime"):
        if key not in entry:
            raise UsageError(f"{where}: has no {key}; a gate names quantity, regime, and min or max")
    least, most = (_limit(entry.get(key), f"{where}: {key}") for key in ("min", "max"))
    if least is None and most is None:
        raise UsageError(f"{where}: has neither min nor max, so it demands nothing; give one of them")
    check_limits(least, most, where)
    words = dict(_words(entry, where))
    check_choice(f"{where}: regime", words["regime"], ALL_REGIMES)
    check_stage(words.setdefault("stage", "total"), f"{where}: stage")
    check_quantity(words["quantity"], f"{where}: quantity")
    request = _point_of({key: value for key, value in entry.items() if key in _POINT}, base, where)
    return Gate(request.with_flags(regimes=(words["regime"],)), least=least, most=most, number=number, path=path, line=line, **words)


def _words(entry: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    for key in ("name", "quantity", "regime", "stage"):
        if key in entry:
            value = entry[key]
            if not isinstance(value, str) or not value.isprintable() or not value.strip():
                raise UsageError(f"{where}: {key} = {_shown(value)} is not a line of text")
            yield key, value


def _limit(value: Any, where: str) -> Decimal | None:
    if value is None:
        return None
    if type(value) not in {int, Decimal}:
        raise UsageError(f"{where} = {_shown(value)} is not a number; write it without quotes, such as 22.46")
    return parse_limit(value, f"{where} =")


def _point_of(table: Any, base: Request, where: str) -> Request:
    """Return the base with the keys that a table gives put in."""
    if not isinstance(table, dict):
        raise UsageError(f"{where}: is no table of a point's keys, such as preset and tokens")
    _known(table, _POINT, where)
    if table.get("batch") == MAX:
        raise UsageError(f"{where}: batch = {MAX!r} depends on the machine's memory, so it cannot gate; give a number")
    if table.get("prompt") == "-":
        raise UsageError(f"{where}: prompt = '-' is standard input, which can be read once only; name a text file")
    given = from_toml({key: _plain(value) for key, value in table.items()}, where)
    return base.with_flags(**{key: getattr(given, key) for key in table})


def _plain(value: Any) -> Any:
    """Return a TOML value with floats in place of decimals: no key of a point takes either, and messages show floats plainly."""
    return float(value) if isinstance(value, Decimal) else value


def _known(table: Mapping[str, Any], names: Sequence[str], where: str) -> None:
    for key in table:
        if key not in names:
            hint = "; keys of a point stand in its table [point]" if key in _POINT else suggest(key, names)
            raise UsageError(f"{where}: unknown key {key!r}{hint}")


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else repr(value)
