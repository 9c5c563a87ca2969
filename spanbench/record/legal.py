"""What a single figure of a record may be: its unit, its source, its sign, its ends and its reason."""

from __future__ import annotations

from collections.abc import Mapping

from spanbench.point import Point
from spanbench.record.findings import Audit, place_of
from spanbench.record.models import Measure, Source
from spanbench.units import QUANTITIES, RATIO_PREFIX, quantity

__all__ = ["SUMMED", "audit_row", "sources_of"]

SUMMED = ("flops", "macs", "flops_other", "cells_dense", "cells_useful", "scores_dense", "mlp_rows", "params", "bytes_fused", "state_bytes")
"""What adds up over stages. Compulsory bytes do not: a tensor handed over counts in two stages and in no total."""

_WHOLE = {*SUMMED, "bytes_compulsory"}
_METERED: tuple[Source, ...] = ("measured", "estimated", "modelled")
_SOURCES: Mapping[str, tuple[Source, ...]] = {
    **dict.fromkeys((*SUMMED, "bytes_compulsory", "bytes_per_token"), ("counted",)),
    **dict.fromkeys(("joules", "joules_dynamic", "watts", "null_joules"), _METERED),
    "grams_co2e": ("estimated", "modelled"),
    **dict.fromkeys(("joules_floor", "joules_arithmetic", "joules_memory", "memory_share", "joules_board"), ("modelled",)),
    **dict.fromkeys(("roofline_seconds", "roofline_fraction"), ("modelled",)),
}
_BELOW_ZERO = ("joules_dynamic",)
"""A slot may have drawn less than the machine at rest."""


def sources_of(name: str) -> tuple[Source, ...]:
    """Return the sources that a quantity, or a ratio of it, can have. What is in no list is a reading of a clock or of memory."""
    return _SOURCES.get(name.removeprefix(RATIO_PREFIX), ("measured",))


def audit_row(row: Measure, point: Point, audit: Audit) -> None:
    """Check one figure by itself; of an unknown quantity nothing else can be said."""
    known = row.quantity.removeprefix(RATIO_PREFIX) in QUANTITIES
    audit.hold("names", place_of(row), known, row.quantity, "a known quantity")
    if not known:
        return
    _names(row, point, audit)
    sources = sources_of(row.quantity)
    audit.hold("sources", place_of(row, "source"), row.source in sources, row.source, " or ".join(sources))
    _value(row, audit)
    _reason(row, audit)


def _names(row: Measure, point: Point, audit: Audit) -> None:
    audit.same("names", place_of(row, "unit"), row.unit, quantity(row.quantity).unit)
    audit.hold("names", place_of(row, "regime"), row.regime in point.regimes, row.regime, " or ".join(point.regimes))
    whole = point.steps(row.regime)
    steps = (whole,) if row.source == "counted" else tuple(dict.fromkeys((1, whole)))
    audit.hold("names", place_of(row, "steps"), row.steps in steps, row.steps, " or ".join(map(str, steps)))
    of_pair = row.quantity.startswith((RATIO_PREFIX, "null_"))
    audit.hold("names", place_of(row, "arm"), (row.arm == "pair") == of_pair, row.arm, "pair" if of_pair else "token or latent")


def _value(row: Measure, audit: Audit) -> None:
    """Exact figures are integers (bytes_per_token only where it divides), and what is noisy lies between its ends."""
    if row.value is None:
        return
    whole = row.quantity in _WHOLE
    fitting = isinstance(row.value, int) or not whole
    above = row.value >= 0 or row.quantity.removeprefix(RATIO_PREFIX) in _BELOW_ZERO
    audit.hold("values", place_of(row), fitting and above, row.value, "a whole number from 0" if whole else "0 or more")
    if row.low is not None and row.high is not None:
        audit.hold("intervals", place_of(row), row.low <= row.value <= row.high, row.value, f"{row.low!r} … {row.high!r}")


def _reason(row: Measure, audit: Audit) -> None:
    """A null has a reason and no ends; a count has no ends, and a reason only where it is null; ends come in twos."""
    ends, bare = [end for end in (row.low, row.high) if end is not None], row.value is None or row.source == "counted"
    audit.hold("reasons", place_of(row, "ends"), len(ends) == (0 if bare else len(ends) // 2 * 2), ends, "none" if bare else "both or none")
    if bare:
        audit.hold("reasons", place_of(row, "reason"), (row.reason is None) == (row.value is not None), row.reason, "one, of a null alone")
