"""Attained FLOP/s of each arm and stage as a fraction of this machine's own matrix peak, measured side by side.

    python benchmarks/attained.py [--preset small] [--allocation lean] [--tokens 2048] [--span 32] [--dtype float32,bfloat16]

Each round times one large matrix product, then every part once; a part's fraction is its rate over the product's of the
same round, and the median over rounds is printed. So a slow minute of the machine slows both sides. Stages are replayed on
stored activations. FLOPs are dense (all attention cells), so a causal kernel that skips cells may exceed 1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from spanbench.count.distinct import distinct_rows
from spanbench.count.formula import closed_form
from spanbench.measure.host.allocator import keep_freed_memory
from spanbench.model.pair import Model, build_pair, forward
from spanbench.point import Point, Regime
from spanbench.request import Request, point_of
from spanbench.run.subjects import ids_tensor

Work = Callable[[], object]
PEAK_SIZE = 2048
SHORTEST = 0.02
"""Seconds that a part is repeated to within a round: a shorter window is all jitter."""


@dataclass(frozen=True)
class Part:
    """Something to time: its FLOPs and how it is run."""

    name: str
    flops: int
    run: Work


def seconds(work: Work, repeats: int = 1) -> float:
    """Return the time of one call, taken over some calls back to back."""
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) / repeats


def peak(dtype: torch.dtype) -> Part:
    """Return a square product as large as the widest of the models."""
    a, b = (torch.randn(PEAK_SIZE, PEAK_SIZE).to(dtype) for _ in range(2))
    return Part("matrix peak", 2 * PEAK_SIZE**3, lambda: a @ b)


def parts(point: Point, ids_BxN: Tensor, regime: Regime, flops: Mapping[str, Mapping[str, int]]) -> list[Part]:
    """Return each arm as a whole, then its stages on the activations they are really given."""
    found = []
    for arm, model in build_pair(point).arms().items():
        found.append(Part(f"{arm}", flops[arm]["total"], lambda model=model: forward(model, regime, ids_BxN)))
        found += [
            Part(f"  {stage}", flops[arm][stage], lambda call=call: call[0](*call[1], **call[2]))
            for stage, call in stage_calls(model, regime, ids_BxN).items()
            if flops[arm][stage]
        ]
    return found


def stage_calls(model: Model, regime: Regime, ids_BxN: Tensor) -> dict[str, tuple[nn.Module, tuple[Any, ...], dict[str, Any]]]:
    """Run the model once and keep what each stage was called with."""
    calls: dict[str, tuple[nn.Module, tuple[Any, ...], dict[str, Any]]] = {}
    hooks = []
    for module, stage in model.stages().items():

        def keep(seen: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], stage: str = stage) -> None:
            calls[stage] = (seen, args, kwargs)

        hooks.append(module.register_forward_pre_hook(keep, with_kwargs=True))
    forward(model, regime, ids_BxN)
    for hook in hooks:
        hook.remove()
    return calls


def fractions(todo: list[Part], reference: Part, rounds: int) -> dict[str, tuple[float, float]]:
    """Return for each part the median seconds and the median fraction of the reference's rate."""
    repeats = {part.name: max(1, round(SHORTEST / max(seconds(part.run), 1e-6))) for part in todo for _ in range(2)}
    times: dict[str, list[float]] = {part.name: [] for part in todo}
    shares: dict[str, list[float]] = {part.name: [] for part in todo}
    for _ in range(rounds):
        for part in todo:
            rate = reference.flops / seconds(reference.run, 2)
            spent = seconds(part.run, repeats[part.name])
            times[part.name].append(spent)
            shares[part.name].append(part.flops / spent / rate)
    return {name: (median(times[name]), median(shares[name])) for name in times}


def report(request: Request, rounds: int) -> None:
    """Print one table a regime."""
    point, prompt, _ = point_of(request)
    ids_BxN, reference = ids_tensor(prompt.ids, point.device), peak(getattr(torch, point.dtype))
    distinct = distinct_rows(prompt.ids, point)
    for regime in point.regimes:
        closed = closed_form(point, regime, distinct)
        flops = {arm: {stage: tally.flops() for stage, tally in stages.items()} for arm, stages in closed.items()}
        todo = parts(point, ids_BxN, regime, flops)
        rates = [reference.flops / seconds(reference.run, 2) for _ in range(2 * rounds)]
        print(f"\n{point.preset}, {point.allocation}, N {point.tokens}, S {point.span}, {point.dtype}, {regime};", end=" ")
        print(f"matrix peak {median(rates) / 1e9:,.0f} GFLOP/s (median), {torch.get_num_threads()} threads")
        print(f"{'':10} {'FLOP':>18} {'ms':>9} {'of peak':>8}")
        for name, (spent, share) in fractions(todo, reference, rounds).items():
            part = next(part for part in todo if part.name == name)
            print(f"{name:10} {part.flops:18,} {spent * 1e3:9.2f} {share:8.2f}")
        dense, latent = flops["token"]["total"], flops["latent"]["total"]
        print(f"FLOP ratio {dense / latent:.2f}×")


def main() -> None:
    """Read the options and report each dtype."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("preset", "small"), ("allocation", "lean"), ("dtype", "float32,bfloat16"), ("regime", "score,prefill")):
        parser.add_argument(f"--{name}", default=default)
    for name, number in (("tokens", 2048), ("span", 32), ("rounds", 15)):
        parser.add_argument(f"--{name}", type=int, default=number)
    given = parser.parse_args()
    keep_freed_memory()  # as `spanbench compare` does
    with torch.inference_mode():
        for dtype in given.dtype.split(","):
            sizes = {"preset": given.preset, "allocation": given.allocation, "tokens": given.tokens, "span": given.span}
            report(Request(**sizes, dtype=dtype, regimes=tuple(given.regime.split(","))), given.rounds)


if __name__ == "__main__":
    main()
