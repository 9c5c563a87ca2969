"""The measured run of `reuse`: every strategy on real numbers and real files, and what reading fewer latents changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from spanbench.count.reuse.counted import judged
from spanbench.count.reuse.strategies import ANEW, DENSE, DENSE_DISK, DENSE_TOKENS, LATENT_STATE, LATENT_U
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
from spanbench.run.reuse.clocked import LEAST_ONCE, Clocked, time_once, time_queries
from spanbench.run.reuse.faults import DifferentAnswers
from spanbench.run.reuse.shaped import kv_file_bytes
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


def run_reuse(asked: Asked, found: Reuse, meter: Meter, max_seconds: float, folder: Path, *, progress: Progress) -> Reuse:
    """Run and time every strategy, and return the counts with what was measured put in.

    All files are made below `folder`, which is the caller's to remove.

    Raises:
        DifferentAnswers: two strategies of one arm answer a query differently.
    """
    keep_freed_memory()
    pair = build_pair(asked.point)
    queries = [torch.tensor([asked.query(number)[0]], device=asked.point.device) for number in range(DRAWN)]
    with torch.inference_mode():
        return _run(asked, found, pair, queries, folder, meter, max_seconds, progress)


def _run(
    asked: Asked, found: Reuse, pair: Pair, queries: Sequence[Tensor], folder: Path, meter: Meter, max_seconds: float, progress: Progress
) -> Reuse:
    ways = ways_of(pair, asked, folder)
    for name in (DENSE, ANEW):  # the first pass of a model is slower than any later one
        ways[name].ask(queries[0])
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
        "memory": _on_disk(found.memory, ways, asked, folder),
        "energy": next(iter(clocked.values())).energy,
        "environment": environment(asked.point.device) | {"prompt": asked.prompt.source},
        "notes": (*found.notes, *_notes(clocked, apart)),
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


def _on_disk(memory: Sequence[Memory], ways: Mapping[str, Way], asked: Asked, folder: Path) -> tuple[Memory, ...]:
    """Put the sizes of the files into the table of memory: every form is written, dense keys and values with each number of heads."""
    sizes = {name: way.disk_bytes() for name, way in ways.items() if way.disk_bytes is not None}
    u = sizes[LATENT_U]
    files = {"latents u": u, "mixer KV": sizes[LATENT_STATE] - u, "tokens": sizes[DENSE_TOKENS]}  # the same latents lie beside the state

    def size(one: Memory) -> int:
        if one.kv_heads is None:
            return files[one.name]
        own = one.kv_heads == asked.point.shape.token.kv_heads
        return sizes[DENSE_DISK] if own else kv_file_bytes(asked.point, one.kv_heads, folder)

    return tuple(replace(one, disk_bytes=size(one), reason=None) for one in memory)


def _notes(clocked: Mapping[str, Clocked], apart: Mapping[str, float]) -> tuple[str, ...]:
    repeats = [one.repeats for one in clocked.values()]
    passes = next(iter(clocked.values())).passes
    told = ", ".join(f"{arm} {value:.1e}" for arm, value in apart.items())
    joules = any(one.joules.value is not None for one in clocked.values())
    energy = next(iter(clocked.values())).energy
    by = f"; joules by {energy.by} ({energy.source})" if joules else ""
    slots = f"{min(repeats):,} to {max(repeats):,} queries a slot"
    passed = f"medians of {passes} passes over all strategies, forwards and backwards in turn, {slots}"
    return (
        f"Seconds: {passed}; the document {LEAST_ONCE} to {ONCE} times{by}.",
        "Files are read from the system's page cache: a disk adds bytes ÷ its bandwidth. Writing waits for the disk (fsync).",
        "Keys and values of other numbers of heads: a file of tensors of exactly that shape, written by the same code.",
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
