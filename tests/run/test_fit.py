"""The estimate of memory against what a process really takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spanbench.request import Request, point_of
from spanbench.run.fit import needed_bytes

STATUS = Path("/proc/self/status")
LENGTHS = (512, 2048)

# VmHWM is the peak of this process alone; what getrusage gives may be that of the test that started it.
PROGRAM = """
import json, sys
from pathlib import Path
from typing import Any
import torch
from spanbench.model.pair import build_pair, forward
from spanbench.request import Request, point_of
from spanbench.run.subjects import ids_tensor

point, prompt, _ = point_of(Request(tokens=int(sys.argv[1])))
pair, ids = build_pair(point), ids_tensor(prompt.ids, "cpu")
with torch.inference_mode():
    for regime in point.regimes:
        for model in pair.arms().values():
            forward(model, regime, ids)
fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps(int(fields["VmHWM"].split()[0]) * 1024))
"""


def peak(tokens: int) -> int:
    """Run both arms of `small` in both regimes in a fresh process and return its peak resident memory."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tokens)], capture_output=True, text=True, check=True)
    return int(json.loads(done.stdout))


def needed(tokens: int) -> int:
    return needed_bytes(point_of(Request(tokens=tokens))[0])


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="needs /proc")
def test_the_estimate_is_above_what_a_run_takes_and_not_far_above() -> None:
    """Of the whole process at each length, and of what the longer prompt adds: that part has no constant to hide behind."""
    short, long = (peak(tokens) for tokens in LENGTHS)
    estimated_short, estimated_long = (needed(tokens) for tokens in LENGTHS)
    for estimated, taken in ((estimated_short, short), (estimated_long, long), (estimated_long - estimated_short, long - short)):
        assert taken <= estimated <= 4 * taken


def test_more_of_anything_needs_more() -> None:
    base = needed(512)
    assert base < needed(513) < needed(4096)
    changes: list[dict[str, Any]] = [
        {"batch": 2},
        {"dtype": "fp64"},
        {"preset": "gpt2"},
        {"shape": {"mixer.layers": 9}},
        {"shape": {"gated": True}},
    ]
    for more in changes:
        assert needed_bytes(point_of(Request(tokens=512, **more))[0]) > base
    assert needed_bytes(point_of(Request(tokens=512, regimes=("prefill",)))[0]) <= base
