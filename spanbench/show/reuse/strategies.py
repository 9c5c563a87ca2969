"""Tables of the strategies: what each costs once and each query, what is kept, what that sums to, and when it has paid."""

from __future__ import annotations

from collections.abc import Iterator

from spanbench.judge.reuse import BreakEven, Reuse, Strategy
from spanbench.judge.reuse.breakeven import NOT_TOLD
from spanbench.show.blocks import Row, Table
from spanbench.show.reuse.cells import MISSING, ends, figure, many, middle, size
from spanbench.show.reuse.sources import energy_source
from spanbench.units import interval, short

__all__ = ["BASELINE_NAMES", "break_table", "cost_table", "crossover_table", "once_table", "sum_tables", "time_table"]

BASELINE_NAMES = {
    "dense": "dense, no cache",
    "dense-kv-ram": "dense, KV in RAM",
    "dense-kv-disk": "dense, KV on disk",
    "dense-tokens": "dense, tokens",
    "latent": "latent, no store",
    "latent-u": "latent, u",
    "latent-state": "latent, u + mixer KV",
}


CROSSED = {
    ("dense-kv-disk", "dense-tokens"): "dense KV / tokens",
    ("latent-u", "latent"): "u / no store",
    ("latent-state", "latent-u"): "u + mixer KV / u",
    ("latent-state", "latent"): "u + mixer KV / no store",
}
"""What is loaded, and what is computed instead."""

BREAK = "Break-even: fewest queries; (to n): no dearer up to n"
UNTOLD = "~"
"""The ranges of the slots overlap."""


def cost_table(found: Reuse) -> Table:
    """Return FLOPs and bytes of every strategy, by count."""
    columns = ("strategy", "document\nFLOP, once", "query\nFLOP", "kept\nbytes", "read from disk\na query", "moved\na query")
    rows = [
        Row(
            (
                one.label,
                figure(one.once.flops),
                figure(one.query.flops),
                size(one.stored_bytes),
                size(one.read_bytes),
                size(one.query.bytes_moved),
            )
        )
        for one in found.strategies
    ]
    return Table(columns, tuple(rows), "Counted: what each strategy costs once, and each query")


def once_table(found: Reuse) -> Table:
    """Return measured times of reading and keeping the document, and of the first token of the first query (cold)."""
    columns = ("strategy", "document\nonce", "from–to", "query 1:\nfirst token", "from–to")
    return Table(
        columns, tuple(_once(one) for one in found.strategies), "Measured: the document, read and kept; modelled: the first query behind it"
    )


def _once(one: Strategy) -> Row:
    first, both = one.first_token_seconds, one.seconds_range(1)
    cold = MISSING if first is None else short("seconds", first)
    return Row((one.label, middle(one.once.seconds), ends(one.once.seconds), cold, MISSING if both is None else interval("seconds", *both)))


def time_table(found: Reuse) -> Table:
    """Return measured times and joules of each later query (warm), whose first token is all that it wants."""
    columns = ("strategy", "first token", "from–to", "joules", "from–to")
    joules = any(one.query.joules.value is not None for one in found.strategies)
    source = f"; joules {energy_source(found)}" if joules else ""
    title = f"Measured: each later query, medians and ranges of slots{source}"
    return Table(columns, tuple(_warm(one) for one in found.strategies), title)


def _warm(one: Strategy) -> Row:
    seconds, joules = one.query.seconds, one.query.joules
    return Row((one.label, middle(seconds), ends(seconds), middle(joules, "joules"), ends(joules, "joules")))


def sum_tables(found: Reuse) -> Iterator[Table]:
    """Yield what the document and Q queries cost together: FLOPs, and seconds where they were measured."""
    names = tuple(many(count, "query") for count in found.queries)
    flops = [Row((one.label, *(figure(one.flops(count)) for count in found.queries))) for one in found.strategies]
    yield Table(("FLOP", *names), tuple(flops), "Counted: the document and all its queries together")
    if not found.timed:
        return
    sums = [(one.label, [one.seconds(count) for count in found.queries]) for one in found.strategies]
    rows = [Row((label, *(MISSING if value is None else short("seconds", value) for value in values))) for label, values in sums]
    yield Table(("seconds", *names), tuple(rows), "Modelled from the measured medians: once + queries × warm query")


def break_table(found: Reuse) -> Table:
    """Return from how many queries on a strategy is no dearer than a baseline."""
    counted = [one for one in found.break_even if one.quantity == "flops"]
    timed = {(one.strategy, one.baseline): one for one in found.break_even if one.quantity == "seconds"}
    rows = [Row((*_pair(one), _when(one), *((_when(timed[one.strategy, one.baseline]),) if timed else ()))) for one in counted]
    columns = ("strategy", "no dearer than", "in FLOPs", *(("in seconds",) if timed else ()))
    title = f"{BREAK}; ~: too close" if timed else BREAK
    return Table(columns, tuple(rows), title, frozenset({0, 1, 2, 3}))


def _pair(one: BreakEven) -> tuple[str, str]:
    return BASELINE_NAMES[one.strategy], BASELINE_NAMES[one.baseline]


def _when(one: BreakEven) -> str:
    if one.queries is None:
        return _never(one) if one.reason.startswith("never") else UNTOLD if one.reason == NOT_TOLD else MISSING
    if one.low == one.high:  # in FLOPs both are None
        return f"{one.queries:,}"
    return f"{one.queries:,} ({one.low:,}–{one.high:,})"


def _never(one: BreakEven) -> str:
    return f"never (to {figure(one.ahead_through).short})" if one.ahead_through else "never"


def crossover_table(found: Reuse) -> Table:
    """Return the disk bandwidth at which loading and computing take equally long."""
    rate = f"\nat {short('flops', found.rate.flops_per_second)}FLOP/s" if found.rate else ""
    rows = [
        Row((
            CROSSED[one.stored, one.computed],
            size(one.read_bytes),
            figure(one.saved_flops).short,
            MISSING if one.bytes_per_gigaflop is None else f"{short('bytes_compulsory', one.bytes_per_gigaflop)}/GFLOP",
            MISSING if one.bytes_per_second is None else f"{short('bytes_compulsory', one.bytes_per_second)}/s",
        ))
        for one in found.crossovers
    ]  # fmt: skip
    title = "Crossover: from which disk bandwidth on loading is quicker than computing"
    return Table(("load / compute", "load", "FLOP saved", "load for\nwork saved", f"bandwidth{rate}"), tuple(rows), title)
