"""Entry point: every command, and one place where errors become a line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import spanbench
from spanbench.cli.compare import compare
from spanbench.cli.count import count, explain, tables
from spanbench.cli.presets import presets
from spanbench.errors import SpanbenchError

__all__ = ["app", "main"]

INTERRUPTED = 130

# The base of every parse error. Typer exports only some of its children.
_ParseError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

app = typer.Typer(
    name="spanbench",
    help="Count and measure what a latent-per-span model costs beside a dense transformer, on the same prompt.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for command in (compare, count, tables, explain, presets):
    app.command()(command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spanbench {spanbench.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Hold the options that belong to no command."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code (DESIGN: 0 fine, 2 usage, 3 cannot count, 5 nothing, 130 interrupted)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # × and ² must not end a run on a terminal that has only ASCII
    try:
        return int(app(arguments, standalone_mode=False) or 0)
    except SpanbenchError as error:
        return _fail(str(error), error.exit_code)
    except _ParseError as error:
        return _fail(_parse_message(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted; what was finished is kept", INTERRUPTED)
    except BrokenPipeError:  # `spanbench … | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _fail("out of memory; take fewer --tokens, a smaller --batch or a smaller --preset", 2)


def _parse_message(error: Exception) -> str:
    format_message = getattr(error, "format_message", lambda: str(error))
    return " ".join(str(format_message()).split()) or "see spanbench --help"


def _fail(message: str, code: int) -> int:
    typer.echo(f"spanbench: error: {message}", err=True)
    return code
