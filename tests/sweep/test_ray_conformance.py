"""The suite of all engines on a real Ray of this machine, which is told that it has two GPUs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from spanbench.sweep.job import Engine
from spanbench.sweep.ray import RayEngine
from tests.sweep.conformance import CHILD, Conformance, job, silent, spans
from tests.sweep.rayjobs import needs_ray

AS_GIVEN = (sys.executable, str(Path(__file__).with_name("as_given.py")))

pytestmark = [pytest.mark.slow, needs_ray]


class TestRay(Conformance):
    devices = ("cuda", "cuda:0")

    def engine(self, command: Sequence[str], workers: int, retries: int = 2) -> Engine:
        return RayEngine(workers=workers, gpus=2, command=[*AS_GIVEN, *command], retries=retries)

    def test_both_gpus_were_used(self, tmp_path: Path) -> None:
        list(self.engine(CHILD, 4).run([job(tmp_path, f"{n}", "cuda", 0.2) for n in range(20)], silent))
        assert {entry["device"] for entry in spans(tmp_path)} == {"GPU 0", "GPU 1"}
