"""`spanbench baseline`: the file that `check` holds what is counted now against: made, taken over, compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from spanbench.cli.options import Format
from spanbench.cli.output import progress, put
from spanbench.errors import SpanbenchError, UsageError
from spanbench.point import REGIMES
from spanbench.request import read_toml

if TYPE_CHECKING:
    from spanbench.judge.baseline.asked import Asked
    from spanbench.judge.baseline.file import Header
    from spanbench.judge.baseline.row import Row
    from spanbench.sweep.grid import Grid
    from spanbench.tally import Convention

__all__ = ["baseline_app", "closed", "executed"]

MOST = 10_000
"""Points of a baseline: each is counted at every check."""

baseline_app = typer.Typer(
    help="Make a baseline of counts, take new counts over, or compare two.", rich_markup_mode=None, no_args_is_help=False
)


def _axis(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=text)


_LIST, _NAMES = "N,N..N", "NAME,NAME"
File = Annotated[str, typer.Argument(metavar="FILE", help="A baseline, as `baseline create` makes it")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", show_default=False, help="Why the counts changed; it is kept in the file")]


@baseline_app.command(short_help="Count points and write them to a file to be committed.")
def create(
    preset: Annotated[str | None, _axis(_NAMES, "Sizes of the dense model [default: small]")] = None,
    allocation: Annotated[str | None, _axis(_NAMES, "How the latent model spends them [default: lean]")] = None,
    tokens: Annotated[str | None, _axis(_LIST, "Lengths: 24,64..512 is 24, then doubled [default: 2048]")] = None,
    span: Annotated[str | None, _axis(_LIST, "Tokens in a span [default: 32]")] = None,
    batch: Annotated[str | None, _axis("B,B", "Prompts at a time [default: 1]")] = None,
    generate: Annotated[str | None, _axis(_LIST, "Tokens that a request says after the prompt [default: 64]")] = None,
    shape: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE,VALUE", help="Sizes: carry=0,8, pool=mean …; may be repeated")
    ] = None,
    regime: Annotated[str | None, _axis(_NAMES, "Of all points [default: score,prefill,decode]")] = None,
    dtype: Annotated[str | None, _axis(_NAMES, "Precisions [default: float32]")] = None,
    convention: Annotated[str | None, _axis("NAME", "How FLOPs of attention are expressed [default: dense]")] = None,
    config: Annotated[
        str | None, _axis("FILE", "TOML file of the options above, read anew at every check; what is named here wins over it")
    ] = None,
    out: Annotated[str | None, typer.Option("--out", metavar="FILE", help="Where the baseline is put")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE where it is there already")] = False,
) -> None:
    """Count every point of a grid by ledger, closed form and witnesses, and write the counts as one line a point and arm."""
    from spanbench.judge.baseline.file import Baseline
    from spanbench.judge.baseline.writing import check_new, write_text
    from spanbench.sweep.grid import Grid, overrides_of

    if out is None:
        raise UsageError("--out: a baseline needs a file; give one, such as --out baseline.jsonl")
    check_new(out, "--out", force=force)
    grid = Grid.of(
        preset=preset, allocation=allocation, tokens=tokens, span=span, batch=batch, generate=generate, dtype=dtype,
        shape=overrides_of(shape or []), regimes=regime, convention=convention,
    )  # fmt: skip
    header = _possible(_header(grid, config, Path(out).parent), Path(out).parent)
    rows = executed(out, header)
    write_text(out, Baseline.text(header, rows), new=not force)
    typer.echo(f"wrote {len(rows):,} rows of {len(header.asked):,} points to {out}", err=True)


@baseline_app.command(short_help="Count a baseline's points anew, and take the counts over.")
def update(file: File, reason: Reason = "", fmt: Format = "table") -> None:
    """Show what changes, and write it; refused while closed form, ledger and witnesses disagree. Needs no more than the header."""
    from dataclasses import replace

    from spanbench.judge.baseline.comparing import compare
    from spanbench.judge.baseline.file import Baseline, read_baseline
    from spanbench.judge.baseline.writing import write_text
    from spanbench.show.check.page import render_checked

    if not reason.strip():
        raise UsageError('--reason: say why the counts changed, such as --reason "wider MLP"; it is kept in the file')
    old = read_baseline(file, tolerant=True)
    rows = executed(file, old.header)
    put(render_checked, compare(old, rows, by="ledger", accept="", notes=[f"{problem}; counted anew" for problem in old.problems]), fmt)
    if Baseline.text(old.header, rows).encode() == Path(file).read_bytes():
        typer.echo(f"nothing changed, so {file} was not written", err=True)
        return
    write_text(file, Baseline.text(replace(old.header, reason=reason.strip()), rows), "FILE")
    typer.echo(f"wrote {len(rows):,} rows to {file}", err=True)


@baseline_app.command("diff", short_help="Show what differs between two baselines.")
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A baseline")],
    b: Annotated[str, typer.Argument(metavar="B", help="The one it is compared with")],
    fmt: Format = "table",
) -> None:
    """Compare two files row by row, tolerance 0. Nothing is counted. Exit code 0: they are the same; 1: some row differs."""
    from shlex import quote

    from spanbench.judge.baseline.comparing import compare
    from spanbench.judge.baseline.errors import BaselineBroken
    from spanbench.judge.baseline.file import read_baseline
    from spanbench.show.check.page import render_checked

    old, new = read_baseline(a), read_baseline(b)
    if old.header.convention != new.header.convention:
        raise BaselineBroken(f"{a} is by the convention {old.header.convention}, {b} by {new.header.convention}: their FLOPs are not alike")
    notes = [f"old: {a}; new: {b}; nothing was counted"]
    checked = compare(old, new.rows, by="another baseline", accept=f"cp {quote(b)} {quote(a)}", notes=notes)
    put(render_checked, checked, fmt)
    if checked.changes:
        raise typer.Exit(1)


# ---- what is asked --------------------------------------------------------------------------------------------------


def _header(grid: Grid, config: str | None, folder: Path) -> Header:
    """Return the question of a grid: each combination of what was given, once."""
    from spanbench.judge.baseline.asked import REGIMES as DEFAULT
    from spanbench.judge.baseline.asked import asked_of
    from spanbench.judge.baseline.file import Header

    if grid.points > MOST:
        raise UsageError(f"the grid has {grid.points:,} points, more than {MOST:,}; each is counted at every check, so take fewer values")
    shared = dict(grid.shared)
    if config is not None:
        base = read_toml(config)
        shared = {"regimes": base.regimes if base.regimes != REGIMES else DEFAULT, "convention": base.convention} | shared
    common: dict[str, Any] = {"regimes": list(shared.get("regimes", DEFAULT))}
    if config is not None:
        common["config"] = PurePath(os.path.relpath(config, folder)).as_posix()
    asked = {}
    for request in grid.requests():
        if request.largest:
            raise UsageError("--batch max: depends on the machine's memory; a baseline needs a number")
        given = {key: getattr(request, key) for key in grid.axes}
        one = asked_of(common | given | ({"set": dict(request.shape)} if request.shape else {}))
        asked[one.key] = one
    return Header(cast("Convention", shared.get("convention", "dense")), tuple(asked.values()))


def _possible(header: Header, folder: Path) -> Header:
    """Return the question without points that cannot be, each with a note.

    Raises:
        UsageError: none can be; why the first cannot.
    """
    from dataclasses import replace

    from spanbench.request import point_of

    left, refused = [], []
    for asked in header.asked:
        try:
            point_of(replace(asked.request(folder, header.convention), tokens=1))
            left.append(asked)
        except UsageError as error:
            refused.append((asked, error))
    if not left:
        raise refused[0][1]
    for asked, why in refused:
        typer.echo(f"note: {asked.name} was left out: {why}", err=True)
    return replace(header, asked=tuple(left))


# ---- what is counted ------------------------------------------------------------------------------------------------


def executed(path: str, header: Header) -> list[Row]:
    """Return the rows of a header's points, both models executed on the meta device.

    Raises:
        CountMismatch, UncountedOperation: a count cannot be trusted.
        BaselineBroken: a point of the header cannot be.
    """
    from spanbench.cli.guard import checked_point
    from spanbench.measure.machine.cpu import usable_cores
    from spanbench.run.baseline import counted_rows

    points = [(asked, _asked(path, number, asked, header, lambda r: checked_point(r)[0])) for number, asked in enumerate(header.asked, 1)]
    with progress() as tell:
        return counted_rows(points, header.convention, tell, usable_cores() or 1)


def closed(path: str, header: Header) -> list[Row]:
    """Return the rows of a header's points by the closed form alone: no torch is loaded.

    Raises:
        BaselineBroken: a point of the header cannot be.
    """
    from spanbench.count.baseline import closed_rows
    from spanbench.prompt import load_prompt
    from spanbench.request import point_of

    built_in = load_prompt(None, None, None, 1)  # read once, cut for each point
    return list(_closed(path, header, lambda request: point_of(request, built_in), closed_rows))


def _closed(path: str, header: Header, resolve: Callable[..., Any], count: Callable[..., list[Row]]) -> Iterator[Row]:
    for number, asked in enumerate(header.asked, 1):
        point, prompt, convention = _asked(path, number, asked, header, resolve)
        yield from count(asked, point, prompt, convention)


def _asked(path: str, number: int, asked: Asked, header: Header, resolve: Callable[..., Any]) -> Any:
    """Resolve a point with today's presets and config; what is wrong with it is told with its place in the file."""
    from spanbench.judge.baseline.errors import BaselineBroken

    try:
        return resolve(asked.request(Path(path).parent, header.convention))
    except SpanbenchError as error:
        raise BaselineBroken(f"{path}, line 1, point {number} ({asked.name}): {error}") from None
