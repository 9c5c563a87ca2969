"""`spanbench count` and `tables`: counts only, on the meta device; nothing is run on real numbers."""

from __future__ import annotations

from typing import Annotated

import typer

from spanbench.cli.options import Format, Out, Verify, given_flags, takes_request, with_note
from spanbench.cli.output import check_out, keep, progress, put
from spanbench.errors import UsageError
from spanbench.presets import ALLOCATIONS
from spanbench.request import DTYPE_ALIASES, Request

__all__ = ["count", "tables"]

DOCUMENTS_POINTS = ((24, 8), (2048, 32))
"""(tokens, span) of the documents' two comparisons."""


Module = Annotated[
    str | None, typer.Option(metavar="PKG.MOD:FACTORY", help="Count a torch module instead of the pair; FACTORY() returns it.")
]
Input = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="[NAME=]SHAPE[:DTYPE]", help="An input of --module: 1x3x224x224, ids=1x128:int64 (repeatable)."),
]


@takes_request
def count(
    context: typer.Context,
    request: Request,
    module: Module = None,
    inputs: Input = None,
    verify: Verify = False,
    out: Out = None,
    fmt: Format = "table",
) -> None:
    """Count FLOPs, attention cells, parameters and bytes by stage and regime: exactly, at any size, without running a model."""
    if module is not None:
        _count_module(context, request, module, inputs or [], fmt)
        return
    if inputs:
        raise UsageError(f"--input {inputs[0]}: belongs to --module, which is not given")
    from spanbench.cli.guard import checked_point

    check_out(out)
    point, prompt, convention = checked_point(request)
    from spanbench import run
    from spanbench.show.count import render_count

    with progress() as tell:
        record = run.count(point, prompt, convention, verify=verify, progress=tell)
    record = with_note(record, request)
    with keep(out, record):
        put(render_count, record, fmt)


def _count_module(context: typer.Context, request: Request, module: str, inputs: list[str], fmt: str) -> None:
    """Count a user's module, on meta unless a device was asked for; what shapes the pair has no meaning here."""
    from spanbench.cli.module import count_module_command

    given = given_flags(context)
    if strangers := sorted(given - {"module", "inputs", "fmt", "device", "dtype"}):
        raise UsageError(f"--{strangers[0].replace('_', '-')}: does not go with --module; it takes --input, --device, --dtype and --format")
    device = request.device if "device" in given else "meta"
    count_module_command(module, inputs, fmt, device, DTYPE_ALIASES.get(request.dtype, request.dtype))


def tables(fmt: Format = "table") -> None:
    """Count the documents' comparisons, 24×24 against 3×3 and 2048² against 64², at their own scale, and the whole models beside them."""
    from spanbench.cli.points import counted
    from spanbench.show.tables import render_tables

    requests = [
        Request(preset="document", allocation=allocation, tokens=tokens, span=span)
        for tokens, span in DOCUMENTS_POINTS
        for allocation in ALLOCATIONS
    ]
    with progress() as tell:
        records = []
        for done, request in enumerate(requests):
            tell("counting", done, len(requests))
            records.append(counted(request))
    put(render_tables, records, fmt)
