"""The options of the command line are a promise: a change of a name or a default must be meant.

After a change that is meant: `SPANBENCH_UPDATE_OPTIONS=1 pytest tests/cli/test_options.py`, and look at the difference.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from spanbench.cli.app import app
from spanbench.cli.timing import METERS
from spanbench.measure.energy import AUTO
from spanbench.measure.energy import METERS as ALL_METERS

GOLDEN = Path(__file__).parent / "options.json"


def options() -> dict[str, Any]:
    """Return command → option → default, kind and placeholder, as the parser has them."""
    commands = dict(_commands("", typer.main.get_command(app)))
    return {name: {" ".join((*p.opts, *p.secondary_opts)): _promise(p) for p in command.params} for name, command in commands.items()}


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield a command and those below it, by all that is typed in front of its options."""
    yield name, command
    for word, child in getattr(command, "commands", {}).items():
        yield from _commands(f"{name} {word}".strip(), child)


def _several(parameter: Any) -> bool:
    """Return whether it may be given more than once; an argument that takes many has no such mark but a count."""
    return bool(getattr(parameter, "multiple", parameter.nargs == -1))


def _promise(parameter: Any) -> dict[str, Any]:
    return {
        "default": parameter.default,
        "metavar": parameter.metavar,
        "flag": getattr(parameter, "is_flag", False),
        "repeatable": _several(parameter),
    }


def test_names_and_defaults_are_frozen() -> None:
    found = json.dumps(options(), indent=1) + "\n"
    if os.environ.get("SPANBENCH_UPDATE_OPTIONS"):
        GOLDEN.write_text(found)
    assert found == GOLDEN.read_text()


def test_the_meters_named_are_the_meters_there_are() -> None:
    assert (AUTO, *ALL_METERS) == METERS
