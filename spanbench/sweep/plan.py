"""From requests to jobs: each is checked, given the key that resume goes by, and kept once. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from spanbench.errors import UsageError
from spanbench.point import Point
from spanbench.prompt import BYTES_PER_TOKEN, Prompt, load_prompt
from spanbench.record import record_id
from spanbench.request import MAX, Request, point_of
from spanbench.sweep.job import Job
from spanbench.units import short

__all__ = ["Plan", "Planned", "Skipped", "named", "plan_of", "request_of", "shard_of"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A job, and the point that it asks for; for the largest batch, the point with a batch of 1."""

    job: Job
    point: Point
    largest: bool


@dataclass(frozen=True, slots=True)
class Skipped:
    """A combination of the grid that cannot be built, and why."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a grid comes to. `repeated` counts combinations that ask what another one asked before."""

    points: Sequence[Planned]
    skipped: Sequence[Skipped] = ()
    repeated: int = 0


def plan_of(requests: Iterable[Request], timing: Mapping[str, Any] | None, free: int | None = None) -> Plan:
    """Check each request and return the jobs; `timing` None: they are only counted. `free` are the bytes that ids may take.

    Raises:
        UsageError: no request can be built (the first reason is named), or the prompt cannot be read.
    """
    points: dict[str, Planned] = {}
    skipped, repeated, reader = [], 0, _Reader(free)
    for request in requests:
        try:
            planned = _planned(request, timing, reader)
        except UsageError as error:
            skipped.append(Skipped(named(request), str(error)))
        else:
            repeated += planned.job.key in points
            points.setdefault(planned.job.key, planned)
    if not points:
        why = (
            f"none of its {len(skipped):,} points can be built; the first, {skipped[0].what}: {skipped[0].reason}"
            if skipped
            else "no point"
        )
        raise UsageError(f"an empty grid: {why}")
    return Plan(list(points.values()), skipped, repeated)


class _Reader:
    """Reads each text once, however many lengths are cut from it."""

    def __init__(self, free: int | None) -> None:
        self._free = free
        self._read: dict[tuple[str | None, str | None], Prompt] = {}

    def prompt(self, request: Request) -> Prompt:
        """Return the prompt of a request.

        Raises:
            UsageError: it cannot be read, or its ids do not fit in memory.
        """
        if request.prompt == "-":
            raise UsageError("--prompt -: standard input can be read only once, and each point reads the prompt; give a file")
        key = (request.prompt, request.tokenizer)
        if key not in self._read:
            self._read[key] = load_prompt(request.prompt, request.tokenizer, 1, 1)
        read = self._read[key]
        needed = ((request.row_tokens or read.text_tokens) + request.generate) * max(request.batch, 1) * BYTES_PER_TOKEN
        if self._free is not None and needed > self._free:
            raise UsageError(f"the ids alone need about {short('peak_bytes', needed)}, {short('peak_bytes', self._free)} are free")
        return read


def _planned(request: Request, timing: Mapping[str, Any] | None, reader: _Reader) -> Planned:
    one = replace(request, largest=False)
    point, _, convention = point_of(one, reader.prompt(one))
    key = record_id(point.to_json(), convention) + (f"-{MAX}" if request.largest else "")
    plain = {**asdict(request), "regimes": list(request.regimes)}
    return Planned(Job(key, None if timing is None else request.device, plain, timing), point, request.largest)


def request_of(job: Job) -> Request:
    """Return the request that a job asks for.

    Raises:
        UsageError: it is none.
    """
    try:
        return Request(**{**job.request, "regimes": tuple(job.request["regimes"])})
    except (TypeError, KeyError) as error:
        raise UsageError(f"point: the job's request cannot be read ({error})") from None


def named(request: Request) -> str:
    """Return what tells a point from its neighbours in one short line: small lean 2048/32."""
    batch = MAX if request.largest else request.batch
    parts = [request.preset, request.allocation, f"{request.tokens or 'all'}/{request.span}"]
    parts += [f"batch {batch}"] if batch != 1 else []
    parts += [value for value, usual in ((request.dtype, "float32"), (request.device, "cpu")) if value != usual]
    parts += [f"seed {request.seed}"] if request.seed else []
    parts += [f"generate {request.generate}"] if request.generate != Request().generate else []
    return " ".join([*parts, *(f"{key}={value}" for key, value in request.shape.items())])


def shard_of(points: Sequence[Planned], shard: str) -> list[Planned]:
    """Return every n-th point, from the i-th on, of 'i/n': the shards of one grid share no point and leave none out.

    Long and short prompts fall into all shards alike.

    Raises:
        UsageError: not i/n with 1 ≤ i ≤ n.
    """
    part, slash, whole = shard.partition("/")
    if not (slash and part.isdecimal() and whole.isdecimal() and len(shard) < 20 and 1 <= int(part) <= int(whole)):
        raise UsageError(f"--shard {shard!r}: must be i/n with i from 1 to n, such as 1/4")
    return list(points[int(part) - 1 :: int(whole)])
