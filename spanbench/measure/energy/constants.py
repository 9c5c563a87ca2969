"""The published constants behind the modelled meter, read from `constants.toml`: each with its interval and its source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

__all__ = ["CPU", "Board", "Checked", "Constant", "Constants", "load"]

Checked = Literal["paper", "second hand", "derived", "judgement"]
"""How far a constant was checked against its source; `constants.toml` says what each word means."""

CPU = "cpu"
"""The device that stands for a server CPU of any model; every other device is named as its driver names it."""

_FILE = Path(__file__).with_name("constants.toml")
_JOULES = 1e-12  # of a picojoule: the file is in the unit that papers print, the package in base units
_SHARE = "share"
_SLICE = frozenset({"mig"})  # a slice of a board has neither the board's watts nor its peak


@dataclass(frozen=True, slots=True)
class Constant:
    """One constant in base units (J/FLOP, J/B, or a share), the interval it is known within, and where it is from."""

    value: float
    low: float
    high: float
    unit: str
    """The unit that the file and the paper use, such as pJ/B."""
    citation: str
    checked: Checked
    note: str


@dataclass(frozen=True, slots=True)
class Board:
    """One accelerator: rated watts, and peak FLOP/s by dtype without sparsity."""

    name: str
    match: frozenset[str]
    unless: frozenset[str]
    watts: float
    memory: str
    peak: Mapping[str, float]
    citation: str
    checked: Checked
    note: str

    def fits(self, device: str) -> bool:
        """Return whether a device's name, as its driver gives it, is this board's."""
        words = set(re.findall(r"[a-z0-9]+", device.lower()))
        return self.match <= words and not self.unless & words


@dataclass(frozen=True, slots=True)
class Constants:
    """The whole file."""

    arithmetic: Mapping[str, Constant]
    """J/FLOP of the arithmetic alone, by dtype."""
    memory: Mapping[str, Constant]
    """J/B by kind of memory: hbm, gddr6, ddr."""
    static: Constant
    """Share of a board's rated power that it draws whatever it computes."""
    attained: Constant
    """Share of its peak rate that the best matrix product reaches."""
    cpu: Mapping[str, Constant]
    """J/FLOP of a whole server CPU at its rated power and peak rate, by dtype."""
    boards: tuple[Board, ...]

    def board(self, device: str) -> Board | None:
        """Return the board of that name, or None."""
        return next((board for board in self.boards if device == board.name or board.fits(device)), None)

    def devices(self) -> tuple[str, ...]:
        """Return the names that `rated` knows."""
        return (CPU, *(board.name for board in self.boards))

    def rated(self, dtype: str, device: str) -> Constant | str:
        """Return the J/FLOP of a whole device at its rated power and peak rate, or the reason why it is not known."""
        if device == CPU:
            return self.cpu.get(dtype) or f"no peak {dtype} rate of a server CPU is in the table; known: {', '.join(self.cpu)}"
        board = self.board(device)
        if board is None:
            return f"no board named {device!r} is in the table; known: {', '.join(self.devices())}"
        if dtype not in board.peak:
            return f"no peak {dtype} rate of the {board.name} is in the table; known: {', '.join(board.peak)}"
        each = board.watts / board.peak[dtype]
        return Constant(each, each, each, "pJ/FLOP", f"{board.citation}: {board.name}", board.checked, board.note)


@lru_cache(maxsize=1)
def load() -> Constants:
    """Return the constants of the package's data file, read once."""
    import tomllib  # a third of the whole package's import time, for a file that few commands need

    raw = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    cited = raw["citations"]
    return Constants(
        arithmetic=_table(raw["arithmetic"], cited),
        memory=_table(raw["memory"], cited),
        static=_constant(raw[_SHARE]["static"], cited),
        attained=_constant(raw[_SHARE]["attained"], cited),
        cpu=_table(raw["cpu"], cited),
        boards=tuple(_board(entry, cited) for entry in raw["board"]),
    )


def _table(raw: Mapping[str, Any], cited: Mapping[str, str]) -> Mapping[str, Constant]:
    return {name: _constant(entry, cited) for name, entry in raw.items()}


def _constant(raw: Mapping[str, Any], cited: Mapping[str, str]) -> Constant:
    """Return one constant in base units.

    Raises:
        ValueError: its value is outside its own interval, or it is not positive.
    """
    if not 0 < raw["low"] <= raw["value"] <= raw["high"]:
        raise ValueError(f"constants.toml: {raw} must have 0 < low <= value <= high")
    unit: str = raw["unit"]
    scale = 1.0 if unit.startswith(_SHARE) else _JOULES
    value, low, high = (scale * raw[end] for end in ("value", "low", "high"))
    return Constant(value, low, high, unit, cited[raw["source"]], raw["checked"], raw["note"])


def _board(raw: Mapping[str, Any], cited: Mapping[str, str]) -> Board:
    return Board(
        name=raw["name"],
        match=frozenset(raw["match"]),
        unless=frozenset(raw.get("unless", ())) | _SLICE,
        watts=float(raw["watts"]),
        memory=raw["memory"],
        peak=raw["peak"],
        citation=cited[raw["source"]],
        checked=raw["checked"],
        note=raw["note"],
    )
