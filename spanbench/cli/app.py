"""The commands put together, and what the parser itself finds wrong brought into one line."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import spanbench
from spanbench.cli.baseline import baseline_app
from spanbench.cli.check import check
from spanbench.cli.compare import compare
from spanbench.cli.count import count, tables
from spanbench.cli.diff import diff
from spanbench.cli.explain import explain
from spanbench.cli.generate import generate
from spanbench.cli.interrupt import INTERRUPTED
from spanbench.cli.merge import merge
from spanbench.cli.meters import meters
from spanbench.cli.point import point
from spanbench.cli.presets import presets
from spanbench.cli.ratio import ratio
from spanbench.cli.report import report
from spanbench.cli.reuse import reuse
from spanbench.cli.schema import schema
from spanbench.cli.store import store_app
from spanbench.cli.sweep import sweep
from spanbench.cli.verify import verify
from spanbench.errors import UsageError

__all__ = ["app", "run_app"]

# The base of every parse error. Typer exports only some of its children.
_ParseError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

# Plain text throughout: help that needs no rich starts sooner and reads the same in a pipe.
app = typer.Typer(
    name="spanbench",
    help="Count and measure what a latent-per-span model costs beside a dense transformer, on the same prompt.",
    epilog="'spanbench COMMAND --help' lists the options of a command.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
# One line each at 80 columns: typer cuts a longer one.
app.command(short_help="Run and count both models on one prompt.")(compare)
app.command(short_help="Count only, on any sizes: no memory for weights is needed.")(count)
app.command(short_help="Count the documents' two comparisons at their own scale.")(tables)
app.command(short_help="Let both models speak after the prompt, with all caches.")(generate)
app.command(short_help="Print the formulas with this run's numbers put in.")(explain)
app.command(short_help="List the models, with parameters, FLOPs and memory.")(presets)
app.command(short_help="List where joules can come from on this machine.")(meters)
app.command(short_help="Run every point of a grid, and keep each record at once.")(sweep)
app.command(short_help="Put files of records together, each record once.")(merge)
app.command(hidden=True)(point)
app.command(short_help="Report on files of records: tables, plots, one page.")(report)
app.command(short_help="Show what differs between two records or files.")(diff)
app.command(short_help="Check records: every count derived again.")(verify)
app.command(short_help="Print the JSON Schema of a record.")(schema)
app.command(short_help="Hold counts against a baseline, or times against a git ref.")(check)
app.command(short_help="Demand ratios: one gate, or several of a TOML file.")(ratio)
app.command(short_help="Say what a document costs that is read by many queries.")(reuse)
app.add_typer(baseline_app, name="baseline")
app.add_typer(store_app, name="store")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spanbench {spanbench.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001  # its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Hold the options that belong to no command; without a command, help is the error's message."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def run_app(arguments: list[str] | None) -> int:
    """Parse, run one command, and return its exit code.

    Raises:
        SpanbenchError: what went wrong, in one line.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # × and ² must not end a run on a terminal that has only ASCII
    try:
        code = int(app(arguments, prog_name="spanbench", standalone_mode=False) or 0)
    except _ParseError as error:
        raise UsageError(_in_one_line(error)) from None
    except typer.Abort:
        code = INTERRUPTED
    if code == INTERRUPTED:  # typer turns the exception into a bare code
        raise KeyboardInterrupt
    return code


def _in_one_line(error: Exception) -> str:
    text = getattr(error, "format_message", lambda: str(error))()
    line = " ".join(str(text).split()).rstrip(".")
    context = getattr(error, "ctx", None)
    if "No such option" in line and context is not None and context.parent is None:
        return f"{line}; options follow the command, see spanbench --help"
    return f"{line}; see {context.command_path} --help" if context is not None else line
