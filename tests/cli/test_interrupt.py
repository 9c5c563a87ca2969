"""Ctrl-C at any time: exit code 130, one line, no traceback, nothing on standard output, finished records kept."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spanbench.cli.main import main
from tests.cli.running import SECONDS, TINY, python

LINE = "spanbench: error: interrupted; what was not finished is not kept"

INTERRUPT_AT_IMPORT = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from spanbench.cli.main import main
sys.exit(main(sys.argv[2:]))
"""

INTERRUPT_IN_CALL = """
import importlib, os, signal, sys

place, name = sys.argv[1].rsplit(".", 1)
module, _, owner = place.partition(":")
owner = getattr(importlib.import_module(module), owner) if owner else importlib.import_module(module)
setattr(owner, name, lambda *_, **__: os.kill(os.getpid(), signal.SIGINT))
from spanbench.cli.main import main
sys.exit(main(sys.argv[2:]))
"""

COMPARE = ("compare", *TINY, "--max-time", "0.1")


@pytest.mark.parametrize("module", ["typer", "torch", "torch.nn", "numpy", "codecarbon"])
def test_while_a_library_is_imported(module: str) -> None:
    done = python(INTERRUPT_AT_IMPORT, module, *COMPARE)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.splitlines()[-1] == LINE
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "call",
    [
        "fvcore.nn:FlopCountAnalysis.by_operator",
        "codecarbon:OfflineEmissionsTracker.start_task",
        "torch.nn.functional.scaled_dot_product_attention",
    ],
)
def test_inside_a_library_that_catches_what_it_calls(call: str) -> None:
    done = python(INTERRUPT_IN_CALL, call, *COMPARE, "--verify")
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.splitlines()[-1] == LINE
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("moment", ["counting", "timing prefill"])
def test_while_it_works(moment: str) -> None:
    command = [sys.executable, "-m", "spanbench", "compare", *TINY, "--max-time", "60", "--meter", "none"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not (line := process.stderr.readline()).startswith(moment):
            assert line, "ended before that moment"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out, err) == (130, "", LINE + "\n")


def test_a_finished_record_is_kept(tmp_path: Path) -> None:
    kept = tmp_path / "records.jsonl"
    done = python(INTERRUPT_IN_CALL, "spanbench.cli.points.document_scale", "compare", *TINY, "--no-run", "--out", str(kept))
    assert done.returncode == 130
    assert kept.read_text().count("\n") == 1
    assert kept.read_text().endswith("}\n")


def test_main_gives_the_signal_back_to_its_caller() -> None:
    before = signal.getsignal(signal.SIGINT)
    assert main(["--version"]) == 0
    assert signal.getsignal(signal.SIGINT) is before
