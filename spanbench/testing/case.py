"""The counts of one case, as a baseline holds them: whole numbers, or null where a figure cannot be known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spanbench.errors import SpanbenchError

__all__ = ["QUANTITIES", "SCHEMA", "BrokenBaseline", "Case"]

SCHEMA = 1
QUANTITIES = ("flops", "cells_dense", "cells_useful", "params", "bytes_compulsory")
"""What is compared beside the modules' FLOPs, see `spanbench.count.module.ModuleCount`."""
_KEYS = ("schema", "name", *QUANTITIES, "by_module")
_NEVER_NULL = ("flops", "params")


class BrokenBaseline(SpanbenchError):
    """A line of a baseline is not what this version writes, so nothing can be compared with it."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Case:
    """One forward of one module. `modules` are FLOPs at and below each module path that has any, in the order they finished."""

    name: str
    quantities: Mapping[str, int | None]
    modules: Mapping[str, int]

    def line(self) -> str:
        """Return the case as one JSON line, newline included."""
        plain = {"schema": SCHEMA, "name": self.name, **{key: self.quantities[key] for key in QUANTITIES}, "by_module": dict(self.modules)}
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":")) + "\n"

    @classmethod
    def of(cls, line: str, where: str) -> Case:
        """Return the case of a line; `where` names it in an error.

        Raises:
            BrokenBaseline: not a line that `line` could have written.
        """
        plain = _plain(line, where)
        if (schema := plain.get("schema")) != SCHEMA or type(schema) is not int:
            newer = ", written by a newer version of spanbench" if type(schema) is int and schema > SCHEMA else ""
            raise BrokenBaseline(f"{where}: schema {schema!r}{newer}; this version reads schema {SCHEMA}")
        if wrong := sorted(set(_KEYS) ^ set(plain)):
            problem = "lacks" if wrong[0] in _KEYS else "has an unknown key"
            raise BrokenBaseline(f"{where}: {problem} {wrong[0]!r}")
        if not isinstance(plain["name"], str) or not isinstance(plain["by_module"], dict):
            raise BrokenBaseline(f"{where}: name must be text and by_module a table of module paths")
        for key in QUANTITIES:
            _check_whole(plain[key], f"{where}: {key}", nullable=key not in _NEVER_NULL)
        for path, flops in plain["by_module"].items():
            _check_whole(flops, f"{where}: by_module {path!r}", nullable=False)
        return cls(plain["name"], {key: plain[key] for key in QUANTITIES}, plain["by_module"])


def _plain(line: str, where: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise BrokenBaseline(f"{where}: has a key twice")
        return dict(pairs)

    if line.startswith(("<<<<<<<", "=======", ">>>>>>>", "|||||||")):
        raise BrokenBaseline(f"{where}: is a merge-conflict marker; keep both sides' lines, take the markers out, and update")
    try:
        plain = json.loads(line, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise BrokenBaseline(f"{where}: is not JSON ({error})") from None
    if not isinstance(plain, dict):
        raise BrokenBaseline(f"{where}: is not the line of a case")
    return plain


def _check_whole(value: Any, where: str, *, nullable: bool) -> None:
    if (value is None and nullable) or (type(value) is int and value >= 0):
        return
    raise BrokenBaseline(f"{where} is {json.dumps(value)}, not a whole number{' or null' if nullable else ''}")
