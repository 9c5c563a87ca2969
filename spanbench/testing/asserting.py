"""What the fixture `assert_counts` gives a test: count, and hold against the baseline or write it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spanbench.errors import SpanbenchError
from spanbench.testing.baseline import read, update
from spanbench.testing.case import Case
from spanbench.testing.difference import described

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Asked", "AssertCounts"]

OPTION = "--spanbench-update"


@dataclass(frozen=True, slots=True)
class Asked:
    """One call: the baseline and the line that it asked for, and whether it changed that."""

    path: str
    name: str
    written: bool


class AssertCounts:
    """Counts a module and compares with a committed baseline, with tolerance 0; with `--spanbench-update` it writes instead.

    Args:
        node: the test's name, which is a line's name unless a call gives another.
        command: the node's id as it is given to pytest in this folder.
        folder: where relative baselines lie: that of the test's file.
        owners: which test asked for which line of which baseline, for all tests of a session.
        writes: whether to write.
    """

    def __init__(self, node: str, command: str, folder: Path, owners: dict[tuple[str, str], str], *, writes: bool) -> None:
        self._node, self._command, self._folder, self._owners, self._writes = node, command, folder, owners, writes
        self._accept = f"pytest {OPTION} {shlex.quote(command)}"
        self.asked: list[Asked] = []

    def __call__(self, module: nn.Module, inputs: Any, baseline: str | os.PathLike[str], *, name: str | None = None) -> None:
        """Count `module` on `inputs` and compare it with the line `name` of a baseline file.

        `inputs` are the forward's arguments: a tuple or list by position, a mapping by name, anything else the only one.

        Raises:
            AssertionError: a count differs, the module cannot be counted, or there is no such line; the message says how to accept.
        """
        __tracebackhide__ = True  # pytest shows the test's own line
        case, path = name if name is not None else self._node, self._folder / baseline
        if problem := self._taken(case, path) or self._problem(case, path, module, inputs):
            raise AssertionError(problem)

    def _taken(self, name: str, path: Path) -> str:
        """Return what is wrong where a line was asked for before: two calls would write over each other."""
        owner = self._owners.setdefault((str(path), name), self._command)
        if owner == self._command and all((one.path, one.name) != (str(path), name) for one in self.asked):
            return ""
        by = "by this test" if owner == self._command else f"by {owner}"
        return f"{name}: was asked for {by} already; give each call a name of its own: assert_counts(…, name=…)"

    def _problem(self, name: str, path: Path, module: nn.Module, inputs: Any) -> str:
        """Count, then compare or write; return what is wrong, or nothing."""
        from spanbench.testing.counting import counted  # loads torch, which whoever has a module has loaded

        try:
            case, reasons = counted(name, module, inputs)
            self.asked.append(Asked(str(path), name, written=self._writes and update(path, case)))
            return "" if self._writes else self._compared(path, case, reasons)
        except SpanbenchError as error:
            return f"{name}: {error}"

    def _compared(self, path: Path, case: Case, reasons: Mapping[str, str]) -> str:
        lines, shown = read(path), _shown(path)
        if lines is None:
            return f"{case.name}: there is no baseline {shown}; create it with: {self._accept}"
        known = lines.get(case.name)
        if known is None:
            return f"{case.name}: {shown} has no line of this name; add it with: {self._accept}"
        differences = described(known.case, case, reasons)
        if not differences:
            return ""
        first, *others = differences
        rest = [f"  {line}" for line in others]
        return "\n".join([f"{case.name}: {first}", *rest, f"  baseline: {shown}:{known.number}", f"  accept it with: {self._accept}"])


def _shown(path: Path) -> str:
    """Return a path from the working folder where it lies below that."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
