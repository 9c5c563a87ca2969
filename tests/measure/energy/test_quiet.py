"""Whole commands leave nothing behind and call nobody; importing the meters loads no library of theirs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SECONDS = 180
"""A process that hangs is cut off here."""

SPOKEN = re.compile(r"(counting|reading meters|measuring [a-z' ]+|timing [a-z ]+) …")

# Loaded by Python itself in every process, those that spanbench starts included: an audit hook cannot be taken out again.
HOOK = """
import os, sys
CALLS = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
def watch(event, arguments):
    if event in CALLS:
        with open(os.environ["SEEN_SOCKETS"], "a") as file:
            file.write(f"{event} {arguments[1:]}\\n")
sys.addaudithook(watch)
"""

HEAVY = ("codecarbon", "fvcore", "numpy", "pandas", "psutil", "pynvml", "torch")


@dataclass(frozen=True)
class Place:
    """A user's home, folder and temporary folder, all empty, and what the hook saw of the network."""

    home: Path
    folder: Path
    temporary: Path
    seen: Path
    site: Path
    cache: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the variables of a process that lives there."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "CODECARBON_"))}
        path = os.pathsep.join((str(self.site), str(ROOT)))
        own = {"HOME": self.home, "TMPDIR": self.temporary, "SEEN_SOCKETS": self.seen, "SPANBENCH_CACHE": self.cache}
        return kept | {name: str(value) for name, value in own.items()} | {"PYTHONPATH": path, "COLUMNS": "80"}

    @property
    def left(self) -> list[Path]:
        """Return what now lies about, but for the empty folder that importing torch's compiler makes."""
        found = [path for folder in (self.home, self.folder, self.temporary) for path in folder.rglob("*")]
        return [path for path in found if not path.name.startswith("torchinductor_") or any(path.iterdir())]  # torch makes it, empty

    @property
    def sockets(self) -> str:
        """Return what was done with a socket, a line each."""
        return self.seen.read_text(encoding="utf-8") if self.seen.exists() else ""

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python there."""
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(*(tmp_path / name for name in ("home", "folder", "temporary", "seen", "site", "cache")))
    for folder in (found.home, found.folder, found.temporary, found.site):
        folder.mkdir()
    (found.site / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    return found


COMPARE = (
    *("compare", "--preset", "tiny", "--tokens", "42", "--span", "8", "--regime", "prefill"),
    *("--meter", "codecarbon", "--co2", "FRA", "--max-time", "1", "--no-limits"),
)


@pytest.mark.parametrize("arguments", [("meters",), COMPARE], ids=["meters", "compare"])
def test_a_command_leaves_no_file_calls_nobody_and_lets_no_library_speak(place: Place, arguments: tuple[str, ...]) -> None:
    done = place.run("-m", "spanbench", *arguments)
    assert done.returncode == 0, done
    assert [line for line in done.stderr.splitlines() if not SPOKEN.fullmatch(line)] == []
    assert place.left == []
    assert place.sockets == ""


def test_a_connection_a_file_and_a_library_s_word_would_have_been_seen(place: Place) -> None:
    call = "import socket; socket.socket().connect(('127.0.0.1', 9))"
    leave = "import sys; open('left', 'w').close(); sys.stderr.write('[codecarbon INFO]\\n')"
    done = place.run("-c", f"{leave}; import subprocess; subprocess.run([sys.executable, '-c', {call!r}])")
    assert next(line for line in done.stderr.splitlines() if not SPOKEN.fullmatch(line)) == "[codecarbon INFO]"
    assert place.left == [place.folder / "left"]
    assert place.sockets == "socket.connect (('127.0.0.1', 9),)\n"


def test_importing_the_meters_loads_none_of_their_libraries() -> None:
    show = f"print(sorted(set(sys.modules) & set({HEAVY})))"
    script = f"import sys; from spanbench.measure.energy import METERS, get_meter; {show}; [get_meter(name) for name in METERS]; {show}"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=SECONDS, check=True)
    assert done.stdout == "[]\n[]\n"
