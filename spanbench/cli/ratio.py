"""`spanbench ratio`: gates on token ÷ latent, so that a pipeline can demand a ratio."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spanbench.cli.options import Format, Verify, given_flags, takes_request
from spanbench.cli.output import progress, put
from spanbench.cli.values import completed
from spanbench.errors import NothingMeasured, UsageError
from spanbench.point import ALL_REGIMES, check_choice
from spanbench.request import MAX, Request

if TYPE_CHECKING:
    from spanbench.judge.gates import Gate, Judged
    from spanbench.point import Point
    from spanbench.prompt import Prompt
    from spanbench.record import Measure
    from spanbench.tally import Convention

__all__ = ["ratio"]

QUANTITY, STAGE = "flops", "total"
_FILE_OPTIONS = {"gates", "closed_form", "verify", "fmt"}
"""What goes with gates from a file: the rest stands in it."""

Least = Annotated[str | None, typer.Option("--min", metavar="X", help="Least token ÷ latent that passes, as an exact decimal")]
Most = Annotated[str | None, typer.Option("--max", metavar="X", help="Most token ÷ latent that passes")]
QuantityName = Annotated[
    str,
    typer.Option(
        "--quantity",
        metavar="NAME",
        autocompletion=completed(
            ("flops", "macs", "cells_dense", "cells_useful", "params", "bytes_compulsory", "bytes_fused", "state_bytes")
        ),
        help="An exact quantity, such as flops, cells_dense, params, bytes_compulsory",
    ),
]
StageName = Annotated[
    str,
    typer.Option("--stage", metavar="NAME", autocompletion=completed(("total", "embedding", "head")), help="total, embedding, head"),
]
GatesFile = Annotated[
    str | None,
    typer.Option(
        "--gates", metavar="FILE", help="TOML file of several gates [default, without --min and --max: spanbench.toml, pyproject.toml]"
    ),
]
ClosedForm = Annotated[bool, typer.Option("--closed-form", help="Take the formulas alone, without torch: a changed model is not seen")]


@takes_request
def ratio(
    context: typer.Context,
    request: Request,
    least: Least = None,
    most: Most = None,
    quantity: QuantityName = QUANTITY,
    stage: StageName = STAGE,
    gates: GatesFile = None,
    closed_form: ClosedForm = False,
    verify: Verify = False,
    fmt: Format = "table",
) -> None:
    """Demand that token ÷ latent of an exact quantity lies between limits: one gate of the command line, or those of a file.

    Exit code 0: every gate holds; 1: one fails; 3: one has no ratio, or the counts disagree; 5: there is no gate.
    """
    from spanbench.judge.gates import refuse
    from spanbench.show.ratio import Gated, render_ratio, workflow_commands

    if closed_form and verify:
        raise UsageError("--verify: runs the witnesses, which --closed-form leaves out; give one of the two")
    if least is None and most is None:
        asked = _from_file(context, gates)
    else:
        _check_alone(gates)
        asked = _from_flags(request, least, most, quantity, stage)
    judged, verified = _judged(asked, closed_form=closed_form, verify=verify)
    put(render_ratio, Gated(judged, closed_form, verified), fmt)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in workflow_commands(judged):
            typer.echo(line, err=True)
    refuse(judged)


# ---- which gates ----------------------------------------------------------------------------------------------------


def _check_alone(gates: str | None) -> None:
    if gates is not None:
        raise UsageError("--gates: does not go with --min and --max; put the limits into the file, or leave --gates out")


def _from_flags(request: Request, least: str | None, most: str | None, quantity: str, stage: str) -> list[Gate]:
    """Return a gate for each regime that was asked for."""
    from spanbench.judge.gates import Gate, check_limits, check_quantity, check_stage, parse_limit

    if request.note:
        raise UsageError(f"--batch {MAX}: depends on the machine's memory, so it cannot gate; give a number")
    low, high = (None if x is None else parse_limit(x, option) for x, option in ((least, "--min"), (most, "--max")))
    check_limits(low, high, "--min and --max")
    check_quantity(quantity, "--quantity")
    check_stage(stage, "--stage")
    for regime in request.regimes:
        check_choice("--regime", regime, ALL_REGIMES)
    return [
        Gate(replace(request, regimes=(regime,)), quantity, regime, stage, low, high, number=number)
        for number, regime in enumerate(dict.fromkeys(request.regimes), start=1)
    ]


def _from_file(context: typer.Context, gates: str | None) -> list[Gate]:
    """Return the gates of the file that was named, or of the first one that is looked for.

    Raises:
        NothingMeasured: there is no such file, or it has no gate.
    """
    from spanbench.judge.gates import DEFAULT_FILES, read_gates

    path = gates if gates is not None else next((name for name in DEFAULT_FILES if Path(name).is_file()), None)
    if path is None:
        raise NothingMeasured(f"ratio: there is no gate; give --min or --max, or write gates into {' or '.join(DEFAULT_FILES)}")
    if strangers := sorted(given_flags(context) - _FILE_OPTIONS):
        name = {"shape": "set", "regimes": "regime"}.get(strangers[0], strangers[0])
        raise UsageError(f"--{name}: goes with --min or --max; gates of {path!r} take their points from it")
    return read_gates(path)


# ---- counting -------------------------------------------------------------------------------------------------------


def _judged(gates: Sequence[Gate], *, closed_form: bool, verify: bool) -> tuple[list[Judged], list[str]]:
    """Count each point once, in all regimes that its gates ask for; return the gates in their order, and what was checked."""
    from spanbench.cli.guard import checked_point
    from spanbench.judge.gates import judge

    found: dict[int, Judged] = {}
    verified: dict[str, None] = {}
    with progress() as tell:
        for request, group in _by_point(gates):
            point, prompt, convention = checked_point(request)
            if closed_form:
                measures, checks = _formulas(point, prompt, convention), []
            else:
                from spanbench import run

                record = run.count(point, prompt, convention, verify=verify, progress=tell)
                measures, checks = record.measures, record.verified
            verified |= dict.fromkeys(checks)
            found |= {gate.number: judge(gate, point, measures) for gate in group}
    return [found[gate.number] for gate in gates], list(verified)


def _by_point(gates: Sequence[Gate]) -> Iterator[tuple[Request, list[Gate]]]:
    """Yield each different point with its gates."""
    groups: list[tuple[Request, list[Gate]]] = []
    for gate in gates:
        asked = replace(gate.request, regimes=(), tokens=gate.request.row_tokens)
        same = next((group for request, group in groups if request == asked), None)
        if same is None:
            groups.append((asked, [gate]))
        else:
            same.append(gate)
    for request, group in groups:
        wanted = {gate.regime for gate in group}
        yield replace(request, regimes=tuple(regime for regime in ALL_REGIMES if regime in wanted)), group


def _formulas(point: Point, prompt: Prompt, convention: Convention) -> list[Measure]:
    from spanbench.count.distinct import distinct_rows
    from spanbench.count.formula import closed_form
    from spanbench.record import counted_measures

    distinct = distinct_rows(prompt.ids, point, prompt.following(point.said))
    return [
        row
        for regime in point.regimes
        for row in counted_measures(closed_form(point, regime, distinct), None, regime, convention, "closed form", point.steps(regime))
    ]
