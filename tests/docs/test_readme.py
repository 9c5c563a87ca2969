"""README and docs keep their promises: commands run as printed, shown output is real, links lead somewhere.

A fenced block marked `sh` (each line a command) or `console` (commands after `$ `, output below them) that calls
`spanbench` is given to the shell whole, in an empty folder. A comment just above the fence says what is special
about it, in any combination (`<!-- test: slow; measured -->`):

    <!-- test: slow -->               runs with --slow only
    <!-- test: measured -->           output holds times or joules, so what is shown is not compared
    <!-- test: exit 3 -->             the last command ends with this code instead of 0
    <!-- test: skip because ... -->   is not run

In output that is compared, `...` stands for anything, and blanks count only as between words.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAIN_JOB = "spanbench compare --tokens 2048 --span 32"
SECONDS = 300
"""A block that hangs is cut off here; none should come near it."""

BLOCK = re.compile(r"^(?:<!-- test: (?P<notes>[^\n]*?) -->\n)?```(?P<kind>sh|console)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page: the script it asks a reader to run, and the output it promises."""

    page: str
    line: int
    script: str
    shown: str
    notes: tuple[str, ...]

    @property
    def calls_spanbench(self) -> bool:
        return any(line.startswith("spanbench ") for line in self.script.splitlines())

    @property
    def skipped(self) -> str | None:
        return next((note for note in self.notes if note.startswith("skip")), None)

    @property
    def exit_code(self) -> int:
        return next((int(note.removeprefix("exit ")) for note in self.notes if note.startswith("exit ")), 0)


def split_console(text: str) -> tuple[str, str]:
    """Return the commands of a `console` block, continued lines with them, and the output below them."""
    commands: list[str] = []
    shown: list[str] = []
    continued = False
    for line in text.splitlines():
        is_command = continued or line.startswith("$ ")
        (commands if is_command else shown).append(line.removeprefix("$ ") if is_command else line)
        continued = is_command and line.endswith("\\")
    return "\n".join(commands), "\n".join(shown)


def blocks_of(page: str, text: str) -> list[Block]:
    """Return all fenced shell blocks of a page's text."""
    found = []
    for match in BLOCK.finditer(text):
        body = match["text"]
        script, shown = split_console(body) if match["kind"] == "console" else (body.rstrip("\n"), "")
        notes = tuple(note.strip() for note in (match["notes"] or "").split(";") if note.strip())
        found.append(Block(page, text.count("\n", 0, match.start()) + 1, script, shown, notes))
    return found


def all_blocks() -> list[Block]:
    return [block for page in PAGES for block in blocks_of(page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8"))]


def parameter(block: Block) -> object:
    marks = [pytest.mark.slow] if "slow" in block.notes else []
    if block.skipped:
        marks.append(pytest.mark.skip(reason=f"{block.page}:{block.line}: {block.skipped}"))
    return pytest.param(block, marks=marks, id=f"{block.page}:{block.line}")


def agrees(shown: str, printed: str) -> bool:
    """Whether printed output is what the page shows; `...` stands for anything."""
    return doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)


def as_a_reader() -> dict[str, str]:
    """Return the environment of a plain terminal: `spanbench` on PATH, and all the threads that torch wants."""
    env = {name: value for name, value in os.environ.items() if name not in {"OMP_NUM_THREADS", "MKL_NUM_THREADS"}}
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    return {**env, "PATH": path, "COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"}


@pytest.mark.parametrize("block", [parameter(block) for block in all_blocks() if block.calls_spanbench])
def test_commands_run_as_printed(block: Block, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.script],
        cwd=tmp_path,
        env=as_a_reader(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == block.exit_code, f"{block.script}\n{done.stdout}\n{done.stderr}"
    assert done.stdout, "a command that prints nothing teaches the reader nothing"
    if block.shown and "measured" not in block.notes:
        assert agrees(block.shown, done.stdout), f"shown:\n{block.shown}\nprinted:\n{done.stdout}"


def test_readme_shows_the_main_command() -> None:
    scripts = [block.script for block in blocks_of("README.md", README)]
    assert f"python -m pip install -c constraints.txt . && {MAIN_JOB}" in scripts


@pytest.mark.slow
def test_the_main_command_runs(tmp_path: Path) -> None:
    done = subprocess.run(shlex.split(MAIN_JOB), capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1024×" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_continuous_integration_runs_what_the_readme_says() -> None:
    """The one command that installs and passes the tests is the first check of `.ci/run`."""
    work = next(block.script for block in blocks_of("README.md", README) if "-m pytest" in block.script)
    checks = [line for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines() if line.startswith("check ")]
    assert checks[0] == f'check "{work}"'


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_a_block_is_read_with_its_notes_and_its_output() -> None:
    text = "intro\n\n<!-- test: slow; exit 3 -->\n```console\n$ spanbench count \\\n    --span 8\n64 cells\n```\n"
    assert blocks_of("page.md", text) == [Block("page.md", 3, "spanbench count \\\n    --span 8", "64 cells", ("slow", "exit 3"))]
    assert blocks_of("page.md", text)[0].exit_code == 3


@pytest.mark.parametrize(("printed", "same"), [("64  cells\nin 3 s\n", True), ("65 cells\nin 3 s\n", False), ("64 cells\n", False)])
def test_shown_output_is_compared_but_for_ellipses(printed: str, same: bool) -> None:
    assert agrees("64 cells\nin ... s\n", printed) is same
