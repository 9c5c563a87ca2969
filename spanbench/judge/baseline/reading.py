"""One line of a baseline read strictly: whole numbers, known keys, no key twice, totals that are the sum of their stages."""

from __future__ import annotations

import json
from typing import Any

from spanbench.errors import UsageError
from spanbench.judge.baseline.asked import Asked, asked_of, canonical
from spanbench.judge.baseline.errors import BaselineBroken
from spanbench.judge.baseline.row import ARMS, SUMMED, TOTAL, Row
from spanbench.tally import CONVENTIONS

__all__ = ["json_of", "read_point", "read_row"]

_LARGEST = 2**63 - 1
_KEYS = {"point", "arm", "convention", "counts", "layers", "sizes"}
_COUNTS, _LAYERS, _SIZES = ("regime", "stage", "quantity"), ("regime", "stage"), ("part", "size")


def json_of(text: str, where: str) -> dict[str, Any]:
    """Return the object of one line.

    Raises:
        BaselineBroken: not JSON, not an object, or one key twice.
    """
    try:
        plain = json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise BaselineBroken(f"{where}: is not JSON that can be read (nested too deeply)") from None
    except ValueError as error:
        raise BaselineBroken(f"{where}: is not JSON ({error}); is it cut off, or was it edited by hand?") from None
    if not isinstance(plain, dict):
        raise BaselineBroken(f"{where}: is no JSON object; each line of a baseline is one")
    return plain


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return plain


def read_point(plain: Any, where: str) -> Asked:
    """Return the point of a header or of a row.

    Raises:
        BaselineBroken: an unknown key, a value of another type, or a point that is not written in its one form.
    """
    try:
        asked = asked_of(plain)
    except UsageError as error:
        raise BaselineBroken(f"{where}: {error}") from None
    if canonical(plain) != asked.key:
        raise BaselineBroken(f"{where} ({asked.name}): the point is written {asked.key}, here it is {_short(plain)}")
    return asked


def read_row(text: str, where: str, line: int) -> Row:
    """Return the row of one line.

    Raises:
        BaselineBroken: what is wrong with it.
    """
    plain = json_of(text, where)
    if set(plain) != _KEYS:
        missing, unknown = sorted(_KEYS - set(plain)), sorted(set(plain) - _KEYS)
        raise BaselineBroken(f"{where}: " + (f"the key {missing[0]!r} is missing" if missing else f"unknown key {unknown[0]!r}"))
    if plain["arm"] not in ARMS:
        raise BaselineBroken(f"{where}: arm = {plain['arm']!r} is none of {', '.join(ARMS)}")
    if plain["convention"] not in CONVENTIONS:
        raise BaselineBroken(f"{where}: convention = {plain['convention']!r} is none of {', '.join(CONVENTIONS)}")
    asked = read_point(plain["point"], where)
    row = Row(asked, plain["arm"], plain["counts"], plain["layers"], plain["sizes"], plain["convention"], line)
    where = f"{where} ({row.name})"
    _check_numbers(row, where)
    _check_sums(row, where)
    return row


def _check_numbers(row: Row, where: str) -> None:
    for name, levels, tree in (("counts", _COUNTS, row.counts), ("layers", _LAYERS, row.layers), ("sizes", _SIZES, row.sizes)):
        _check_tree(tree, levels, (name,), where)


def _check_tree(tree: Any, levels: tuple[str, ...], path: tuple[str, ...], where: str) -> None:
    """Walk down objects named by `levels`, to whole numbers, of layers to lists of them."""
    place = " ".join(path)
    if levels:
        if not isinstance(tree, dict):
            raise BaselineBroken(f"{where}: {place} = {_short(tree)} is no object with a key for each {levels[0]}")
        if not tree and place != "layers":  # steps have no layers
            raise BaselineBroken(f"{where}: {place} is an empty object; it has a key for each {levels[0]}")
        for key, value in tree.items():
            _check_tree(value, levels[1:], (*path, key), where)
    elif path[0] == "layers":
        if not isinstance(tree, list):
            raise BaselineBroken(f"{where}: {place} = {_short(tree)} is no list, a number for each layer")
        for index, value in enumerate(tree):
            _check_number(value, f"{place} {index}", where)
    else:
        _check_number(tree, place, where)


def _check_number(value: Any, place: str, where: str) -> None:
    if type(value) is not int:  # True is an int to Python
        raise BaselineBroken(f"{where}: {place} = {_short(value)} is not a whole number; counts are exact")
    if value < 0:
        raise BaselineBroken(f"{where}: {place} = {value} is negative; nothing that is counted is")
    if value > _LARGEST:
        raise BaselineBroken(f"{where}: {place} has {len(str(value))} digits; no count is larger than 2^63 - 1")


def _check_sums(row: Row, where: str) -> None:
    """Hold each total against its stages: whoever edits a number by hand rarely edits both."""
    for regime, stages in row.counts.items():
        total = stages.get(TOTAL, {})
        for quantity in SUMMED:
            parts = [figures[quantity] for stage, figures in stages.items() if stage != TOTAL and quantity in figures]
            if quantity in total and total[quantity] != sum(parts):
                raise BaselineBroken(
                    f"{where}: the total {quantity} of {regime} is {total[quantity]:,} and its stages add up to {sum(parts):,}: "
                    "it was edited by hand"
                )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
