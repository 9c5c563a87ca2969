"""The fake driver is an oracle for others: its counter may show nothing that it takes back."""

from __future__ import annotations

from tests.measure.nvml.fake import run

# Ticks of a quarter of a millisecond, so that many fall between the moment at which the process's time was read and the next.
FOLLOWING = """
import ctypes, json, time
from spanbench.measure.nvml.library import opened
shown = []
with opened() as library:
    board = library.devices()[0]
    for turn in range(200):
        until = time.perf_counter() + 5e-4
        while time.perf_counter() < until:
            shown.append(board.energy_joules())
        time.sleep(5e-4)
        shown.append(board.energy_joules())
falls = [(before, after) for before, after in zip(shown, shown[1:]) if after < before]
print(json.dumps({"falls": falls, "grew": shown[-1] - shown[0], "steps": len(set(shown))}))
"""


def test_a_counter_that_follows_the_process_never_falls_while_its_load_changes() -> None:
    found = run(FOLLOWING, "follows_cpu=1", "period=0.00025", "idle=50", "busy=3000000")
    assert found["falls"] == []
    assert found["grew"] > 0
    assert found["steps"] > 100
