"""The range of torch that is stated: one and the same everywhere, and tested at both ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from spanbench.count.module import TORCH_VERSIONS

ROOT = Path(__file__).parents[3]
FIRST, END = TORCH_VERSIONS
LAST = (END[0], END[1] - 1)

# What a release of torch can change a count by; `tests/run` and `tests/model` take three to fifteen minutes more.
TESTS = ("tests/count", "tests/oracle")
NEEDED = ("hypothesis", "pytest", "pytest-xdist")


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def test_the_range_is_the_one_that_is_installed_with() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (requirement,) = [line for line in project["dependencies"] if re.match(r"torch\W", line)]
    assert requirement == f"torch>={dotted(FIRST)},<{dotted(END)}"


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("docs/count-module.md", f"torch ≥ {dotted(FIRST)} and < {dotted(END)}, the range that spanbench installs with"),
        ("docs/verification.md", f"torch {dotted(FIRST)} to {dotted(LAST)}"),
        ("README.md", f"spanbench needs torch {dotted(FIRST)} to {dotted(LAST)}"),
    ],
)
def test_the_range_is_the_one_that_the_pages_state(page: str, sentence: str) -> None:
    assert sentence in (ROOT / page).read_text(encoding="utf-8")


def test_the_pinned_release_and_the_one_at_hand_are_within_the_range() -> None:
    (pinned,) = re.findall(r"^torch==(\d+)\.(\d+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    for release in (tuple(map(int, pinned)), tuple(map(int, torch.__version__.split(".")[:2]))):
        assert FIRST <= release < END


@pytest.fixture
def environment() -> Iterator[Path]:
    """An empty virtual environment that is gone afterwards: a build of torch with CUDA takes several GB."""
    with TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        yield Path(folder)


def run(*command: object) -> str:
    """What a command prints; a failure shows the end of it."""
    settings = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("release", [FIRST, LAST], ids=dotted)
def test_counts_hold_at_both_ends_of_the_range(release: tuple[int, int], environment: Path) -> None:
    """Everything but torch, and setuptools that each release of torch bounds, is what constraints.txt pins."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    constraints = environment / "constraints.txt"
    constraints.write_text("\n".join(pin for pin in pins if not pin.startswith(("torch==", "setuptools=="))), encoding="utf-8")
    python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-cache-dir", "-c", constraints, f"torch=={dotted(release)}.*", *NEEDED, ROOT)
    assert run(python, "-c", "import torch; print(torch.__version__)").startswith(f"{dotted(release)}.")
    summary = run(python, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *TESTS).splitlines()[-1]
    assert re.match(r"\d{3,} passed", summary)
