"""The pytest plugin `spanbench`: the fixture `assert_counts` and the option `--spanbench-update` (docs/testing.md).

pytest imports this in every run of everybody who has spanbench installed, so it loads nothing else until a test asks.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from spanbench.testing import Asked, AssertCounts

__all__ = ["assert_counts"]

_ASKED = pytest.StashKey[list["Asked"]]()
_OWNERS = pytest.StashKey[dict[tuple[str, str], str]]()
_REPORTED = "spanbench_asked"
"""Attribute of a report: it goes with the report from a worker of pytest-xdist to the process that prints."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes baselines."""
    group = parser.getgroup("spanbench")
    group.addoption(
        "--spanbench-update", action="store_true", help="write what assert_counts counts into its baselines instead of comparing"
    )


@pytest.fixture
def assert_counts(request: pytest.FixtureRequest) -> AssertCounts:
    """Compare a module's exact counts with a committed baseline: `assert_counts(module, inputs, "counts.jsonl", name=None)`.

    Counted are FLOPs (also by module), attention cells, parameters and bytes of one forward, with tolerance 0. A relative
    baseline lies beside the test's file; its line is named after the test unless `name` is given.
    """
    from spanbench.testing import AssertCounts

    given = AssertCounts(
        request.node.name,
        _command(request),
        request.path.parent,
        request.config.stash.setdefault(_OWNERS, {}),
        writes=bool(request.config.getoption("--spanbench-update")),
    )
    request.node.stash[_ASKED] = given.asked
    return given


def _command(request: pytest.FixtureRequest) -> str:
    """Return the test's id as seen from the folder in which pytest was started: ids are given from the root folder."""
    _, colons, rest = request.node.nodeid.partition("::")
    file = request.path
    try:
        shown = Path(os.path.relpath(file, request.config.invocation_params.dir)).as_posix()
    except ValueError:  # another drive
        shown = file.as_posix()
    return f"{shown}{colons}{rest}"


# ---- what is told at the end ----------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put into a test's report which lines it asked for."""
    report = yield
    if report.when == "call" and (asked := item.stash.get(_ASKED, [])):
        setattr(report, _REPORTED, [[one.path, one.name, one.written] for one in asked])
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Tell which baselines were written, and which of their lines no test asks for."""
    asked = [one for reports in terminalreporter.stats.values() for report in reports for one in getattr(report, _REPORTED, [])]
    files: dict[str, set[str]] = {}
    for path, name, _ in asked:
        files.setdefault(path, set()).add(name)
    for path, names in sorted(files.items()):
        written = sum(one[0] == path and one[2] for one in asked)
        if written:
            terminalreporter.write_line(f"spanbench: {path}: {written} line{'' if written == 1 else 's'} written")
        if exitstatus == 0 and _is_whole(terminalreporter.stats, config):
            _tell_unasked(terminalreporter, path, names)


def _is_whole(stats: dict[str, list[object]], config: pytest.Config) -> bool:
    """Tell whether every test ran: of a part of them, the others' lines are not asked for either."""
    return not any(stats.get(key) for key in ("deselected", "skipped", "xfailed")) and not config.getoption("file_or_dir")


def _tell_unasked(terminalreporter: pytest.TerminalReporter, path: str, names: set[str]) -> None:
    from spanbench.testing import read

    unasked: Sequence[str] = sorted((read(Path(path)) or {}).keys() - names)
    if unasked:
        told = ", ".join(repr(name) for name in unasked)
        terminalreporter.write_line(f"spanbench: {path}: no test asks for {told}; take lines out whose tests are gone")
