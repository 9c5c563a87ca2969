"""Whether torch.compile can work here, found out before anything is counted: it needs tools that torch does not bring."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from spanbench.errors import UsageError

__all__ = ["Tools", "check_compile"]

_PYTHON_END = (3, 15)  # torch 2.13 compiles on none from here on
_FREE_THREADED = (3, 13, 3)  # nor without a GIL before this
_WITHOUT = "or leave --compile out"


@dataclass(frozen=True, slots=True)
class Tools:
    """What is looked at; tests hand in machines that they have not."""

    system: str = sys.platform
    python: tuple[int, int, int] = sys.version_info[:3]
    free_threaded: bool = sysconfig.get_config_var("Py_GIL_DISABLED") == 1
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    headers: Path = field(default_factory=lambda: Path(sysconfig.get_path("include")))
    triton: bool = field(default_factory=lambda: find_spec("triton") is not None)


def check_compile(device: str, tools: Tools | None = None) -> None:
    """Refuse what torch.compile cannot do; that a compiler is there does not yet mean that it works.

    Raises:
        UsageError: the device, the system or the Python is not one it works on, it is switched off, or a tool is missing.
    """
    found, kind = tools or Tools(), device.partition(":")[0]
    if kind not in {"cpu", "cuda"}:
        raise UsageError(f"--compile: works on cpu and cuda, not on --device {device!r}; take one of them {_WITHOUT}")
    if found.system == "win32":
        raise UsageError("--compile: is not supported on Windows; leave --compile out")
    _check_python(found)
    if found.environment.get("TORCH_COMPILE_DISABLE") == "1":  # torch would run the eager model and say nothing
        raise UsageError(f"--compile: TORCH_COMPILE_DISABLE=1 switches the compiler off; unset it {_WITHOUT}")
    if kind == "cpu":
        _check_cpu(found)
    else:
        _check_cuda(found)


def _check_python(tools: Tools) -> None:
    version = ".".join(map(str, tools.python))
    if tools.python[:2] >= _PYTHON_END:
        raise UsageError(f"--compile: torch 2.13 does not compile on Python {version}; take 3.14 or older, {_WITHOUT}")
    if tools.free_threaded and tools.python < _FREE_THREADED:
        raise UsageError(f"--compile: torch does not compile on Python {version} without a GIL; take 3.13.3 or newer, {_WITHOUT}")


def _check_cpu(tools: Tools) -> None:
    """The code for a CPU is C++, and calls Python."""
    name = tools.environment.get("CXX") or ("clang++" if tools.system == "darwin" else "g++")
    if not _on_path([name], tools):
        raise UsageError(f"--compile: needs a C++ compiler, and {name!r} is not on the PATH; install it, name another in CXX, {_WITHOUT}")
    if not (tools.headers / "Python.h").is_file():
        raise UsageError(f"--compile: needs Python's headers, and there is no Python.h; install them (python3-dev), {_WITHOUT}")


def _check_cuda(tools: Tools) -> None:
    """The code for a GPU is Triton's, whose launchers are C."""
    if not tools.triton:
        raise UsageError(f"--compile: needs Triton on a GPU, which is not installed; pip install triton, {_WITHOUT}")
    named = tools.environment.get("CC")
    names = [named] if named else ["gcc", "clang"]
    if not _on_path(names, tools):
        said = " or ".join(map(repr, names))
        raise UsageError(f"--compile: needs a C compiler, and {said} is not on the PATH; install it, name another in CC, {_WITHOUT}")


def _on_path(names: list[str], tools: Tools) -> bool:
    path = tools.environment.get("PATH", os.defpath)
    return any(shutil.which(name, path=path) for name in names)
