"""A small baseline, counted once by the closed form, and what becomes of it when a line is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from spanbench.cli.baseline import closed
from spanbench.errors import SpanbenchError
from spanbench.judge.baseline.asked import asked_of
from spanbench.judge.baseline.comparing import compare
from spanbench.judge.baseline.file import Baseline, Header, read_baseline
from spanbench.judge.baseline.row import Row

__all__ = ["answers", "committed", "judged", "numbers", "question"]

POINTS = (
    {"preset": "tiny", "tokens": 10, "span": 4, "regimes": ["prefill", "decode"]},
    {"preset": "tiny", "tokens": 9, "span": 4, "set": {"cross_attention": True, "carry": 2, "gated": True}, "regimes": ["score"]},
)


@cache
def question() -> Header:
    return Header("dense", tuple(asked_of(dict(point)) for point in POINTS))


@cache
def answers() -> tuple[Row, ...]:
    """What is counted now, once for all tests."""
    return tuple(closed("baseline.jsonl", question()))


def committed() -> list[str]:
    """The lines of the file as it is written."""
    return Baseline.text(question(), answers()).splitlines()


def judged(file: Path, lines: list[str]) -> tuple[int, str]:
    """Return the exit code of a check of these lines, and all that it says of rows."""
    file.write_text("\n".join(lines) + "\n" if lines else "", encoding="utf-8")
    try:
        checked = compare(read_baseline(str(file)), answers(), by="closed form")
    except SpanbenchError as error:
        return error.exit_code, str(error)
    return int(bool(checked.changes)), " | ".join(f"line {change.line}: {change.row}" for change in checked.changes)


def numbers(plain: Any) -> Iterator[tuple[Any, Any, int]]:
    """Yield (copy of the whole, path) for every whole number of a JSON value: the holder, the key, and the number."""
    items = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    for key, value in list(items):
        if type(value) is int:
            yield plain, key, value
        else:
            yield from numbers(value)


def mutated(line: str) -> Iterator[str]:
    """Yield the line with each of its whole numbers one more, and one less."""
    plain = json.loads(line)
    for holder, key, value in numbers(plain):
        for other in (value + 1, value - 1):
            holder[key] = other
            yield json.dumps(plain, sort_keys=True, separators=(",", ":"))
        holder[key] = value


def without(line: str) -> Iterator[str]:
    """Yield the line without each of its keys, at any depth."""
    plain = json.loads(line)
    for path in list(_paths(plain)):
        cut = deepcopy(plain)
        holder = cut
        for key in path[:-1]:
            holder = holder[key]
        del holder[path[-1]]
        yield json.dumps(cut, sort_keys=True, separators=(",", ":"))


def _paths(plain: Any) -> Iterator[tuple[str, ...]]:
    for key, value in plain.items() if isinstance(plain, dict) else ():
        yield (key,)
        yield from ((key, *rest) for rest in _paths(value))
