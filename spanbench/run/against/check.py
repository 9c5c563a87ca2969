"""The whole check: find the base, check it out, start both programs, measure every arm and regime, judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from spanbench.count.needed import needed_bytes
from spanbench.errors import NotEnoughMemory, UsageError
from spanbench.judge.stats import spread
from spanbench.judge.verdict import AgainstResult, AgainstRow, judge
from spanbench.measure.energy import Guard, Meter, Target, best_meter
from spanbench.measure.host.memory import available_bytes
from spanbench.point import Regime
from spanbench.request import DTYPE_ALIASES, Request, point_of
from spanbench.run.against.asked import Asked
from spanbench.run.against.crew import Crew, Program, crew_of
from spanbench.run.against.process import WorkerFailed, package_folder
from spanbench.run.against.repository import Repository, open_repository
from spanbench.run.against.series import COPIES, SIDES, measure_series
from spanbench.run.timing import board_of
from spanbench.units import short

__all__ = ["WINDOW_S", "Ask", "against", "check_fit", "meter_for", "rows_of"]

WINDOW_S = 0.1
SHORT = 12
"""Digits of a hash that a reader is shown."""

Progress = Callable[[str, int, int], None]


def silent(what: str, done: int, of: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Ask:
    """How well, how long and with what both programs are to be compared."""

    tolerance: float = 0.02
    max_seconds: float = 120.0
    """For all slots together; starting the processes and their warm-up come on top."""
    window_s: float = WINDOW_S
    quantity: str = "seconds"
    threads: int | None = None
    dirty: bool = False


def against(ref: str, asked: Asked, ask: Ask, *, folder: Path | None = None, progress: Progress = silent) -> AgainstResult:
    """Time the working tree that `folder` (None: the current one) lies in against commit `ref` of it.

    Raises:
        UsageError: no repository, no such commit, uncommitted changes, or a program that cannot run the point.
    """
    repository = open_repository(folder or Path.cwd())
    commit, changed = repository.commit(ref), repository.changed()
    if changed is not None and not ask.dirty:
        raise UsageError(
            f"--against {ref}: the working tree has changes that are not committed, first {changed}; "
            "commit or stash them, or give --dirty to time the tree as it is"
        )
    check_fit(asked.request)
    meter = meter_for(ask.quantity, asked.request)
    head_commit = repository.commit("HEAD")
    with repository.worktree(commit) as tree:
        base, head = Program(tree, f"the base {ref!r}"), Program(repository.top, "the head (the working tree)")
        _refuse_alike(repository, base, asked)
        with crew_of(asked, base, head, threads=ask.threads, progress=progress) as crew, _metered(meter) as guard:
            rows = rows_of(crew, asked, ask, guard, progress)
            by = "perf_counter" if guard is None else guard.by
    return AgainstResult(
        ref=ref,
        commit=commit,
        head=f"{head_commit[:SHORT]}{'' if changed is None else ' and changes that are not committed'}",
        point=_named(asked.request),
        quantity=ask.quantity,
        by=by,
        tolerance=ask.tolerance,
        rows=rows,
        notes=_notes(rows, alike=changed is None and commit == head_commit),
    )


def check_fit(request: Request) -> None:
    """Refuse a point of which four processes do not fit in memory, each with both arms and all that they compute with.

    Raises:
        NotEnoughMemory: how much they need, and how much is free.
    """
    point, _, _ = point_of(request)
    processes = COPIES * len(SIDES)
    needed, free = processes * needed_bytes(point), available_bytes(request.device)
    if free is not None and needed > free:
        raise NotEnoughMemory(
            f"--against: {processes} processes with preset {point.preset!r} need about {short('peak_bytes', needed)}, "
            f"{short('peak_bytes', free)} are free on {point.device}; take a smaller --preset or fewer --tokens"
        )


def meter_for(quantity: str, request: Request) -> Meter | None:
    """Return the meter behind a quantity, or None where the clock is enough.

    Raises:
        UsageError: no meter here measures joules: what is estimated or modelled follows from the time or the counts, and a
            gate on it would judge the model behind it.
    """
    if quantity == "seconds":
        return None
    dtype = DTYPE_ALIASES.get(request.dtype, request.dtype)
    meter = best_meter(Target(request.device, dtype, board_of(request.device), request.seed))
    if meter.source != "measured" or not meter.probe().available:
        raise UsageError(
            f"--quantity joules: the best meter here is {meter.name}, whose joules are not measured; "
            "estimated energy never gates; take --quantity seconds (spanbench meters says what a measured one needs)"
        )
    return meter


def rows_of(crew: Crew, asked: Asked, ask: Ask, meter: Guard | None, progress: Progress = silent) -> list[AgainstRow]:
    """Measure and judge each arm in each regime, in equal shares of the time.

    Raises:
        UsageError: a program failed while it ran.
    """
    places = [(arm, regime) for regime in asked.regimes for arm in asked.arms]
    try:
        return [_row(crew, arm, regime, ask, ask.max_seconds / len(places), meter, progress) for arm, regime in places]
    except WorkerFailed as error:
        raise UsageError(f"--against: a program failed while it was timed: {error}") from None


def _row(crew: Crew, arm: str, regime: Regime, ask: Ask, seconds: float, meter: Guard | None, progress: Progress) -> AgainstRow:
    found = measure_series(
        crew.slot(arm, regime, meter),
        tolerance=ask.tolerance,
        max_seconds=seconds,
        window_s=max(ask.window_s, meter.min_window_s if meter is not None else 0.0),
        progress=lambda done, of: progress(f"timing {arm} {regime}", done, of),
    )
    base, head = (spread(found.values[side]) for side in SIDES)
    base_flops, head_flops = (crew.flops(side, arm, regime) for side in SIDES)
    judged = judge(found.ratios, found.nulls, ask.tolerance)
    return AgainstRow(arm, regime, found.repeats, base, head, judged, base_flops, head_flops)


@contextmanager
def _metered(meter: Meter | None) -> Iterator[Guard | None]:
    with nullcontext() if meter is None else Guard(meter) as guard:
        yield guard


def _refuse_alike(repository: Repository, base: Program, asked: Asked) -> None:
    """Refuse where nothing that runs comes from the repository: base and head would be one program, and no change could be seen.

    Raises:
        UsageError: what would be needed.
    """
    own = package_folder(repository.top) or package_folder(base.top)
    if own is None and (asked.config is None or not asked.config.is_relative_to(repository.top)):
        raise UsageError(
            f"--against: nothing that is timed comes from {repository.top}, so base and head are the same; "
            "give a --config file that is committed there, or run it in a checkout of spanbench"
        )


def _named(request: Request) -> str:
    sizes = ", ".join(f"{key}={value}" for key, value in request.shape.items())
    batch = f", batch {request.batch}" if request.batch > 1 else ""
    tokens = "all of the prompt" if request.row_tokens is None else f"{request.row_tokens} tokens"
    return f"{request.preset} {request.allocation}{f' ({sizes})' if sizes else ''}, {tokens} in spans of {request.span}{batch}"


def _notes(rows: Sequence[AgainstRow], *, alike: bool) -> tuple[str, ...]:
    notes = ["Base and head are the same commit: whatever differs, this machine has made."] if alike else []
    if any(row.base_flops is None for row in rows):
        notes.append("The base has no closed form that could be asked, so its FLOPs are not known.")
    return tuple(notes)
