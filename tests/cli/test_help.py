"""Help is complete at 80 columns, and loads nothing heavy."""

from __future__ import annotations

import re

import pytest

import spanbench
from tests.cli.running import Cli, python

COMMANDS = (
    "compare",
    "count",
    "tables",
    "generate",
    "explain",
    "presets",
    "meters",
    "sweep",
    "merge",
    "report",
    "diff",
    "verify",
    "schema",
    "check",
    "ratio",
    "reuse",
    "baseline",
    "store",
)


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_fits_80_columns_and_cuts_no_sentence(cli: Cli, command: tuple[str, ...]) -> None:
    shown = cli.data(*command, "--help")
    assert max(map(len, shown.splitlines())) <= 80
    assert "..." not in re.sub(r"[]}]\.\.\.", "", shown)  # what may be given again
    assert cli.data(*command, "-h") == shown


def test_help_names_every_command_with_a_whole_sentence(cli: Cli) -> None:
    listed = re.findall(r"^  (\w+)  (.*)$", cli.data("--help").partition("Commands:")[2], re.MULTILINE)
    assert [name for name, _ in listed] == list(COMMANDS)
    assert all(line.endswith(".") for _, line in listed)


def test_without_a_command_help_is_what_is_wrong(cli: Cli) -> None:
    ran = cli()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == cli.data("--help")


def test_the_version_is_one_line(cli: Cli) -> None:
    assert cli.data("--version") == f"spanbench {spanbench.__version__}\n"


@pytest.mark.parametrize("command", [(), ("compare",)])
def test_help_imports_nothing_heavy(command: tuple[str, ...]) -> None:
    code = "import sys; from spanbench.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    loaded = {name.partition(".")[0] for name in python(code, *command, "--help").stderr.split()}
    assert "spanbench" in loaded
    assert loaded & {"torch", "numpy", "pandas", "matplotlib", "fvcore", "codecarbon", "rich"} == set()
