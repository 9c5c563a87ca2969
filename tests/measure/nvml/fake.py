"""A fake NVIDIA driver for a process of its own: the real bindings load a library that is built here and knows the true energy.

The words of a scenario, for all boards, or with `.N` for board N alone: boards (how many), driven (1: the test moves the
clock), follows_cpu (1: the boards are as busy as the process), name, period, phase, idle, busy, gain, offset, power_gain,
limit, slices (of MIG), foreign (the id of another process), reasons (bits of throttling), and nvmlFunction=code for a
fault, nvmlFunction@3=code after three good calls; nvmlField185 and nvmlField186 are the two fields of power.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

_SOURCE = Path(__file__).with_name("fake_nvml.c")
_ROOT = Path(__file__).parents[3]


@cache
def library_folder(without: tuple[str, ...] = ()) -> Path:
    """Return a folder with the fake libnvidia-ml.so.1, built once a process; it lacks the functions in `without`."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("the fake NVIDIA library is C, and there is no cc here")
    holder = TemporaryDirectory(prefix="fake-nvml-")
    atexit.register(holder.cleanup)
    folder = Path(holder.name)
    hidden = " ".join(f"{name};" for name in without)
    (folder / "symbols.map").write_text(f"{{ global: *; {f'local: {hidden}' if hidden else ''} }};", encoding="utf-8")
    output = folder / "libnvidia-ml.so.1"
    options = ["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1"]
    script = f"-Wl,--version-script={folder / 'symbols.map'}"
    subprocess.run([compiler, *options, script, "-o", str(output), str(_SOURCE), "-lm"], check=True)
    return folder


def environment(*words: str, without: tuple[str, ...] = (), **settings: str) -> dict[str, str]:
    """Return the environment of a process that sees the fake driver with this scenario; `settings` are more variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CUDA_", "SPANBENCH_"))}
    fake = {"LD_LIBRARY_PATH": str(library_folder(without)), "SPANBENCH_FAKE_NVML": ";".join(words), "PYTHONPATH": str(_ROOT)}
    return kept | fake | settings


def run(script: str, *words: str, without: tuple[str, ...] = (), arguments: tuple[str, ...] = (), **settings: str) -> Any:
    """Run a script in a process of its own under the fake driver, and return the JSON that it prints, alone.

    It must print nothing on stderr, and warnings are errors.
    """
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    done = subprocess.run(
        command, env=environment(*words, without=without, **settings), capture_output=True, text=True, check=False, timeout=600
    )
    assert (done.stderr, done.returncode) == ("", 0)
    return json.loads(done.stdout)
