"""`spanbench merge`: files of records put together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spanbench.cli.options import Format
from spanbench.cli.output import put

__all__ = ["merge"]


def merge(
    out: Annotated[str, typer.Argument(metavar="OUT", help="File of the union; what it holds already stays in it")],
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files of records, such as those of --shard")],
    fmt: Format = "table",
) -> None:
    """Put files of records together in OUT, each record once; a measured record takes the place of a counted one."""
    from spanbench.sweep.merge import merge as merged
    from spanbench.sweep.merging import MergeOf, render_merge

    found = merged(Path(out), [Path(file) for file in files], lambda text: typer.echo(text, err=True))
    put(render_merge, MergeOf(out, files, found), fmt)
