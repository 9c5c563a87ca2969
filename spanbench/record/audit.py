"""What a record says, held against itself: its environment, every figure by itself, ratios and sums."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from spanbench.point import Point
from spanbench.record.findings import Audit, Place, place_of
from spanbench.record.legal import SUMMED, audit_row
from spanbench.record.models import Measure, Record, weakest
from spanbench.units import RATIO_PREFIX

__all__ = ["KNOWN", "OVER_BLOCKS", "REQUIRED", "audit_record"]

REQUIRED = ("time_utc", "os", "python", "packages", "commit", "cpu", "memory", "torch", "device", "prompt")
"""What the environment of every record names; null where it could not be found out."""
KNOWN = ("time_utc", "python", "packages", "prompt")
"""Of these, what can always be found out. Of the packages, spanbench and torch."""
MEASURED_TOO = ("schedule",)
"""What a record with measured figures names besides: the order of the slots."""

OVER_BLOCKS = ("seconds", "joules", "joules_dynamic", "first_token_seconds")
"""Whose ratio is the median over paired blocks. Every other ratio is the quotient of the two figures beside it."""
FIRST_QUOTIENTS = ("tokens_per_second", "step_seconds_p50", "step_seconds_p90", "step_seconds_max", "edge_jitter")
"""Whose ratio is a median over blocks too, with an interval or the reason for none; the first records have bare quotients."""

_ROUNDING = 1e-9
"""Relative: a geometric mean of equal numbers is not one of them to the last bit."""


def audit_record(record: Record, point: Point, audit: Audit) -> None:
    """Hold a record against itself; nothing is derived from its point but the regimes and their steps."""
    _environment(record, audit)
    places = Counter(place_of(row) for row in record.measures)
    for row in record.measures:
        audit.hold("names", place_of(row, "rows"), places[place_of(row)] == 1, places[place_of(row)], 1)
        audit_row(row, point, audit)
    found = {place_of(row): row for row in record.measures}
    for row in record.measures:
        if row.quantity.startswith(RATIO_PREFIX):
            _ratio(row, found, audit)
    _sums(found, audit)
    _per_token(found, point, audit)


# ---- the environment ------------------------------------------------------------------------------------------------


def _environment(record: Record, audit: Audit) -> None:
    said, absent = record.environment, "missing"
    ran = any(row.quantity == "seconds" and row.value is not None for row in record.measures)
    for name in (*REQUIRED, *(MEASURED_TOO if ran else ())):
        ok = name in said and (said[name] is not None or name not in (*KNOWN, *MEASURED_TOO))
        audit.hold("environment", Place(name), ok, said.get(name, absent), "known" if name in KNOWN else "named")
    packages = said.get("packages")
    for name in ("spanbench", "torch"):
        version = packages.get(name) if isinstance(packages, dict) else None
        audit.hold("environment", Place(f"packages.{name}"), isinstance(version, str), version or absent, "a version")
    audit.hold("environment", Place("time_utc"), _is_time(said.get("time_utc")), said.get("time_utc", absent), "a time with its zone")


def _is_time(text: Any) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except (TypeError, ValueError):
        return False


# ---- figures beside one another -------------------------------------------------------------------------------------


def _ratio(row: Measure, found: Mapping[Place, Measure], audit: Audit) -> None:
    name, place = row.quantity.removeprefix(RATIO_PREFIX), place_of(row)
    token, latent = (found.get(Place(name, arm, row.regime, row.stage)) for arm in ("token", "latent"))
    if token is None or latent is None:
        audit.hold("ratios", place, False, row.value, f"{name} of both arms beside it")
        return
    if name in OVER_BLOCKS or (name in FIRST_QUOTIENTS and (row.low is not None or row.reason is not None)):
        _between(row, token, latent, audit)
        return
    quotient = token.value / latent.value if token.value is not None and latent.value else None
    audit.same("ratios", place, row.value, quotient)
    source = weakest((token.source, latent.source))
    audit.hold("ratios", place_of(row, "source"), row.source == source, row.source, source)


def _between(row: Measure, token: Measure, latent: Measure, audit: Audit) -> None:
    """A block's ratio, and so their median, lies between the ratios of the arms' extreme slots."""
    ends = (token.low, token.high, latent.low, latent.high)
    if row.value is None:
        return
    if row.quantity.endswith("_dynamic") or None in ends or not (latent.low and latent.high):
        audit.leave("ratios", "a median over blocks whose arms have no range that bounds it")
        return
    low, high = (token.low or 0) / latent.high, (token.high or 0) / latent.low
    ok = low * (1 - _ROUNDING) <= row.value <= high * (1 + _ROUNDING)
    audit.hold("ratios", place_of(row), ok, row.value, f"{low!r} … {high!r}")


def _sums(found: Mapping[Place, Measure], audit: Audit) -> None:
    parts: dict[Place, list[int | float | None]] = defaultdict(list)
    for place, row in found.items():
        if place.stage != "total" and place.quantity in SUMMED and not (row.value is None and _is_empty(place, found)):
            parts[replace(place, stage="total")].append(row.value)
    for place, values in parts.items():
        known = [value for value in values if value is not None]
        total = found.get(place)
        wanted = sum(known) if len(known) == len(values) else None
        audit.same("sums", place, None if total is None else total.value, wanted)


def _is_empty(place: Place, found: Mapping[Place, Measure]) -> bool:
    """Tell whether a stage has neither weights nor work, as the bridge where cross-attention takes its place."""
    rows = (found.get(replace(place, quantity=name)) for name in ("params", "flops", "bytes_fused"))
    return all(row is not None and row.value == 0 for row in rows)


def _per_token(found: Mapping[Place, Measure], point: Point, audit: Audit) -> None:
    """Hold decode's bytes a token against its bytes: a whole number where they divide, a quotient elsewhere."""
    tokens = point.span * point.batch
    for place, row in found.items():
        whole = found.get(Place("bytes_compulsory", place.arm, place.regime, place.stage))
        if place.quantity == "bytes_per_token":
            value = None if whole is None or whole.value is None else whole.value
            share = value // tokens if value is not None and value % tokens == 0 else value / tokens if value is not None else None
            audit.same("sums", place, row.value, share)
