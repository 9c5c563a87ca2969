"""What a section draws beside its series: FLOPs by stage, and each arm under the limits that its own runs measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, cast

from spanbench.point import ALL_REGIMES
from spanbench.show.report.reading.digest import Digest
from spanbench.show.report.reading.figures import Number, Place
from spanbench.show.report.sections.alike import Alike, said_in
from spanbench.show.report.summary import ARMS, Bars, Limits, Roof

__all__ = ["bars_of", "roofs_of"]

_STAGES = ("embedding", "encoder", "mixer", "bridge", "decoder", "layers", "head")
_UNDER = ("flops", "bytes_compulsory", "seconds")
"""What a mark under the limits is made of."""


def bars_of(digests: Sequence[Digest]) -> Iterator[Bars]:
    """Yield FLOPs by stage; records of one N have the same, and give one."""
    seen: dict[tuple[Any, ...], Bars] = {}
    alike = {(d.tokens, d.point["generate"], tuple(d.point["regimes"])): d for d in reversed(digests)}  # the first of each
    for d in alike.values():
        pairs = zip(d.figures.places, d.figures.values, strict=True)
        flops = {(p.arm, p.regime, p.stage): value for p, value in pairs if p.quantity == "flops"}
        for (arm, regime, stage), total in flops.items():
            if stage == "total" and total is not None:
                stages = tuple((name, int(value)) for name in _STAGES if (value := flops.get((arm, regime, name))))
                said = said_in(regime, int(d.point["generate"]))
                place = (ALL_REGIMES.index(cast("Any", regime)), d.tokens, ARMS.index(arm), said or 0)
                seen.setdefault(place, Bars(arm, regime, d.tokens, stages, int(total), said))
    yield from (seen[place] for place in sorted(seen))


def roofs_of(groups: Sequence[Alike]) -> Iterator[Roof]:
    """Yield the marks under the limits, in the order of their records; only executed FLOPs have a place there."""
    found: list[tuple[int, Roof]] = []
    for group in groups:
        columns = list(_columns(group.places))
        for order, record in group.records if columns else ():
            limits = _limits(record.environment.get("limits"))
            if limits is not None and record.setup.convention == "dense":
                found += [(order, roof) for where, at in columns for roof in _roof(record, limits, where, at)]
    yield from (roof for _, roof in sorted(found, key=itemgetter(0)))


def _columns(places: Sequence[Place]) -> Iterator[tuple[tuple[str, str], Sequence[int | None]]]:
    """Yield where the figures of each arm and regime that has seconds stand: those of `_UNDER`, and the fraction."""
    at = {(p.arm, p.regime, p.quantity): column for column, p in enumerate(places) if p.stage == "total"}
    for arm, regime, quantity in at:
        if quantity == "seconds":
            yield (arm, regime), [at.get((arm, regime, name)) for name in (*_UNDER, "roofline_fraction")]


def _roof(record: Digest, limits: Limits, where: tuple[str, str], columns: Sequence[int | None]) -> Iterator[Roof]:
    flops, moved, took, fraction = (_at(record.figures.values, column) for column in columns)
    if flops and moved and took:
        yield Roof(*where, record.tokens, flops / moved, flops / took, fraction, limits, record.id)


def _at(values: Sequence[Number], column: int | None) -> Number:
    return None if column is None else values[column]


def _limits(found: Any) -> Limits | None:
    if not isinstance(found, Mapping):
        return None
    rate, memory = found.get("flops_per_second"), found.get("bandwidth") or {}
    if not rate or not memory.get("bytes_per_second"):
        return None
    return Limits(rate, memory["bytes_per_second"], memory.get("cached_bytes_per_second"), memory.get("cache_bytes"))
