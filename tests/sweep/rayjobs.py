"""Jobs for tests of Ray, and what they need of the machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from spanbench.sweep.job import Job, Outcome

__all__ = ["CHILD", "answers", "ignore", "needs_ray", "rows", "trial"]

CHILD = (sys.executable, str(Path(__file__).with_name("raychild.py")))

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'spanbench[ray]'")


def trial(key: str, device: str | None = None, /, **request: Any) -> Job:
    """Return a job for the tests' own child, see raychild.py."""
    return Job(key=key, device=device, request=request, timing=None if device is None else {})


def ignore(_job: Job, _text: str) -> None:
    """Tell nobody."""


def answers(outcomes: Iterable[Outcome]) -> dict[str, dict[str, Any]]:
    """Return what each child printed, by key; a job without an answer fails the test with its reason."""
    found = {}
    for outcome in outcomes:
        assert outcome.line is not None, outcome.reason
        assert outcome.job.key not in found, "a job came twice"
        found[outcome.job.key] = json.loads(outcome.line)
    return found


def rows(log: Path) -> list[dict[str, Any]]:
    """Return what the children wrote down, in the order they did."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
