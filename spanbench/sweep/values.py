"""How the text of one axis becomes its values: lists, doublings and steps.

'24,64..1024' is 24, then 64, 128, 256, 512, 1024: doubled while it does not pass the end. '8..32/8' is 8, 16, 24, 32.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from spanbench.errors import UsageError
from spanbench.request import MAX

__all__ = ["MOST_VALUES", "batches", "names", "wholes"]

MOST_VALUES = 1_000_000
"""Of one axis: more is a slip of the finger, and would be expanded before anyone could be asked."""

_RANGE = re.compile(r"(?P<first>[0-9]{1,18})\.\.(?P<last>[0-9]{1,18})(/(?P<step>[0-9]{1,18}))?")
_WHOLE = re.compile(r"[0-9]{1,18}")
_RIGHT = "must be whole numbers and ranges, such as 24,64..16384 (doubled) or 8..32/8 (in steps of 8)"


def wholes(option: str, given: str | int | Sequence[Any]) -> list[int]:
    """Return the whole numbers of an axis, each once, in the order given.

    Raises:
        UsageError: a part that is none, a range that runs backwards, no number at all, or a million of them.
    """
    found: dict[int, None] = {}
    for part in _parts(option, given):
        for value in _expanded(option, part):
            found[value] = None
            _check_most(option, len(found))
    return list(found)


def batches(option: str, given: str | int | Sequence[Any]) -> list[int | str]:
    """Return what `wholes` does, where a part may also be the word for the largest batch that fits."""
    found: dict[int | str, None] = {}
    for part in _parts(option, given):
        found |= dict.fromkeys([MAX] if part == MAX else _expanded(option, part))
    return list(found)


def names(option: str, given: str | Sequence[Any]) -> list[str]:
    """Return the names of an axis, each once, in the order given.

    Raises:
        UsageError: a value that is no name, or none at all.
    """
    return list(dict.fromkeys(_parts(option, given)))


def _parts(option: str, given: str | int | Sequence[Any]) -> list[str]:
    """Split text at its commas; a list of a TOML file may hold numbers, names and ranges."""
    items: Iterable[Any] = given if isinstance(given, list | tuple) else [given]
    parts = [part.strip() for item in items for part in _text(option, item).split(",") if part.strip()]
    if not parts:
        raise UsageError(f"{option} {given!r}: names no value; an empty axis is an empty grid")
    return parts


def _text(option: str, item: Any) -> str:
    if isinstance(item, bool) or not isinstance(item, str | int):
        raise UsageError(f"{option} {item!r}: must be a whole number or text")
    return str(item)


def _expanded(option: str, part: str) -> Iterator[int]:
    if _WHOLE.fullmatch(part):
        yield int(part)
        return
    match = _RANGE.fullmatch(part)
    if match is None:
        raise UsageError(f"{option} {part!r}: {_RIGHT}")
    first, last = int(match["first"]), int(match["last"])
    if first > last:
        raise UsageError(f"{option} {part!r}: runs backwards; {_RIGHT}")
    yield from (
        _doubled(option, first, last) if match["step"] is None else _stepped(option, part, range(first, last + 1), int(match["step"]))
    )


def _doubled(option: str, first: int, last: int) -> Iterator[int]:
    if first == 0:
        raise UsageError(f"{option} '0..{last}': 0 cannot be doubled; begin at 1 or more")
    while first <= last:
        yield first
        first *= 2


def _stepped(option: str, part: str, whole: range, step: int) -> Sequence[int]:
    if step == 0:
        raise UsageError(f"{option} {part!r}: a step of 0 never ends; {_RIGHT}")
    _check_most(option, len(whole) // step)
    return whole[::step]


def _check_most(option: str, count: int) -> None:
    if count > MOST_VALUES:
        raise UsageError(f"{option}: more than {MOST_VALUES:,} values; take fewer")
