"""Does a pair fit in memory, and how many prompts of it? Estimated before anything is allocated, and said in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from spanbench.count.needed import RUNTIME_BYTES, held, needed_bytes
from spanbench.errors import NotEnoughMemory, UsageError
from spanbench.measure.host.memory import available_bytes
from spanbench.point import Point
from spanbench.prompt import BYTES_PER_TOKEN
from spanbench.tally import Tally
from spanbench.units import short

__all__ = ["RUNTIME_BYTES", "Largest", "check_fit", "largest_batch", "needed_bytes"]

MARGIN = 1 / 8
"""Of the free memory, left alone by `largest_batch`: what is free moves between the estimate and the run."""

CUTS = 2
"""`compare` counts the same text at twice the tokens as well."""


def _long(point: Point) -> bool:
    """Tell whether the prompt, rather than the weights, is what takes the memory."""
    one = replace(point, tokens=1, batch=1)
    return needed_bytes(point) > 2 * needed_bytes(one)


def check_fit(point: Point, *, must_run: bool) -> str | None:
    """Return why the pair is not run here, or None where it fits (or where the free memory is unknown).

    Raises:
        NotEnoughMemory: it does not fit, and it must run.
    """
    needed, available = needed_bytes(point), available_bytes(point.device)
    if available is None or needed <= available:
        return None
    sizes = f"both arms need about {short('peak_bytes', needed)}, {short('peak_bytes', available)} are free on {point.device}"
    if must_run:
        mends = ["a smaller --preset", *(["--dtype bf16"] if point.itemsize > 2 else []), *(["fewer --tokens"] if _long(point) else [])]
        mend = f"take {' or '.join(mends)}"
        raise NotEnoughMemory(f"--run: not enough memory for preset {point.preset!r}: {sizes}; {mend}")
    return f"Counted and not run: {sizes}."


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest batch that fits for both arms together, and how many prompts each arm's weights leave room for by itself."""

    batch: int
    own: Mapping[str, int]
    why: str


def largest_batch(point: Point, available: int | None = None) -> Largest:
    """Return the largest batch that `needed_bytes` and the ids leave room for; of `available` bytes (None: what is free now).

    Both arms run the same batch in one process, so the pair's is one for both. Each arm's own is by its weights and state alone.
    Where not even one prompt fits the batch is 1: counted, and not run.

    Raises:
        UsageError: this system does not say how much memory is free.
    """
    free = available_bytes(point.device) if available is None else available
    if free is None:
        raise UsageError("--batch max: this system does not say how much memory is free; give a number")
    room = int(free * (1 - MARGIN))
    batch = _most(lambda batch: needed_bytes(replace(point, batch=batch)) + _ids_bytes(point) * batch <= room)
    own = {arm: _prompts(replace(point, batch=1), kept, room) for arm, kept in held(replace(point, batch=1)).items()}
    return Largest(max(batch, 1), own, _why(point, batch, own, free))


def _ids_bytes(point: Point) -> int:
    """Return the bytes of one prompt's ids, as Python holds them."""
    return (point.tokens + point.generate) * CUTS * BYTES_PER_TOKEN


def _most(fits: Callable[[int], bool]) -> int:
    """Return the largest whole number that fits, 0 where 1 does not: doubled until one does not fit, then bisected."""
    high = 1
    while fits(high):
        high *= 2
    low = high // 2  # fits, or is 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _prompts(point: Point, kept: Tally, room: int) -> int:
    left = room - RUNTIME_BYTES - kept.params * point.itemsize
    return max(0, left) // max(1, kept.state_bytes)


def _why(point: Point, batch: int, own: Mapping[str, int], free: int) -> str:
    sizes = f"{short('peak_bytes', free)} free on {point.device}, {MARGIN:.1%} of it left alone"
    alone = " and ".join(f"{count:,} in the {arm} arm" for arm, count in own.items())
    taken = f"{batch:,} fit with both arms in memory" if batch else "not even 1 fits, 1 is counted"
    return f"Batch max: {taken} ({sizes}). By weights and state alone {alone}."
