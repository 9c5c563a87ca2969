"""A report as files. Equal records give byte-identical files: no date, no path and no order of the input is in them."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanbench.errors import UsageError
from spanbench.files import why
from spanbench.show.report.html.page import html_page
from spanbench.show.report.page import render_report
from spanbench.show.report.plots.every import pictures, weightiest
from spanbench.show.report.plots.picture import Picture
from spanbench.show.report.reading.digest import Digest, Wanted
from spanbench.show.report.summary import Report
from spanbench.show.report.svg.draw import draw_png, draw_svg
from spanbench.show.report.tables.frame import check_parquet, frame_of_rows, read_tidy_csv, write_parquet
from spanbench.show.report.tables.rows import TIDY_COLUMNS, csv_line, wide_lines

__all__ = ["EXPORTS", "MOST_PLOTS", "Written", "check_folder", "export", "wanted_of"]

MOST_PLOTS = 48
"""Files of plots in one folder: of more, those that answer least are left out, as on the page."""

Files = Iterator[tuple[str, Iterable[bytes], str]]
"""Name in the folder, content piece by piece (a table of many records is larger than they are), and what it is."""


@dataclass(frozen=True, slots=True)
class Written:
    """One file that was written: its name in the folder, its size in bytes, and what it is."""

    file: str
    bytes: int
    what: str


def wanted_of(formats: Sequence[str]) -> Wanted:
    """Return which tables must be kept while reading."""
    return Wanted(tidy=bool({"csv", "parquet"} & set(formats)), wide=bool({"wide", "parquet"} & set(formats)))


def check_folder(folder: Path, formats: Sequence[str]) -> None:
    """Make the folder and try it, before anything is read.

    Raises:
        UsageError: it cannot be written, or a format needs a package that is not installed.
    """
    if "parquet" in formats:
        check_parquet()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise UsageError(f"--out: cannot write into {str(folder)!r}: {why(error)}; name a folder you may write") from None


def export(digests: Sequence[Digest], report: Report, folder: Path, formats: Sequence[str]) -> list[Written]:
    """Write the report in each format and return what was written, in the order of `EXPORTS`.

    Raises:
        UsageError: a file cannot be written.
    """
    written = []
    for name, content, what in (found for fmt in EXPORTS if fmt in formats for found in EXPORTS[fmt](digests, report)):
        try:
            size = _write(folder / name, content)
        except OSError as error:
            raise UsageError(f"--out: cannot write {str(folder / name)!r}: {why(error)}") from None
        written.append(Written(name, size, what))
    return written


def _write(path: Path, content: Iterable[bytes]) -> int:
    """Put a whole file in its place, or leave the one that was there; return its size in bytes."""
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.writelines(content)
            size = file.tell()
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return size


def _tidy_lines(digests: Sequence[Digest]) -> Iterator[str]:
    yield csv_line(TIDY_COLUMNS)
    yield from (d.tidy for d in digests)


def _csv(digests: Sequence[Digest], _report: Report) -> Files:
    yield "records.csv", (lines.encode() for lines in _tidy_lines(digests)), "one row a measure"


def _wide(digests: Sequence[Digest], _report: Report) -> Files:
    yield "points.csv", (line.encode() for line in wide_lines([d.wide for d in digests])), "one row a record"


def _parquet(digests: Sequence[Digest], _report: Report) -> Files:
    tidy = read_tidy_csv(io.StringIO("".join(_tidy_lines(digests))))
    yield "records.parquet", [write_parquet(tidy)], "one row a measure"
    yield "points.parquet", [write_parquet(frame_of_rows([d.wide for d in digests]))], "one row a record"


def _pictures(report: Report) -> list[Picture]:
    return weightiest(pictures(report), MOST_PLOTS)


def _svg(_digests: Sequence[Digest], report: Report) -> Files:
    yield from ((f"plots/{picture.name}.svg", [draw_svg(picture).encode()], picture.title) for picture in _pictures(report))


def _png(_digests: Sequence[Digest], report: Report) -> Files:
    yield from ((f"plots/{picture.name}.png", [draw_png(picture)], picture.title) for picture in _pictures(report))


def _html(_digests: Sequence[Digest], report: Report) -> Files:
    yield "report.html", [html_page(report).encode()], "one page of its own, plots in it"


def _markdown(_digests: Sequence[Digest], report: Report) -> Files:
    yield "report.md", [render_report(report, "markdown").encode()], "verdicts and tables"


EXPORTS: Mapping[str, Callable[[Sequence[Digest], Report], Files]] = {
    "csv": _csv,
    "wide": _wide,
    "parquet": _parquet,
    "markdown": _markdown,
    "svg": _svg,
    "png": _png,
    "html": _html,
}
"""Every format that `report --formats` takes."""
