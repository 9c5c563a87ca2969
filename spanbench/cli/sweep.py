"""`spanbench sweep`: many points, each in a process of its own, each record kept at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanbench.cli import timing as options
from spanbench.cli.interrupt import INTERRUPTED
from spanbench.cli.options import Format
from spanbench.cli.output import put
from spanbench.cli.values import completed, whole
from spanbench.errors import NothingMeasured, SpanbenchError, UsageError
from spanbench.point import ALL_REGIMES, REGIMES, check_choice
from spanbench.sweep.grid import Grid, overrides_of, read_grids

if TYPE_CHECKING:
    from spanbench.sweep.job import Engine
    from spanbench.sweep.plan import Plan
    from spanbench.sweep.progress import Lines

__all__ = ["ENGINES", "sweep"]

ENGINES = ("local", "ray")

ASK_BEYOND = 10_000
"""Points that are run without `--yes`."""

MOST = 1_000_000
"""Points of a grid, whatever is said."""


def _axis(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=text)


def _engine_name(given: str) -> str:
    check_choice("--engine", given, ENGINES)
    return given


_LIST, _NAMES = "N,N..N", "NAME,NAME"
_ENGINE = typer.Option(
    "--engine", metavar="NAME", parser=_engine_name, autocompletion=completed(ENGINES), show_default=False,
    help=f"Who runs the points: {', '.join(ENGINES)} [default: {ENGINES[0]}]",
)  # fmt: skip


def sweep(
    tokens: Annotated[str | None, _axis(_LIST, "Lengths: 24,64..16384 is 24, then doubled; 8..32/8 in steps of 8 [default: 2048]")] = None,
    span: Annotated[str | None, _axis(_LIST, "Tokens in a span [default: 32]")] = None,
    batch: Annotated[str | None, _axis("B,B", "Prompts at a time; max: as many as fit in memory [default: 1]")] = None,
    preset: Annotated[str | None, _axis(_NAMES, "Sizes of the dense model [default: small]")] = None,
    allocation: Annotated[str | None, _axis(_NAMES, "How the latent model spends them [default: lean]")] = None,
    dtype: Annotated[str | None, _axis(_NAMES, "Precisions [default: float32]")] = None,
    device: Annotated[str | None, _axis(_NAMES, "cpu, cuda, cuda:N [default: cpu]")] = None,
    seed: Annotated[str | None, _axis(_LIST, "Seeds of the random weights [default: 0]")] = None,
    generate: Annotated[str | None, _axis(_LIST, "Tokens that a request says after the prompt [default: 64]")] = None,
    shape: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE,VALUE", help="Sizes: carry=0,8, pool=mean …; may be repeated")
    ] = None,
    regime: Annotated[str | None, _axis(_NAMES, f"All of one record: {', '.join(ALL_REGIMES)} [default: {','.join(REGIMES)}]")] = None,
    prompt: Annotated[str | None, _axis("FILE", "Text file [default: built in]")] = None,
    tokenizer: Annotated[str | None, _axis("FILE", "Hugging Face tokenizer.json [default: bytes]")] = None,
    convention: Annotated[str | None, _axis("NAME", "How FLOPs of attention are expressed [default: dense]")] = None,
    grid: Annotated[str | None, _axis("FILE", "TOML file of the options above, with lists; [[grid]] tables add up; flags win")] = None,
    out: Annotated[str | None, _axis("FILE", "Append the records to FILE; what it holds already is not run again")] = None,
    run: Annotated[
        bool | None, typer.Option("--run/--no-run", help="Time the pairs, or only count them [default: time those that fit in memory]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the points with predicted FLOPs, memory and time, and run none")] = False,
    engine: Annotated[str, _ENGINE] = ENGINES[0],
    workers: Annotated[
        int | None, typer.Option(metavar="N", parser=whole("--workers"), help="Processes that count at a time [default: one a core]")
    ] = None,
    address: Annotated[str | None, _axis("HOST:PORT", "Of Ray's cluster, or 'auto' [default: one is started here]")] = None,
    label: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Label of Ray's nodes to run on; may be repeated")] = None,
    shard: Annotated[str | None, _axis("I/N", "Run the I-th of N parts, for job arrays; each part needs a file of its own")] = None,
    max_time: options.MaxTime = options.DEFAULT_SECONDS,
    precision: options.Precision = options.DEFAULT_PRECISION,
    meter: options.Meter = options.METERS[0],
    threads: options.Threads = None,
    compiled: options.Compile = False,
    stages: options.Stages = False,
    co2: options.Co2 = None,
    limits: options.Limits = True,
    peak: options.Peak = True,
    yes: Annotated[bool, typer.Option("--yes", help=f"Run more than {ASK_BEYOND:,} points without asking")] = False,
    fmt: Format = "table",
) -> None:
    """Run every point of a grid and keep each record as it comes; the same command again goes on from there."""
    flags = Grid.of(
        tokens=tokens, span=span, batch=batch, preset=preset, allocation=allocation, dtype=dtype, device=device, seed=seed,
        generate=generate, shape=overrides_of(shape or []), regimes=regime, prompt=prompt, tokenizer=tokenizer, convention=convention,
    )  # fmt: skip
    grids = [one.over(flags) for one in read_grids(grid)] if grid is not None else [flags]
    _check_number(sum(one.points for one in grids), yes=yes or dry_run)
    timing = None if run is False else {
        "max_seconds": max_time, "precision": precision, "meter": meter, "threads": threads, "compiled": compiled, "stages": stages,
        "co2": co2, "limits": limits, "peak": peak, "must_run": run is True,
    }  # fmt: skip
    _check_timing(timing)
    plan = _planned(grids, timing, shard)
    if dry_run:
        _show_plan(plan, out, fmt)
        return
    if out is None:
        raise UsageError("--out: a sweep needs a file for its records; give one, such as --out sweep.jsonl, or --dry-run")
    _run(plan, _engine(engine, workers, address, label or []), out, fmt)


def _check_number(points: int, *, yes: bool) -> None:
    if points > MOST:
        raise UsageError(f"the grid has {points:,} points, more than {MOST:,}; take fewer values")
    if points > ASK_BEYOND and not yes:
        raise UsageError(f"the grid has {points:,} points, more than {ASK_BEYOND:,}; give --yes to run them all, or see --dry-run")


def _check_timing(timing: Mapping[str, Any] | None) -> None:
    """Refuse, before anything is run, what would fail in every point."""
    if timing is None:
        return
    from spanbench.measure.carbon import parse_carbon
    from spanbench.measure.energy import get_meter

    if timing["threads"] is not None and timing["threads"] < 1:
        raise UsageError(f"--threads: {timing['threads']} must be at least 1")
    get_meter(timing["meter"])
    if timing["co2"] is not None:
        parse_carbon(timing["co2"])


def _planned(grids: list[Grid], timing: Mapping[str, Any] | None, shard: str | None) -> Plan:
    from dataclasses import replace
    from itertools import chain

    from spanbench.measure.host.memory import available_bytes
    from spanbench.sweep.plan import plan_of, shard_of

    # Shards are numbered alike everywhere: what is free on one machine at one moment must not move points between them.
    free = available_bytes() if shard is None else None
    plan = plan_of(chain.from_iterable(one.requests() for one in grids), timing, free)
    return plan if shard is None else replace(plan, points=shard_of(plan.points, shard))


def _show_plan(plan: Plan, out: str | None, fmt: str) -> None:
    from spanbench.measure.host.memory import available_bytes
    from spanbench.record import each
    from spanbench.sweep.kept import Kept
    from spanbench.sweep.view import Predicted, render_plan

    if out is not None and Path(out).exists() and not Path(out).is_file():
        raise UsageError(f"--out: {out!r} is no file that can be read again; name a file")
    kept = Kept(stored.record for stored in (each(Path(out), _note) if out is not None and Path(out).exists() else []))
    done = frozenset(planned.job.key for planned in plan.points if kept.answers(planned.job))
    put(render_plan, Predicted(plan, done, available_bytes()), fmt)


def _engine(name: str, workers: int | None, address: str | None, labels: list[str]) -> Engine:
    """Return the engine of that name.

    Raises:
        UsageError: Ray is not installed, or an option belongs to the other engine.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"--workers {workers}: must be at least 1")
    if name == "ray":
        from spanbench.sweep.ray import RayEngine

        return RayEngine(address, workers, dict(_label(text) for text in labels))
    for option, given in (("--address", address), ("--label", labels)):
        if given:
            raise UsageError(f"{option}: belongs to --engine ray, which is not given")
    from spanbench.measure.machine.cpu import usable_cores
    from spanbench.sweep.local import LocalEngine

    return LocalEngine(workers or usable_cores() or 1)


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise UsageError(f"--label {text!r}: must be KEY=VALUE, such as accelerator=h200")
    return key, value


def _run(plan: Plan, engine: Engine, out: str, fmt: str) -> None:
    """Run the plan and show what became of it.

    Raises:
        NothingMeasured: a point has no record.
    """
    from spanbench.sweep.flow import Summary
    from spanbench.sweep.flow import sweep as flow
    from spanbench.sweep.view import Finished, render_summary

    summary = Summary()
    try:
        with _watcher() as watcher:
            flow(plan.points, engine, Path(out), watcher, _note, summary)
    except KeyboardInterrupt:
        _note(f"{len(summary.finished):,} points finished and are kept in {out}; the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    put(render_summary, Finished(plan, summary, out), fmt)
    if fmt == "table":
        _draw(Path(out))
    if summary.failed:
        raise NothingMeasured(
            f"{len(summary.failed):,} of {len(plan.points):,} points have no record; the first: {summary.failed[0].reason}; "
            "the same command tries them again"
        )


def _draw(out: Path) -> None:
    """Show what the file comes to in a small plot, where it has lengths or spans to compare."""
    from spanbench.show.report.reading.digest import Wanted
    from spanbench.show.report.reading.loading import load
    from spanbench.show.report.sections.build import build
    from spanbench.show.report.terminal import terminal_plot

    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    try:
        digests = load([out], Wanted(), lambda _: None)
    except SpanbenchError:  # no record came, or the file holds some that no report can place; the sweep itself is done
        return
    drawn = terminal_plot(build(digests), ascii_only=not unicode)
    if drawn:
        typer.echo(f"\n{drawn.rstrip()}")


@contextmanager
def _watcher() -> Iterator[Lines]:
    from spanbench.sweep.progress import Lines, bar

    if not sys.stderr.isatty():
        yield Lines(_note)
        return
    with bar() as drawn:
        yield drawn


def _note(text: str) -> None:
    typer.echo(text, err=True)
