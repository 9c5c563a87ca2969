"""`spanbench meters`: every meter has a live reading or the reason for none, in a table and in every format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from spanbench.measure.energy import METERS
from tests.cli.processes import spanbench, with_gpu
from tests.cli.running import Ran

KNOWN = [name for name in METERS if name != "none"]
IDLE_WATTS = 50.0  # the fake board's, which draws 300 W when the process computes


@pytest.fixture(scope="module")
def beside_a_gpu() -> Mapping[str, Mapping[str, Any]]:
    """Return each meter's line on a machine with one GPU, whose power follows what this process computes."""
    ran = spanbench("meters", "--format", "json", env=with_gpu("follows_cpu=1", f"idle={IDLE_WATTS}"))
    assert (ran.code, ran.err) == (0, "reading meters …\n"), ran
    return {line["name"]: line for line in json.loads(ran.out)["meters"]}


@pytest.fixture(scope="module")
def as_a_table() -> Ran:
    return spanbench("meters", env=with_gpu("nvmlInit=9"))  # the driver is not loaded


def test_every_meter_is_listed_with_its_watts_or_the_reason_for_none(beside_a_gpu: Mapping[str, Mapping[str, Any]]) -> None:
    assert list(beside_a_gpu) == KNOWN
    for name, line in beside_a_gpu.items():
        assert (line["watts"] is None) == bool(line["reason"]), name
        assert line["watts"] is None or (line["watts"] > 0 and line["by"]), name
        assert not line["available"] or line["scope"] != "none", name


@pytest.mark.parametrize("name", ["nvml", "nvml-power"])
def test_the_watts_of_a_gpu_are_those_that_it_draws_at_rest(beside_a_gpu: Mapping[str, Mapping[str, Any]], name: str) -> None:
    line = beside_a_gpu[name]
    assert line["watts"] == pytest.approx(IDLE_WATTS, abs=10)  # a meter's own polls are work to this board
    assert (line["source"], line["scope"], line["period_s"]) == ("measured", "gpu-board", pytest.approx(0.1, rel=0.2))
    assert "GPU-aaaa0000-0000-4000-8000-000000000000" in line["by"]


def test_a_device_s_default_is_the_strongest_meter_that_sees_it(beside_a_gpu: Mapping[str, Mapping[str, Any]]) -> None:
    on_cpu = [name for name in ("rapl", "codecarbon", "model") if beside_a_gpu[name]["available"]]
    chosen = {device: name for name, line in beside_a_gpu.items() for device in line["default_for"]}
    assert chosen == {"cpu": on_cpu[0], "cuda": "nvml"}


def test_a_missing_meter_is_in_the_table_with_its_reason_and_what_would_help(as_a_table: Ran) -> None:
    assert as_a_table.code == 0, as_a_table
    lines = as_a_table.out.splitlines()
    rows = {name: next(line for line in lines if line.startswith(f"{name} ")) for name in KNOWN}
    assert [rows[name].split()[-1] for name in ("nvml", "nvml-power")] == ["missing", "missing"]
    told = " ".join(as_a_table.out.split())
    assert told.count("the NVIDIA driver is not loaded") == 2, told
    assert "nvml on cuda" not in told


def test_no_line_of_the_table_is_wider_than_the_terminal(as_a_table: Ran) -> None:
    assert max(map(len, as_a_table.out.splitlines())) <= 80
