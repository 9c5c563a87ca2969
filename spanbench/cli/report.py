"""`spanbench report`: tables, plots and a page from any files of records. Loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spanbench.cli.output import put
from spanbench.cli.values import completed, completed_list, format_name
from spanbench.errors import UsageError
from spanbench.point import check_choice
from spanbench.show.formats import FORMATS

__all__ = ["EXPORT_NAMES", "report"]

EXPORT_NAMES = ("csv", "wide", "parquet", "markdown", "svg", "png", "html")
"""For help and completion, which import no exporter; a test holds them to the exporters there are."""
USUAL_NAMES = ("csv", "wide", "markdown", "svg", "html")

Files = Annotated[list[str], typer.Argument(metavar="FILE", help="Files of records, as --out of compare, count and sweep writes them")]
Folder = Annotated[str | None, typer.Option("--out", metavar="DIR", help="Write files into DIR [default: print the report]")]
Formats = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[,NAME]",
        autocompletion=completed_list(EXPORT_NAMES),
        help=f"What --out writes: {', '.join(EXPORT_NAMES)} [default: {','.join(USUAL_NAMES)}]",
    ),
]
Printed = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        parser=format_name,
        autocompletion=completed(FORMATS),
        help=f"{', '.join(FORMATS)} [default: markdown; with --out table, of what was written]",
    ),
]


def report(files: Files, out: Folder = None, formats: Formats = None, fmt: Printed = None) -> None:
    """Report on files of records: figures against the length of the prompt, fitted exponents, and what they say of the documents' claims.

    Records of several conventions or machines stand in sections of their own. Equal records give byte-identical files.
    """
    names = _names(formats, out)
    from spanbench.show.report.export import check_folder, export, wanted_of
    from spanbench.show.report.page import render_report
    from spanbench.show.report.reading.loading import load, no_collections
    from spanbench.show.report.sections.build import build
    from spanbench.show.report.written import render_written

    if out is not None:
        check_folder(Path(out), names)
    with no_collections():
        digests = load([Path(file) for file in files], wanted_of(names), lambda text: typer.echo(f"note: {text}", err=True))
        built = build(digests)
        if out is None:
            put(render_report, built, fmt or "markdown")
        else:
            put(render_written, (built, export(digests, built, Path(out), names)), fmt or "table")


def _names(given: str | None, out: str | None) -> tuple[str, ...]:
    """Return the formats to write; none without a folder."""
    if out is None:
        if given is not None:
            raise UsageError(f"--formats {given}: names files to write; give their folder with --out DIR, or --format to print one")
        return ()
    names = tuple(name.strip() for name in (given or ",".join(USUAL_NAMES)).split(",") if name.strip())
    if not names:
        raise UsageError(f"--formats {given!r}: no format given — known: {', '.join(EXPORT_NAMES)}")
    for name in names:
        check_choice("--formats", name, EXPORT_NAMES)
    return names
