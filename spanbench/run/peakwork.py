"""One arm built and run once in each regime while its memory is watched: in this process on CUDA, in one of its own on a CPU.

That process reads its task as JSON and prints a line a figure (`main`). It loads what it needs once, and forks before it
computes anything: so each arm starts from the same memory, and one that is killed takes no other with it.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from spanbench.measure.host.peak import give_way_in_need, leave_with, plain_pages, reset_high_water, resident
from spanbench.model.pair import Model, build_arm, build_pair
from spanbench.point import Point, Regime, Shape, Stack
from spanbench.run.subjects import ids_tensor
from spanbench.run.work import work_of

__all__ = ["ARMS", "main", "peak_on_device", "regimes_of"]

ARMS = ("token", "latent")
_NO_RESET = "this kernel cannot begin a high-water mark anew (/proc/self/clear_refs)"
_WARM = 64
_STACKS = ("token", "encoder", "mixer", "decoder")


def regimes_of(point: Point) -> list[Regime]:
    """Return the regimes whose peak is measured, in the point's order."""
    return [regime for regime in point.regimes if regime != "decode_worst"]


def main() -> None:
    """Read the task, then measure each arm in a fork of this process; print one JSON object a line."""
    task = json.load(sys.stdin)
    leave_with(task["parent"])
    plain_pages()
    for arm in ARMS:
        child = os.fork()
        if child == 0:
            _leave_after(arm, task, os.getppid())
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            _tell(arm, None, f"its process was killed by signal {os.WTERMSIG(status)}, as the kernel does where memory runs out")


def _leave_after(arm: str, task: dict[str, Any], parent: int) -> None:
    """Measure one arm and end this process, whatever happens."""
    try:
        leave_with(parent)
        give_way_in_need()
        torch.set_num_threads(task["threads"])
        for regime, peak in _peaks(_point(task["point"]), arm, task["ids"]):
            _tell(arm, regime, peak)
    except Exception as error:  # noqa: BLE001 - any failure of the work is the reason for a null
        _tell(arm, None, _reason(error))
    finally:
        os._exit(0)


def _tell(arm: str, regime: Regime | None, peak: int | str) -> None:
    """Print bytes, or the reason for none; without a regime it is that of all which were not told."""
    sys.stdout.write(json.dumps({"arm": arm, "regime": regime, "bytes": peak}) + "\n")
    sys.stdout.flush()


def _peaks(point: Point, arm: str, ids: Sequence[Sequence[int]]) -> Iterator[tuple[Regime, int | str]]:
    """Yield each regime's peak on a CPU: the most anonymous bytes while it runs, less those before the arm was built."""
    _warm_up(point)
    before = _anonymous()
    model, text_BxT = build_arm(point, arm), ids_tensor(ids, point.device)
    for regime in regimes_of(point):
        work = _work(model, regime, text_BxT, point)
        gc.collect()
        if not reset_high_water():
            yield regime, _NO_RESET
            continue
        with torch.inference_mode():
            work()
        most = resident()
        yield regime, _NO_RESET if most is None else most.most_anonymous - before


def _anonymous() -> int:
    now = resident()
    return 0 if now is None else now.anonymous


def peak_on_device(point: Point, arm: str, ids: Sequence[Sequence[int]]) -> Iterator[tuple[Regime, int | str]]:
    """Yield each regime's peak on CUDA, as this process's allocator saw it; where something fails, the reason for the rest."""
    left = regimes_of(point)
    try:
        for regime, peak in _peaks_on_cuda(point, arm, ids):
            left.remove(regime)
            yield regime, peak
    except RuntimeError as error:  # out of memory among them
        yield from ((regime, _reason(error)) for regime in left)
    finally:
        torch.cuda.empty_cache()


def _peaks_on_cuda(point: Point, arm: str, ids: Sequence[Sequence[int]]) -> Iterator[tuple[Regime, int]]:
    _warm_up(point)
    before = torch.cuda.memory_allocated(point.device)
    model, text_BxT = build_arm(point, arm), ids_tensor(ids, point.device)
    for regime in regimes_of(point):
        work = _work(model, regime, text_BxT, point)
        gc.collect()
        torch.cuda.synchronize(point.device)
        torch.cuda.reset_peak_memory_stats(point.device)
        with torch.inference_mode():
            work()
        torch.cuda.synchronize(point.device)
        yield regime, torch.cuda.max_memory_allocated(point.device) - before


def _work(model: Model, regime: Regime, text_BxT: Tensor, point: Point) -> Any:
    steps = point.generate - 1 if regime == "request" else point.span
    return work_of(model, regime, text_BxT, point.tokens, steps)


def _warm_up(point: Point) -> None:
    """Run a small pair in the same regimes: threads, kernels and what is imported late are not the arm's memory."""
    stack = Stack(layers=1, width=32, mlp=64, heads=2, kv_heads=2)
    shape = Shape(_WARM, point.shape.gated, stack, stack, stack, stack, pool="mean", prefix=1)
    small = replace(point, shape=shape, tokens=_WARM, span=4, batch=1, generate=4)
    text_BxT = ids_tensor([[0] * (small.tokens + small.said)], small.device)
    for model in build_pair(small).arms().values():
        for regime in regimes_of(small):
            with torch.inference_mode():
                _work(model, regime, text_BxT, small)()


def _point(plain: dict[str, Any]) -> Point:
    """Return the point that `Point.to_json` wrote."""
    sizes: dict[str, Any] = {key: Stack(**value) if key in _STACKS else value for key, value in plain["shape"].items()}
    return Point(**{**plain, "shape": Shape(**sizes), "regimes": tuple(plain["regimes"])})


def _reason(error: Exception) -> str:
    """Return the first line of an error."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
