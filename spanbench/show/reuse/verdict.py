"""What the figures say, in sentences: also where the dense arm with its cache wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from spanbench.judge.reuse import Reuse, Strategy, overlap
from spanbench.judge.stats import Estimate
from spanbench.show.reuse.cells import many
from spanbench.units import interval, ratio_text, short

__all__ = ["sentences"]

ALIKE = 0.1
"""Costs less than a tenth apart are called about the same."""

MAINLY = 0.5
"""A share above which a part is most of it."""


def sentences(found: Reuse) -> Iterator[str]:
    """Yield the verdict: which strategy is cheapest for how many queries, by each measure, and what u alone costs."""
    for count in found.queries:
        yield f"For {many(count, 'query')}: fewest FLOPs with {_flops(found, count)}{_seconds(found, count)}."
    yield from _u_alone(found)
    yield from _state(found)
    yield from _won_by_dense(found)
    yield _reuse_itself(found)
    yield _bytes(found)
    yield from _composed(found)
    yield from _on_disk(found)
    yield from _sparse(found)


def _least(strategies: Sequence[Strategy], value: Callable[[Strategy], int | float | None]) -> tuple[list[Strategy], int | float]:
    known = [(one, cost) for one in strategies if (cost := value(one)) is not None]
    least = min(cost for _, cost in known)
    return [one for one, cost in known if cost == least], least


def _flops(found: Reuse, count: int) -> str:
    best, value = _least(found.strategies, lambda one: one.flops(count))
    kv = found.strategy("dense-kv-ram").flops(count)
    return f"{_names(best)} ({short('flops', value)}; dense with KV {short('flops', kv)})"


def _seconds(found: Reuse, count: int) -> str:
    if not found.timed:
        return ""
    best, value = _least(found.strategies, lambda one: one.seconds(count))
    near = [one for one in found.strategies if one not in best and _overlap(one.seconds_range(count), best[0].seconds_range(count))]
    kv = found.strategy("dense-kv-ram")
    kv_seconds = kv.seconds(count)
    beside = "" if kv_seconds is None or kv in (*best, *near) else f"; dense with KV in RAM {short('seconds', kv_seconds)}"
    told = f", least time with {_names(best)} ({short('seconds', value)}{beside})"
    return f"{told}, about the same (ranges overlap) with {_names(near)}" if near else told


def _overlap(first: tuple[float, float] | None, second: tuple[float, float] | None) -> bool:
    return first is not None and second is not None and overlap(first, second)


def _names(strategies: Sequence[Strategy]) -> str:
    return " and ".join(f"“{one.label}”" for one in strategies)


def _u_alone(found: Reuse) -> Iterator[str]:
    u, kv = found.strategy("latent-u"), found.strategy("dense-kv-ram")
    if found.point["tokens"] < found.point["span"] or not kv.query.flops:
        return
    share = u.query.flops / kv.query.flops
    smaller = ratio_text(kv.stored_bytes / u.stored_bytes)
    flops = short("flops", u.query.flops)
    yield f"With u alone the mixer runs again in each query: {flops} FLOP, {_against(share)}, in a {smaller} smaller store."


def _against(share: float) -> str:
    """Say how a query from u compares with one behind the dense arm's cache; where dense wins, that it wins."""
    if abs(share - 1) < ALIKE:
        return f"about as many as dense with KV ({ratio_text(share)})"
    if share > 1:
        return f"{ratio_text(share)} as many as dense with KV"
    return f"{ratio_text(1 / share)} fewer than dense with KV"


def _state(found: Reuse) -> Iterator[str]:
    """Say what a warm query costs of its cold one, and in plain words where that is more than a tenth."""
    state = found.strategy("latent-state")
    cold, warm = state.cold_flops, state.query.flops
    figures = f"{short('flops', warm)} of {short('flops', cold)}"
    text = f"Behind stored mixer KV a warm query costs 1/{cold / warm:.1f} of its cold FLOPs ({figures})"
    if 10 * warm <= cold:
        yield f"{text}."
        return
    why = ": the document is shorter than ten queries" if found.point["tokens"] < 10 * found.query_tokens else ""
    yield f"{text}, which is more than a tenth{why}."


def _won_by_dense(found: Reuse) -> Iterator[str]:
    """Say where the dense arm behind its own cache wins: on a query, or on an edit."""
    kv = found.strategy("dense-kv-ram")
    latents = [one for one in found.strategies if one.arm == "latent"]
    dearer = {
        "FLOPs": [one for one in latents if one.query.flops > kv.query.flops],
        "time": [one for one in latents if _slower(one, kv)],
    }
    alike = [one for one in latents if _overlap(_range(one), _range(kv))]
    for measure, losers in dearer.items():
        if losers:
            yield f"Dense with KV in RAM wins on each later query in {measure} against {_names(losers)}."
    if alike:
        yield f"A later query takes about the same time (ranges overlap) with dense, KV in RAM as with {_names(alike)}."
    edits = [one.name for one in found.edits if one.flops_kv < one.flops_state]
    if edits:
        yield f"Dense with KV wins on edits in FLOPs, against u + mixer KV: {'; '.join(edits)}."


def _slower(one: Strategy, other: Strategy) -> bool:
    mine, others = _range(one), _range(other)
    return mine is not None and others is not None and mine[0] >= others[1] and mine != others


def _range(one: Strategy) -> tuple[float, float] | None:
    """Return the range of a later query's slots; that of no document at all is the query's own."""
    return replace(one, once=replace(one.once, seconds=Estimate(0.0, 0.0, 0.0))).seconds_range(1)


def _reuse_itself(found: Reuse) -> str:
    """Set what reuse saves of a query beside the same arm without it: most of the rest is the smaller model, not the reuse."""
    pairs = (
        ("dense with KV", "dense-kv-ram", "dense"),
        ("latent from u", "latent-u", "latent"),
        ("with mixer KV", "latent-state", "latent"),
    )
    told = [f"{name} {ratio_text(found.strategy(anew).query.flops / found.strategy(kept).query.flops)}" for name, kept, anew in pairs]
    return f"What reuse itself saves of a later query's FLOPs, each arm against itself: {', '.join(told)}. The dense arm reuses too."


def _on_disk(found: Reuse) -> Iterator[str]:
    """Set the measured files beside the prediction: keys and values of every head ÷ latents, 2·L·S·D/Z."""
    kv, u = found.memory[0], next(one for one in found.memory if one.name == "latents u")
    if not (kv.bytes and u.bytes and kv.disk_bytes and u.disk_bytes):
        return
    files = f"{short('bytes_compulsory', kv.disk_bytes)} ÷ {short('bytes_compulsory', u.disk_bytes)}"
    yield f"Files of KV ÷ the store of u: {files} = {ratio_text(kv.disk_bytes / u.disk_bytes)}, by count {ratio_text(kv.bytes / u.bytes)}."


def _bytes(found: Reuse) -> str:
    """Say who keeps the fewest bytes, what a query must move at the least, and how much of that is weights."""
    stored, size = _least([one for one in found.strategies if one.stored_bytes], lambda one: one.stored_bytes)
    moved, least = _least(found.strategies, lambda one: one.query.bytes_moved)
    most = max(one.query.bytes_moved for one in found.strategies)
    text = f"Fewest bytes kept: {_names(stored)} ({short('bytes_compulsory', size)}); fewest moved in a query: {_names(moved)}"
    return f"{text} ({short('bytes_compulsory', least)}, at most {short('bytes_compulsory', most)}). {_weights(found)}"


def _weights(found: Reuse) -> str:
    shares = [one.query.weight_bytes / one.query.bytes_moved for one in found.strategies]
    told = interval("memory_share", min(shares), max(shares))
    if min(shares) > MAINLY:
        return f"Weights, which no cache spares, are most of what a query moves: {told}."
    return f"Weights, which no cache spares, are {told} of what a query moves."


def _composed(found: Reuse) -> Iterator[str]:
    """Set the latent arm beside the dense one's best for several documents, and say where the dense one wins."""
    if not found.compositions or found.compositions[-1].documents < 2:
        return
    most = found.compositions[-1]
    names = f"{most.documents:,} documents"
    first = f"{short('flops', most.flops_first)} FLOP for the dense arm, which keeps the first one's KV and reads the others behind it"
    kept = f"{short('flops', most.flops_kv)} behind dense KV and {short('flops', most.flops_state)} behind mixer KV"
    new = f"{short('flops', most.flops_u)} FLOP from stored u, {first}"
    yield f"A query behind {names} in a new order: {new}. In an order that is kept: {kept}."
    won = [many(one.documents, "document") for one in found.compositions if one.flops_first < one.flops_u]
    if won:
        yield f"Dense with KV wins against stored u in a new order of {', '.join(won)}."
    won = [many(one.documents, "document") for one in found.compositions if one.flops_kv < one.flops_u]
    if won:
        yield f"Once that order is kept by the dense arm, it costs fewer FLOPs than mixing u anew: {', '.join(won)}."


def _sparse(found: Reuse) -> Iterator[str]:
    if len(found.choices) < 2:
        return
    one, whole = found.choices[0], found.choices[-1]
    if one.flops_state is None or one.flops_u is None or one.flops_choosing is None or not whole.flops_state or not whole.flops_u:
        return
    saved = 1 - (one.flops_state + one.flops_choosing) / whole.flops_state
    behind = f"saves {100 * saved:.2g}%" if saved > 0 else f"costs {100 * -saved:.2g}% more (choosing them)"
    yield (
        f"Reading {one.latents:,} of {many(whole.latents, 'latent')} {behind} of a query behind stored mixer KV, and "
        f"{100 * (1 - (one.flops_u + one.flops_choosing) / whole.flops_u):.0f}% of one from u, whose mixer has fewer rows."
    )
