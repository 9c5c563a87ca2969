"""Peak memory of each arm: the most bytes that its weights, state and activations take at once, the other arm being away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from spanbench.judge.stats import Estimate, unknown
from spanbench.measure.host.peak import ALLOCATOR, resident
from spanbench.point import Point, Regime
from spanbench.record import Measure
from spanbench.run.peakwork import ARMS, peak_on_device, regimes_of
from spanbench.run.rows import measured, with_ratios

__all__ = ["peak_measures"]

LIMIT_S = 120.0
ON_CPU = "VmHWM of a process of its own, above what it held before the arm was built"
ON_CUDA = "torch's allocator, above what it held before the arm was built"
_PACKAGES = Path(__file__).resolve().parents[2]

Progress = Callable[[str, int, int], None]
Found = dict[tuple[str, Regime], Estimate]


def peak_measures(point: Point, ids: Sequence[Sequence[int]], progress: Progress, limit_s: float = LIMIT_S) -> list[Measure]:
    """Return `peak_bytes` of each arm and regime, and the ratio; null with its reason where it could not be measured.

    Weights are included: an arm cannot run without them. So is decode's state, but not what reading its prompt took. What
    the allocator keeps beyond what is alive is left out. `decode_worst` is a step of decode and has no row. Each arm is
    built once more and run once in each regime: the pair that is timed should not be in memory meanwhile.

    Args:
        point: the comparison.
        ids: the prompts, each with what is fed after it (`Point.said` more ids).
        progress: told how far the work is.
        limit_s: seconds for both arms together, after which the rest is given up.
    """
    found = (
        _in_this_process(point, ids, progress) if point.device.partition(":")[0] == "cuda" else _in_a_child(point, ids, progress, limit_s)
    )
    by = ON_CUDA if point.device.partition(":")[0] == "cuda" else ON_CPU
    rows = [measured(arm, regime, "peak_bytes", found[arm, regime], "measured", by) for regime in regimes_of(point) for arm in ARMS]
    return [row for regime in regimes_of(point) for row in with_ratios([row for row in rows if row.regime == regime])]


def _in_this_process(point: Point, ids: Sequence[Sequence[int]], progress: Progress) -> Found:
    found: Found = {}
    for done, arm in enumerate(ARMS):
        progress("measuring peak memory", done, len(ARMS))
        for regime, peak in peak_on_device(point, arm, ids):
            found[arm, regime] = _estimate(peak)
    progress("measuring peak memory", len(ARMS), len(ARMS))
    return found


def _in_a_child(point: Point, ids: Sequence[Sequence[int]], progress: Progress, limit_s: float) -> Found:
    """Have a fresh process measure; what it did not tell has the reason that it left for, or why it was ended."""
    wanted = [(arm, regime) for arm in ARMS for regime in regimes_of(point)]
    if resident() is None:
        return dict.fromkeys(wanted, unknown("this system does not tell what is resident in memory (/proc/self/status of Linux 4.5 does)"))
    try:
        child = _start()
    except OSError as error:
        return dict.fromkeys(wanted, unknown(f"no process could be started to measure it in: {error.strerror}"))
    found: Found = {}
    task = {"point": point.to_json(), "ids": [list(row) for row in ids], "threads": torch.get_num_threads(), "parent": os.getpid()}
    with _ended_after(child, limit_s) as late:
        progress("measuring peak memory", 0, len(wanted))
        for told in _conversation(child, task):
            regimes = regimes_of(point) if told["regime"] is None else [told["regime"]]
            found |= {(told["arm"], regime): _estimate(told["bytes"]) for regime in regimes if (told["arm"], regime) not in found}
            progress("measuring peak memory", len(found), len(wanted))
    ending = f"it took longer than {limit_s:g} s" if late.is_set() else f"its process ended early (exit code {child.returncode})"
    return {key: found.get(key, unknown(ending)) for key in wanted}


def _start() -> subprocess.Popen[str]:
    """Start the measuring process, which finds this spanbench, and whose warnings are nobody's."""
    paths = [str(_PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-P", "-W", "ignore", "-c", "from spanbench.run.peakwork import main; main()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
        env={**os.environ, **ALLOCATOR, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip


@contextmanager
def _ended_after(child: subprocess.Popen[str], limit_s: float) -> Iterator[threading.Event]:
    """End a child after some seconds, or on any error here; yield what is set in the first case. By itself it ends with this process."""
    late = threading.Event()

    def end() -> None:
        late.set()
        child.kill()

    timer = threading.Timer(limit_s, end)
    timer.daemon = True
    timer.start()
    try:
        with child:
            try:
                yield late
            except BaseException:  # Ctrl-C too
                child.kill()
                raise
    finally:
        timer.cancel()


def _conversation(child: subprocess.Popen[str], task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the child its task, and yield what it tells, a line each."""
    if child.stdin is None or child.stdout is None:
        raise RuntimeError("the child was started without pipes")
    try:
        json.dump(task, child.stdin)
        child.stdin.close()
    except OSError:  # it has left already, and says why by its exit code
        return
    for line in child.stdout:
        if line.startswith("{") and line.endswith("}\n"):  # the last one of a process that was killed may be cut
            yield json.loads(line)


def _estimate(peak: int | str) -> Estimate:
    """Turn bytes, or the reason for none, into an estimate."""
    return unknown(peak) if isinstance(peak, str) else Estimate(peak, None, None)
