"""A grid: for each key of a request the values it takes; their product, or the union of several products, is what is run."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from spanbench.errors import UsageError, suggest
from spanbench.presets import check_override
from spanbench.request import Request, point_of
from spanbench.sweep.values import batches, names, wholes

__all__ = ["AXES", "Grid", "overrides_of", "read_grids"]

# From the outermost to the innermost: one model's prompts of increasing length come one after another.
AXES = ("preset", "allocation", "dtype", "device", "seed", "generate", "batch", "span", "tokens")
"""Keys that may take several values, beside the sizes of `--set`."""

_SINGLE = ("prompt", "tokenizer", "convention")
"""Keys of one value, or none: two conventions or two prompts are two sweeps."""

_WHOLES = frozenset({"tokens", "span", "seed", "generate"})


@dataclass(frozen=True, slots=True)
class Grid:
    """Values of each axis, sizes with their values, and what all points share. An axis that is not named has its default."""

    axes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    sizes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Overrides of the shape, see `spanbench.presets.override_keys`."""
    shared: Mapping[str, Any] = field(default_factory=dict)
    """`prompt`, `tokenizer`, `convention` and `regimes`, which are all of one record."""

    @classmethod
    def of(cls, where: str = "--", **given: Any) -> Grid:
        """Return the grid of keys as options give them: text or lists; None is not given.

        Raises:
            UsageError: an unknown key, or a value that cannot be.
        """
        known = {key: value for key, value in given.items() if value is not None}
        for key in known:
            if key not in {*AXES, *_SINGLE, "regimes", "shape"}:
                raise UsageError(f"{where}{key}: unknown key{suggest(key, (*AXES, *_SINGLE, 'regime', 'shape'))}")
        axes = {key: _values(f"{where}{key}", key, known[key]) for key in AXES if key in known}
        shared = {key: _one(f"{where}{key}", known[key]) for key in _SINGLE if key in known}
        regimes = {"regimes": tuple(names(f"{where}regime", known["regimes"]))} if "regimes" in known else {}
        for key, value in {**shared, **regimes}.items():
            _check(f"{where}{key}", key, value)
        return cls(axes, _sizes(where, known.get("shape", {})), {**shared, **regimes})

    @property
    def points(self) -> int:
        """The number of points, duplicates and impossible ones included; `len` would end at 2^63."""
        return prod(map(len, (*self.axes.values(), *self.sizes.values())))

    def over(self, other: Grid) -> Grid:
        """Return this grid with what `other` names put in its place: flags win over a file."""
        return Grid({**self.axes, **other.axes}, {**self.sizes, **other.sizes}, {**self.shared, **other.shared})

    def requests(self) -> Iterator[Request]:
        """Yield one request for each combination, the last axis of `AXES` changing fastest."""
        axes = {key: self.axes[key] for key in AXES if key in self.axes}
        for sizes in _combinations(self.sizes):
            for values in _combinations(axes):
                yield Request().with_flags(**self.shared, **values, shape=sizes)


def _combinations(axes: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for values in product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _values(option: str, key: str, given: Any) -> list[Any]:
    values: list[Any]
    if key == "batch":
        values = list(batches(option, given))
    else:
        values = list(wholes(option, given)) if key in _WHOLES else list(names(option, given))
    ends = (min(values), max(values)) if key in _WHOLES else values  # a million seeds are right if both ends are
    for value in dict.fromkeys(ends):
        _check(option, key, value)
    return values


def _check(option: str, key: str, value: Any) -> None:
    """Refuse a value that no point can have: it is a slip, where two values that do not go together are only left out.

    Raises:
        UsageError: what is wrong with it.
    """
    if value == 0 and key != "seed":
        raise UsageError(f"{option} 0: must be at least 1")
    if key not in {"tokens", "batch", "generate", "prompt", "tokenizer"}:  # sizes and files are checked with the points
        point_of(Request(**{"preset": "tiny", "tokens": 1, "span": 1, key: value}))


def _one(option: str, given: Any) -> str:
    if not isinstance(given, str):
        raise UsageError(f"{option} {given!r}: is one value for a whole sweep, given as text")
    return given


def _sizes(where: str, shape: Any) -> dict[str, list[Any]]:
    if not isinstance(shape, Mapping):
        raise UsageError(f"{where}shape = {shape!r}: is not a table; put sizes below a line [shape]")
    flat: dict[str, Any] = {}
    for key, value in shape.items():
        flat |= {f"{key}.{name}": inner for name, inner in value.items()} if isinstance(value, Mapping) else {key: value}
    told = "--set" if where == "--" else f"{where}shape"
    return {key: list(dict.fromkeys(check_override(key, one, told) for one in _listed(value))) for key, value in flat.items()}


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else [value]


def overrides_of(items: Sequence[str]) -> dict[str, list[str]]:
    """Turn 'carry=0,8' items of --set into a mapping of keys and their texts.

    Raises:
        UsageError: not KEY=VALUE.
    """
    found: dict[str, list[str]] = {}
    for item in items:
        key, equals, value = (part.strip() for part in item.partition("="))
        if not (key and equals and value):
            raise UsageError(f"--set {item!r}: must be KEY=VALUE or KEY=VALUE,VALUE, for example carry=0,8")
        found.setdefault(key, []).extend(_listed(value))
    return found


def read_grids(path: str) -> list[Grid]:
    """Read a TOML file: keys as the options are named, with lists; the points of several [[grid]] tables are put together.

    Keys above the tables hold for all of them.

    Raises:
        UsageError: a missing or broken file, an unknown key, a value that cannot be.
    """
    where = f"--grid {path!r}"
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{where}: cannot be read ({error.strerror}); give a TOML file") from None
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, a null character in the name, or nested too deeply
        raise UsageError(f"{where}: is not TOML ({error})") from None
    tables = data.pop("grid", [{}])
    if not (isinstance(tables, list) and tables and all(isinstance(table, dict) for table in tables)):
        raise UsageError(f"{where}: grid is no list of tables; begin each with a line [[grid]]")
    common = _toml(where, data)
    return [common.over(_toml(where, table)) for table in tables]


def _toml(where: str, table: Mapping[str, Any]) -> Grid:
    if "regimes" in table:
        raise UsageError(f"{where}: regimes: unknown key — did you mean 'regime'?")
    renamed = {"regimes" if key == "regime" else key: value for key, value in table.items()}
    return Grid.of(f"{where}: ", **renamed)
