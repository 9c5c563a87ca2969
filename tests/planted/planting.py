"""Plant an error in a source text, and count with it as if it had been written there.

The counted parts of spanbench are imported afresh, one of them from a changed text, and put away again afterwards. So an
error reaches everyone who imports the changed function, nothing is left of it, and no file is touched.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

import pytest

import spanbench.run  # whole and without an error: what does not come afresh must be here before the first one
from spanbench.errors import CountMismatch, UncountedOperation
from tests.count.points import ids_of
from tests.planted.points import POINTS, rebuilt

# What counts and what is counted. The rest of spanbench stays, so that an error raised is the one that a test knows.
_AFRESH = ("count", "model", "run", "point", "tally")


@dataclass(frozen=True, slots=True)
class Planted:
    """One error: `old` stands once in the source of `spanbench.<module>` and becomes `new`.

    `says` is part of the message that refuses the count: an error must be caught for what it is, not by an accident.
    """

    name: str
    module: str
    old: str
    new: str
    says: str

    @property
    def target(self) -> str:
        """The whole name of the module it is planted in."""
        return f"spanbench.{self.module}"


@dataclass(frozen=True, slots=True)
class Counting:
    """The freshly imported modules that a count needs."""

    point: ModuleType
    counted: ModuleType
    census: ModuleType
    pair: ModuleType
    subjects: ModuleType

    def count(self, *, timed: bool) -> None:
        """Count every point as `count` does, or show the model on a real device to be the one counted, as `compare` does."""
        for plain in POINTS:
            at, ids = rebuilt(plain, self.point), ids_of(plain)
            counts = self.counted.count_point(at, ids, progress=_silent)
            if timed:
                self._check_census(at, ids, counts)

    def _check_census(self, at: Any, ids: list[list[int]], counts: Any) -> None:
        pair, ids_BxN = self.pair.build_pair(at), self.subjects.ids_tensor(ids, at.device)
        for regime in at.regimes:
            self.census.check_census(pair, regime, ids_BxN, at, counts)  # without the measurement that follows it


def _silent(_what: str, _done: int, _of: int) -> None:
    """Progress is nothing to a test."""


class _Loader(SourceFileLoader):
    """Loads a module from its file with one text replaced."""

    def __init__(self, error: Planted, path: str) -> None:
        super().__init__(error.target, path)
        self._error = error

    def get_code(self, fullname: str) -> CodeType:
        """Compile the changed source; never what lies compiled in `__pycache__`."""
        source = self.get_data(self.path).decode("utf-8")
        return self.source_to_code(changed(source, self._error).encode("utf-8"), self.path)


def changed(source: str, error: Planted) -> str:
    """Return the source with the error in it; a text that is not there once plants nothing, and the test says so."""
    found = source.count(error.old)
    if found != 1:
        raise LookupError(f"{error.name}: {error.old!r} stands {found} times in {error.target}, not once; plant it anew")
    return source.replace(error.old, error.new)


class _Finder(MetaPathFinder):
    """Finds one module, the one that an error is planted in."""

    def __init__(self, error: Planted) -> None:
        self._error = error

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec of the changed module, and leave all others to Python."""
        if fullname != self._error.target:
            return None
        spec = PathFinder.find_spec(fullname, path)
        assert spec is not None, f"there is no module {fullname}"
        assert spec.origin is not None
        spec.loader = _Loader(self._error, spec.origin)
        return spec


@contextmanager
def planted(error: Planted) -> Iterator[Counting]:
    """Import what counts with the error in it; afterwards everything is as it was."""
    before, package = _modules(), dict(vars(spanbench))  # a submodule is an attribute of its package, too
    finder = _Finder(error)
    _forget(name for name in before if name.split(".")[1] in _AFRESH)
    sys.meta_path.insert(0, finder)
    try:
        names = ("point", "run.counted", "run.census", "model.pair", "run.subjects")
        yield Counting(*(import_module(f"spanbench.{name}") for name in names))
    finally:
        sys.meta_path.remove(finder)
        _forget(_modules())
        sys.modules.update(before)
        vars(spanbench).update(package)


def _modules() -> dict[str, ModuleType]:
    """Return all modules of spanbench that are imported."""
    return {name: module for name, module in sys.modules.items() if name.startswith("spanbench.")}


def _forget(names: Iterable[str]) -> None:
    for name in names:
        del sys.modules[name]


def errors_in(module: str, *rows: tuple[str, str, str, str]) -> list[Planted]:
    """Return the errors of one module from rows of name, old, new, says."""
    return [Planted(name, module, old, new, says) for name, old, new, says in rows]


def identity(error: Planted) -> str:
    """Return the name of an error's test."""
    return f"{error.module}: {error.name}"


def refuse(error: Planted, *, timed: bool = False) -> None:
    """Count with an error planted; one of the two refusals must come, and name what is wrong."""
    with planted(error) as counting, pytest.raises((CountMismatch, UncountedOperation), match=re.escape(error.says) or None):
        counting.count(timed=timed)
