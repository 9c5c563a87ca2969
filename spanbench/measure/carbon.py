"""Grams of CO2 equivalent, only when asked for: joules times the intensity of a country's electricity, or one that is given.

Nothing is looked up on a network: a country's intensity comes from the table that CodeCarbon ships, read as the plain
JSON that it is, without importing CodeCarbon. It is a yearly mean of a whole grid, not of this hour or this socket.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from spanbench.errors import UsageError, suggest

__all__ = ["Carbon", "parse_carbon"]

_TABLE = Path("data", "private_infra", "global_energy_mix.json")
_EXAMPLES = "a country such as FRA, or an intensity such as '56 g/kWh'"
_INTENSITY = re.compile(r"(?P<number>[-+]?[\w.+-]*?)\s*(?P<mass>k?g)\s*(?:co2(?:e|eq)?)?\s*/\s*(?P<energy>[km]wh)", re.IGNORECASE)
_GRAMS = {"g": 1.0, "kg": 1e3}
_JOULES = {"kwh": 3.6e6, "mwh": 3.6e9}
_MOST = 10_000.0  # g/kWh: the dirtiest grid is near 1300, so more than this is a slip of the unit


@dataclass(frozen=True, slots=True)
class Carbon:
    """An intensity in grams of CO2 equivalent per joule, and where it is from."""

    grams_per_joule: float
    by: str

    def grams(self, joules: float | None) -> float | None:
        """Return the grams of CO2 equivalent of these joules, or None where the joules are not known."""
        return None if joules is None else self.grams_per_joule * joules


def parse_carbon(given: str) -> Carbon:
    """Read what `--co2` takes: '56 g/kWh', '0.2 kg/kWh', 'FRA' or 'France', in any case.

    Raises:
        UsageError: there is no such country, its intensity is not known, or the number is negative or no number.
    """
    text = given.strip()
    match = _INTENSITY.fullmatch(text)
    if match is not None:
        return _intensity(match, given)
    if _is_number(text):
        raise UsageError(f"--co2: {given!r} has no unit; give {_EXAMPLES}")
    return _country(text)


def _intensity(match: re.Match[str], given: str) -> Carbon:
    number = match["number"]
    if not _is_number(number):
        raise UsageError(f"--co2: {number!r} in {given!r} is not a number; give {_EXAMPLES}")
    per_joule = float(number) * _GRAMS[match["mass"].lower()] / _JOULES[match["energy"].lower()]
    per_kwh = per_joule * _JOULES["kwh"]
    if not (math.isfinite(per_kwh) and 0 <= per_kwh <= _MOST):
        raise UsageError(f"--co2: an intensity must be between 0 and {_MOST:,.0f} g/kWh, got {given!r}")
    return Carbon(per_joule, f"{per_kwh:g} g/kWh, as given")


def _country(given: str) -> Carbon:
    table = _table()
    names = {str(entry.get("country_name", code)).lower(): code for code, entry in table.items()}
    entry = table.get(given.upper()) or table.get(names.get(given.lower(), ""))
    if entry is None:
        raise UsageError(f"--co2: unknown value {given!r}{_hint(given, [*names, *(code.lower() for code in table)])}")
    name, year, per_kwh = entry.get("country_name", given), entry.get("year", "of unknown year"), entry.get("carbon_intensity")
    # The table has 0 for a grid that it knows nothing of: no grid's whole life is free of carbon.
    if not (isinstance(per_kwh, int | float) and math.isfinite(per_kwh) and 0 < per_kwh <= _MOST):
        raise UsageError(f"--co2: the intensity of {name} is not known (the table has {per_kwh}); give it, such as '56 g/kWh'")
    return Carbon(per_kwh / _JOULES["kwh"], f"{per_kwh:g} g/kWh, {name} {year}, table of CodeCarbon {_version()}")


def _hint(given: str, known: list[str]) -> str:
    """Return the nearest country, or how to give one: a list of two hundred helps nobody."""
    if len(given) == 2:
        return f": countries have codes of three letters here; give {_EXAMPLES}"
    near = suggest(given, known)
    return near if "did you mean" in near else f"; give {_EXAMPLES}"


def _table() -> Mapping[str, Mapping[str, Any]]:
    """Return CodeCarbon's table by ISO 3166 alpha-3 code.

    Raises:
        UsageError: CodeCarbon or its table is not there, or cannot be read.
    """
    spec = find_spec("codecarbon")
    folders = spec.submodule_search_locations if spec is not None else None
    if not folders:
        raise UsageError("--co2: a country needs the table of CodeCarbon, which is not installed; give an intensity such as '56 g/kWh'")
    path = Path(folders[0], _TABLE)
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--co2: CodeCarbon's table cannot be read ({error}); give an intensity such as '56 g/kWh'") from error
    if not isinstance(table, dict):
        raise UsageError(f"--co2: {path.name} is not a table of countries; give an intensity such as '56 g/kWh'")
    return {code: entry for code, entry in table.items() if isinstance(entry, dict)}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # half of this module's import time

    try:
        return version("codecarbon")
    except PackageNotFoundError:
        return "of unknown version"
