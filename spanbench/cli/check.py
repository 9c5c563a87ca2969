"""`spanbench check`: what is counted now held against a committed baseline, tolerance 0; or timed against another commit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spanbench.cli import against as noisy
from spanbench.cli.options import Format, takes_request
from spanbench.cli.output import put
from spanbench.errors import SpanbenchError, UsageError
from spanbench.files import why
from spanbench.request import Request

if TYPE_CHECKING:
    from spanbench.judge.baseline.result import Checked

__all__ = ["check"]

File = Annotated[str | None, typer.Argument(metavar="[FILE]", show_default=False, help="A baseline, as `baseline create` makes it")]
ClosedForm = Annotated[bool, typer.Option("--closed-form", help="Check the formulas alone, without torch: the models do not run")]
Summary = Annotated[
    str | None, typer.Option("--summary", metavar="FILE", help="Append a Markdown summary to FILE [default: the job's, in GitHub Actions]")
]
Benchmark = Annotated[str | None, typer.Option("--benchmark", metavar="FILE", help="Write FLOPs for github-action-benchmark to FILE")]
BenchmarkRatios = Annotated[str | None, typer.Option("--benchmark-ratios", metavar="FILE", help="The same of the ratios, bigger is better")]
GitHub = Annotated[
    bool | None, typer.Option("--github/--no-github", help="Annotate the baseline's lines [default: in GitHub Actions]", show_default=False)
]


@takes_request
def check(
    context: typer.Context,
    request: Request,
    file: File = None,
    closed_form: ClosedForm = False,
    summary: Summary = None,
    benchmark: Benchmark = None,
    benchmark_ratios: BenchmarkRatios = None,
    github: GitHub = None,
    against: noisy.Against = None,
    quantity: noisy.Quantity = noisy.DEFAULT_QUANTITY,
    arm: noisy.ArmName = None,
    tolerance: noisy.Tolerance = noisy.DEFAULT_TOLERANCE,
    max_time: noisy.MaxTime = noisy.DEFAULT_AGAINST_SECONDS,
    dirty: noisy.Dirty = False,
    fmt: Format = "table",
) -> None:
    """Count a baseline's points again and fail on any change, fewer or more; or, with --against, time this tree beside another commit.

    Exact and noisy things are never mixed: a baseline is compared with tolerance 0, and only --against times anything. The
    options of a point belong to --against; a baseline names its own points.
    """
    if against is not None:
        _refuse(context, _EXACT, "belongs to the check of a baseline, and --against is given; run the two one after the other")
        noisy.check_against(
            against, request, config=noisy.config_of(context), quantity=quantity, arm=arm, tolerance=tolerance, max_time=max_time,
            dirty=dirty, fmt=fmt,
        )  # fmt: skip
        return
    known = set(context.params) - {*_EXACT, "fmt", "against"}
    _refuse(context, sorted(known), "belongs to --against; a baseline names its own points")
    if file is None:
        raise UsageError("check: give the file of a baseline, such as baseline.jsonl, or --against a commit")
    on_github = os.environ.get("GITHUB_ACTIONS") == "true" if github is None else github
    try:
        checked = _checked(file, closed_form=closed_form)
    except SpanbenchError as error:
        _tell_failure(file, error, summary, github=on_github)
        raise
    _tell(checked, fmt, summary, benchmark, benchmark_ratios, github=on_github)
    _refuse_changes(checked)


_EXACT = ("file", "closed_form", "summary", "benchmark", "benchmark_ratios", "github")


def _refuse(context: typer.Context, names: list[str] | tuple[str, ...], why: str) -> None:
    """Refuse options that were given and mean nothing here."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            told = parameter.opts[0] if parameter.opts[0].startswith("-") else "FILE"
            raise UsageError(f"{told}: {why}")


def _checked(file: str, *, closed_form: bool) -> Checked:
    from spanbench.cli.baseline import closed, executed
    from spanbench.judge.baseline.comparing import compare
    from spanbench.judge.baseline.file import read_baseline

    old = read_baseline(file)
    if not old.in_order:
        typer.echo(f"note: the rows of {file} stand in another order than they are written in; the next update sorts them", err=True)
    if closed_form:
        notes = ["the formulas alone: neither model ran, so a changed model or torch is not seen"]
        return compare(old, closed(file, old.header), by="closed form", notes=notes)
    return compare(
        old,
        executed(file, old.header),
        by="ledger",
        notes=["held: matrix work, attention, rows, bytes and parameters; element-wise work is not"],
    )


def _tell(checked: Checked, fmt: str, summary: str | None, benchmark: str | None, benchmark_ratios: str | None, *, github: bool) -> None:
    """Print the check, and put it where else it is to be seen. Annotations go to standard error, which a job reads too."""
    from spanbench.show.check import benchmark as exported
    from spanbench.show.check import github as actions
    from spanbench.show.check.page import render_checked

    put(render_checked, checked, fmt)
    for line in actions.annotations(checked) if github else ():
        typer.echo(line, err=True)
    if place := _summary_place(summary, github=github):
        _write("--summary", place, actions.summary(checked, actions.SUMMARY_BYTES - _held(place)), append=True)
    if benchmark is not None:
        _write("--benchmark", benchmark, exported.benchmark(checked))
    if benchmark_ratios is not None:
        _write("--benchmark-ratios", benchmark_ratios, exported.benchmark_bigger(checked))


def _held(path: str) -> int:
    """Return the bytes that a file has already: a job's summary is one file for all of its steps' commands."""
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):  # writing it will say what is wrong
        return 0


def _tell_failure(file: str, error: SpanbenchError, summary: str | None, *, github: bool) -> None:
    """Show that nothing was compared, and why, where a check is looked for: a red job alone does not say which file."""
    from spanbench.show.check import github as actions

    if github:
        typer.echo(actions.failure(file, str(error)), err=True)
    if place := _summary_place(summary, github=github):
        _write("--summary", place, actions.failure_summary(file, str(error)), append=True)


def _summary_place(summary: str | None, *, github: bool) -> str | None:
    return summary or (os.environ.get("GITHUB_STEP_SUMMARY") if github else None)


def _write(option: str, path: str, text: str, *, append: bool = False) -> None:
    try:
        with Path(path).open("a" if append else "w", encoding="utf-8") as file:
            file.write(text)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise UsageError(f"{option} {path!r}: cannot be written ({why(error)})") from None


def _refuse_changes(checked: Checked) -> None:
    """Raise what the exit code says.

    Raises:
        BaselineChanged: the first row that is not what it was, and the command that accepts it.
    """
    from spanbench.judge.baseline.errors import BaselineChanged
    from spanbench.show.check.words import sentence

    if checked.changes:
        more = len(checked.changes) - 1
        others = f"; and {more:,} more row{'s' if more > 1 else ''}" if more else ""
        raise BaselineChanged(f"{sentence(checked.changes[0], checked.path)}{others}; accept with: {checked.accept}")
