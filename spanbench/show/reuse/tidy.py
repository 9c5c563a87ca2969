"""Every figure of `reuse` as one row: whose it is, what it is, its value, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spanbench.judge.reuse import Choice, Cost, Reuse, Strategy
from spanbench.judge.stats import Estimate
from spanbench.show.reuse.cells import many
from spanbench.show.reuse.sources import FIELDS, energy_source

__all__ = ["tidy"]


def tidy(found: Reuse) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of one point."""
    point = found.point
    where = {
        "preset": point["preset"], "allocation": point["allocation"], "tokens": point["tokens"], "span": point["span"],
        "query_tokens": found.query_tokens,
    }  # fmt: skip
    yield from (where | row for row in _rows(found))


def _row(
    table: str, name: str, quantity: str, value: float | None, *, against: str = "", source: str = "counted", reason: str | None = None
) -> dict[str, Any]:
    return {
        "table": table, "name": name, "against": against, "quantity": quantity, "value": value, "low": None, "high": None,
        "source": source, "reason": reason,
    }  # fmt: skip


def _rows(found: Reuse) -> Iterator[dict[str, Any]]:
    for strategy in found.strategies:
        yield from _strategy(strategy, found)
    for even in found.break_even:
        source = "counted" if even.quantity == "flops" else "modelled"
        yield _row(
            "break_even", even.strategy, f"queries:{even.quantity}", even.queries, against=even.baseline, source=source, reason=even.reason
        ) | {"low": even.low, "high": even.high}
        yield _row(
            "break_even", even.strategy, f"ahead_through:{even.quantity}", even.ahead_through, against=even.baseline, source=source,
            reason=None if even.ahead_through else "it is told only where each query costs more, and the first few do not",
        )  # fmt: skip
    for cross in found.crossovers:
        yield _row("crossover", cross.stored, "read_bytes", cross.read_bytes, against=cross.computed)
        yield _row("crossover", cross.stored, "saved_flops", cross.saved_flops, against=cross.computed)
        yield _row(
            "crossover",
            cross.stored,
            "bytes_per_second",
            cross.bytes_per_second,
            against=cross.computed,
            source="modelled",
            reason=cross.reason,
        )
    yield from _document(found)


def _strategy(one: Strategy, found: Reuse) -> Iterator[dict[str, Any]]:
    yield _row("strategy", one.name, "stored_bytes", one.stored_bytes)
    yield _row("strategy", one.name, "read_bytes", one.read_bytes)
    yield _row("strategy", one.name, "disk_bytes", one.disk_bytes, source="measured", reason=one.disk_reason)
    for part, cost in (("once", one.once), ("query", one.query)):
        yield from _cost(one.name, part, cost, energy_source(found))
    for count in found.queries:
        yield _row("strategy", one.name, f"flops after {count}", one.flops(count))
        low, high = one.seconds_range(count) or (None, None)
        row = _row("strategy", one.name, f"seconds after {count}", one.seconds(count), source="modelled", reason=_why(one, count))
        yield row | {"low": low, "high": high}


def _why(one: Strategy, count: int) -> str | None:
    return None if one.seconds(count) is not None else one.query.seconds.reason or one.once.seconds.reason


def _cost(name: str, part: str, cost: Cost, energy: str) -> Iterator[dict[str, Any]]:
    yield _row("strategy", name, f"{part}:flops", cost.flops)
    yield _row("strategy", name, f"{part}:bytes_moved", cost.bytes_moved)
    yield _row("strategy", name, f"{part}:weight_bytes", cost.weight_bytes)
    yield _estimate(name, f"{part}:seconds", cost.seconds, "measured")
    yield _estimate(name, f"{part}:joules", cost.joules, energy)


def _estimate(name: str, quantity: str, found: Estimate, source: str) -> dict[str, Any]:
    row = _row("strategy", name, quantity, found.value, source=source, reason=found.reason)
    return row | {"low": found.low, "high": found.high}


def _document(found: Reuse) -> Iterator[dict[str, Any]]:
    for edit in found.edits:
        for quantity in ("position", *FIELDS["edits"]):
            yield _row("edit", edit.name, quantity, getattr(edit, quantity))
    for composed in found.compositions:
        for quantity in FIELDS["compositions"]:
            yield _row("composition", many(composed.documents, "document"), quantity, getattr(composed, quantity))
    for choice in found.choices:
        yield from _choice(choice)
    for memory in found.memory:
        yield _row("memory", memory.name, "bytes", memory.bytes)
        yield _row("memory", memory.name, "disk_bytes", memory.disk_bytes, source="measured", reason=memory.reason)


def _choice(choice: Choice) -> Iterator[dict[str, Any]]:
    for quantity, source in FIELDS["choices"].items():
        value = getattr(choice, quantity)
        told = int(value) if isinstance(value, bool) else value
        reason = choice.reason if value is None else None
        yield _row("choice", many(choice.latents, "latent"), quantity, told, source=source, reason=reason)
