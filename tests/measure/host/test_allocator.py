"""Freed memory that is kept is not faulted in again."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, resource, sys
import torch
from spanbench.measure.host.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        torch.ones(2**24)  # 64 MiB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

plain = faults()
agreed = keep_freed_memory()
# The heap grows once, and once more where something small was put at its end meanwhile.
print(json.dumps([agreed, plain, min(faults() for _ in range(4))]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's own setting")
def test_freed_memory_stays_in_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    agreed, plain, kept = json.loads(done.stdout)
    if not agreed:
        pytest.skip("this C library has no mallopt")
    pages_of_one = 2**26 // 4096
    assert plain > pages_of_one > 100 * kept
