"""What goes where: data to standard output, progress and notes to standard error."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from spanbench.errors import UsageError

if TYPE_CHECKING:
    from spanbench.record import Record

__all__ = ["check_out", "keep", "progress", "put"]

T = TypeVar("T")


def put(render: Callable[[T, str, int, bool], str], data: T, fmt: str) -> None:
    """Print a view at the terminal's width, in colour where standard output is a terminal that wants it.

    Raises:
        UsageError: standard output cannot be written: a full disk, or it is closed.
    """
    colour = sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    text = render(data, fmt, shutil.get_terminal_size().columns, colour)
    try:
        _write(text)
    except BrokenPipeError:  # `spanbench … | head`: the reader has seen enough
        _silence_stdout()
    except OSError as error:
        _silence_stdout()
        raise UsageError(f"standard output cannot be written: {error.strerror}") from None


def _write(text: str) -> None:
    if sys.stdout is None:
        raise OSError(0, "it is closed")
    sys.stdout.write(text)
    sys.stdout.flush()


def _silence_stdout() -> None:
    """Let what is still in the buffer go nowhere: the interpreter would try to write it again at its end."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def check_out(out: str | None) -> None:
    """Refuse an `--out` that cannot be written, before any work is done."""
    if out is not None:
        from spanbench.record import check_writable

        check_writable(Path(out))


@contextmanager
def keep(out: str | None, record: Record) -> Iterator[None]:
    """Append the record where the user asked for it, before anything else can go wrong.

    Where that fails (a disk that filled up meanwhile) the figures are shown all the same, and the failure told after them.
    """
    failure: UsageError | None = None
    if out is not None:
        from spanbench.record import append

        try:
            append(Path(out), record)
            typer.echo(f"appended record {record.id} to {out}", err=True)
        except UsageError as error:
            failure = error
    yield
    if failure is not None:
        raise failure


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show what is being done: a bar on a terminal, a line a step elsewhere."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks = {}

        def tell(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of)
            bar.update(tasks[what], completed=done, total=of)

        yield tell


class _Lines:
    """Progress for a log: one line when a step begins."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def __call__(self, what: str, done: int, of: int) -> None:
        """Print a step's name the first time it is told of."""
        if what not in self.seen:
            self.seen.add(what)
            typer.echo(f"{what} …", err=True)
