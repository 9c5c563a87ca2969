"""The measured run of `reuse`: every strategy on real numbers and real files, and what reading fewer latents changes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from spanbench.count.reuse.counted import judged
from spanbench.count.reuse.strategies import DENSE_DISK, DENSE_TOKENS, LATENT_STATE, LATENT_U
from spanbench.judge.reuse import Memory, Reuse, Strategy
from spanbench.judge.reuse.result import Rate
from spanbench.judge.stats import Estimate, unknown
from spanbench.measure.energy import Meter
from spanbench.measure.host.allocator import keep_freed_memory
from spanbench.measure.limits.limits import matrix_peak
from spanbench.measure.machine import environment
from spanbench.model.pair import Pair, build_pair
from spanbench.run.fit import check_fit
from spanbench.run.reuse.asked import DRAWN, Asked
from spanbench.run.reuse.chosen import changed_choices
from spanbench.run.reuse.clocked import Clocked, time_once, time_queries
from spanbench.run.reuse.faults import DifferentAnswers
from spanbench.run.reuse.ways import Way, ways_of

__all__ = ["run_reuse", "why_not_run"]

ONCE = 3
"""Times that a document is read and kept at most; the last one's files are those that queries read."""

Progress = Callable[[str, int, int], None]

APART = {"float64": 1e-9, "float32": 1e-3, "float16": 5e-2, "bfloat16": 2e-1}
"""Strategies of an arm whose logits are further apart than this share of the largest did not read the same document."""


def why_not_run(asked: Asked, *, must_run: bool) -> str | None:
    """Return why the strategies are not run here, or None where they fit in memory.

    Raises:
        NotEnoughMemory: they do not fit, and must run.
    """
    return check_fit(replace(asked.point, tokens=asked.point.tokens + asked.query_tokens), must_run=must_run)


def run_reuse(asked: Asked, found: Reuse, meter: Meter, max_seconds: float, *, progress: Progress) -> Reuse:
    """Run and time every strategy, and return the counts with what was measured put in.

    Raises:
        DifferentAnswers: two strategies of one arm answer a query differently.
    """
    keep_freed_memory()
    pair = build_pair(asked.point)
    queries = [torch.tensor([asked.query(number)[0]], device=asked.point.device) for number in range(DRAWN)]
    with torch.inference_mode(), tempfile.TemporaryDirectory(prefix="spanbench-reuse-") as folder:
        return _run(asked, found, pair, queries, Path(folder), meter, max_seconds, progress)


def _run(
    asked: Asked, found: Reuse, pair: Pair, queries: Sequence[Tensor], folder: Path, meter: Meter, max_seconds: float, progress: Progress
) -> Reuse:
    ways = ways_of(pair, asked, folder)
    once = {}
    for done, (name, way) in enumerate(ways.items()):
        progress("reading and keeping the document", done, len(ways))
        once[name] = time_once(way, ONCE, max_seconds / 4 / len(ways))
    apart = check_answers(ways, queries[0], found, APART[asked.point.dtype])
    costs = {one.name: one.query for one in found.strategies}
    clocked = time_queries(
        ways, queries, costs, meter, max_seconds, asked.point.device, lambda done, of: progress("timing queries", done, of)
    )
    progress("measuring the machine's matrix rate", 0, 1)
    changes = {
        "strategies": tuple(_measured(one, ways[one.name], once, clocked[one.name]) for one in found.strategies),
        "choices": changed_choices(pair.latent, asked, queries[0], found.choices),
        "rate": found.rate or _rate(asked),
        "memory": _on_disk(found.memory, ways),
        "environment": environment(asked.point.device) | {"prompt": asked.prompt.source},
        "notes": (*found.notes, *_notes(clocked, apart, meter)),
    }
    return judged(found, **changes)


def _measured(one: Strategy, way: Way, once: Mapping[str, Estimate], clocked: Clocked) -> Strategy:
    joules = unknown("the document is read too few times for a meter's window")
    size = None if way.disk_bytes is None else way.disk_bytes()
    return replace(
        one,
        once=replace(one.once, seconds=once[one.name], joules=joules),
        query=replace(one.query, seconds=clocked.seconds, joules=clocked.joules),
        disk_bytes=size,
        disk_reason=None if size is not None else "nothing is kept on disk",
    )


def _rate(asked: Asked) -> Rate:
    peak = matrix_peak(asked.point.dtype, asked.point.device)
    return Rate(peak.flops_per_second, f"measured here, the best matrix rate in {peak.dtype} ({peak.shape})")


def _on_disk(memory: Sequence[Memory], ways: Mapping[str, Way]) -> tuple[Memory, ...]:
    """Put the sizes of the files into the table of memory; forms that were not written keep their reason."""
    sizes = {name: way.disk_bytes() for name, way in ways.items() if way.disk_bytes is not None}
    kv, u = sizes[DENSE_DISK], sizes[LATENT_U]
    state = sizes[LATENT_STATE] - u  # the same latents lie beside it
    files = {"latents u": u, "mixer KV": state, "tokens": sizes[DENSE_TOKENS], **{one.name: kv for one in memory if _is_own(one, kv)}}
    return tuple(replace(one, disk_bytes=files[one.name], reason=None) if one.name in files else _unwritten(one) for one in memory)


def _is_own(one: Memory, kv: int) -> bool:
    """Tell whether a row of dense keys and values is that of the model that ran: its file is not smaller, and hardly larger."""
    return one.name.startswith("dense KV") and one.bytes is not None and one.bytes <= kv < 1.05 * one.bytes + 2**20


def _unwritten(one: Memory) -> Memory:
    return one if one.bytes is None else replace(one, reason="this model has other key-value heads")


def _notes(clocked: Mapping[str, Clocked], apart: Mapping[str, float], meter: Meter) -> tuple[str, ...]:
    repeats = [one.repeats for one in clocked.values()]
    passes = next(iter(clocked.values())).passes
    told = ", ".join(f"{arm} {value:.1e}" for arm, value in apart.items())
    joules = any(one.joules.value is not None for one in clocked.values())
    by = f"; joules by {meter.name} ({meter.source})" if joules else ""
    slots = f"{min(repeats):,} to {max(repeats):,} queries a slot"
    passed = f"medians of {passes} passes over all strategies, forwards and backwards in turn, {slots}"
    return (
        f"Seconds: {passed}; the document up to {ONCE} times{by}.",
        "Files are read from the system's page cache: a disk adds bytes ÷ its bandwidth. Writing waits for the disk (fsync).",
        f"Largest difference between answers of one arm's strategies, as a share of the largest logit: {told}.",
    )


def check_answers(ways: Mapping[str, Way], query_1xQ: Tensor, found: Reuse, most: float) -> dict[str, float]:
    """Return how far apart the answers of each arm's strategies are, as a share of the largest logit.

    Raises:
        DifferentAnswers: further than `most`.
    """
    apart: dict[str, float] = {}
    first: dict[str, Tensor] = {}
    for one in found.strategies:
        logits = ways[one.name].ask(query_1xQ).double()
        base = first.setdefault(one.arm, logits)
        distance = ((logits - base).abs().max() / base.abs().max()).item()
        if not distance <= most:
            raise DifferentAnswers(f"{one.label}: its logits are {distance:.2g} of the largest apart from those of the text read anew")
        apart[one.arm] = max(apart.get(one.arm, 0.0), distance)
    return apart
