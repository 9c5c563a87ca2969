"""The other end of `many`: a process that reads points as JSON lines and answers each with its rows, or with why there are none."""

from __future__ import annotations

import json
import sys
from typing import Any

import torch

from spanbench.count.blank import KnownResults
from spanbench.errors import SpanbenchError
from spanbench.judge.baseline.asked import asked_of
from spanbench.measure.host.peak import leave_with
from spanbench.prompt import load_prompt
from spanbench.record.points import recorded_point
from spanbench.run.baseline.executed import executed_rows

__all__ = ["main"]


def main() -> None:
    """Answer until standard input ends."""
    torch.set_num_threads(1)
    with KnownResults():
        for line in sys.stdin:
            sys.stdout.write(json.dumps(_answer(json.loads(line))) + "\n")
            sys.stdout.flush()


def _answer(task: dict[str, Any]) -> dict[str, Any]:
    leave_with(task["parent"])
    point = recorded_point(task["point"])
    prompt = load_prompt(None, None, point.tokens, point.batch)
    try:
        rows = executed_rows(asked_of(task["asked"]), point, prompt, task["convention"])
    except SpanbenchError as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"rows": [row.to_line() for row in rows]}
