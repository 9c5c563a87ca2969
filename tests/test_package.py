"""The package as installed: one version everywhere, and nothing heavy on import."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import spanbench


def test_the_version_of_the_code_is_that_of_the_distribution() -> None:
    assert version("spanbench") == spanbench.__version__


def test_python_m_spanbench_prints_the_version() -> None:
    done = subprocess.run([sys.executable, "-m", "spanbench", "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert spanbench.__version__ in done.stdout.split()


def test_importing_the_package_imports_nothing_else_of_it() -> None:
    code = "import sys, spanbench; print(*(m for m in sys.modules if m.split('.')[0] in {'spanbench', 'torch', 'pandas', 'numpy'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["spanbench"]
