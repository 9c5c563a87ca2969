"""`--compile`: the forwards of both arms through torch.compile, held against the eager ones before they are timed.

What is counted stays the eager model: a compiler fuses and reorders, and the work that a model asks for is not what it
does about it. Sessions (decode, request) stay eager: a step goes through Python that chooses what to do lane by lane.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from spanbench.errors import UsageError
from spanbench.measure.caution import Caution
from spanbench.measure.clock import Clock, PerfCounter, synchronizer
from spanbench.model.pair import Model, Pair, forward
from spanbench.model.stack import Block
from spanbench.model.state import State
from spanbench.point import SPOKEN, Regime

__all__ = ["Compiled", "apart", "compile_caution", "compiled"]

# One graph or none: a forward in pieces would be neither eager nor compiled. Sizes are fixed, as in every slot. The
# compiler works in this process: helpers of its own would linger beside the meter.
_OPTIONS: dict[str, Any] = {"fullgraph": True, "dynamic": False, "isolate_recompiles": True, "options": {"compile_threads": 1}}

_EPSILONS_EXACT = 64  # of float32 and float64, for the square root of the layers: sums are taken in another order
_EPSILONS_HALF = 4  # of the 16-bit types, likewise: they are rounded at other places, their sums are float32 in both
_SAMPLED_ROWS = 1024  # of each tensor that is compared: two sets of a long prompt's logits need not fit

Forward = Callable[[], tuple[Tensor, State | None]]


@dataclass(frozen=True, slots=True)
class Compiled:
    """One arm's forward, compiled: the call, what compiling it took, and how far its results are from the eager ones."""

    work: Forward
    seconds: float
    """Of compiling and one forward. Results that the compiler kept from earlier runs make it short."""
    apart: float
    """The worst of its tensors (logits, keys and values): rms of the difference ÷ rms of the eager one."""


@contextmanager
def compiled(pair: Pair, regime: Regime, ids_BxN: Tensor, device: str, *, clock: Clock | None = None) -> Iterator[dict[str, Compiled]]:
    """Compile both arms' forwards of score or prefill, and hold each against the eager one; inside, nothing compiles again.

    The calls must be made in inference mode and inside this context: a call that would need other code raises an error
    rather than have its compilation timed. Minutes for a deep model on a CPU.

    Raises:
        ValueError: a spoken regime; see `compile_caution`.
        UsageError: a forward cannot be compiled, or its results are not the eager ones.
    """
    if regime in SPOKEN:
        raise ValueError(f"{regime}: a session's steps are not compiled")
    try:
        works = {arm: _compile(arm, model, regime, ids_BxN, device, clock or PerfCounter()) for arm, model in pair.arms().items()}
        with torch.compiler.set_stance("fail_on_recompile"):
            yield works
    finally:
        torch.compiler.reset()  # code holds on to its model, and a sweep has many


def compile_caution(regimes: Sequence[Regime]) -> Caution | None:
    """Return what a reader must know where regimes that are not compiled are among those asked for."""
    eager = ", ".join(regime for regime in regimes if regime in SPOKEN)
    return (
        Caution("compile-partial", f"{eager}: not compiled; --compile reaches the forwards of score and prefill alone") if eager else None
    )


def _compile(arm: str, model: Model, regime: Regime, ids_BxN: Tensor, device: str, clock: Clock) -> Compiled:
    eager = partial(forward, model, regime, ids_BxN)
    with torch.inference_mode():
        wanted = _sampled(*eager())
        work, found, seconds = _compiled_once(eager, f"{arm} {regime}", synchronizer(device), clock)
    far = apart(_sampled(*found), wanted)
    tolerance = _tolerance(model)
    if not far <= tolerance:  # NaN is not either
        raise UsageError(
            f"--compile: the compiled {arm} {regime} differs from the eager one by {far:.2g} (rms), "
            f"and the rounding of its type explains {tolerance:.2g}; leave --compile out"
        )
    return Compiled(work, seconds, far)


def _compiled_once(eager: Forward, what: str, wait: Callable[[], None], clock: Clock) -> tuple[Forward, tuple[Tensor, State | None], float]:
    """Return the compiled forward, what it gave the first time, and the seconds that this took."""
    opened = clock.now()
    try:
        with _quiet():
            work: Forward = torch.compile(eager, **_OPTIONS)
            found = work()
        wait()
    except Exception as error:  # a compiler and its tools may raise anything
        raise UsageError(f"--compile: the {what} cannot be compiled ({_line(error)}); leave --compile out") from error
    return work, found, clock.now() - opened


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off stderr what no user can mend."""
    with warnings.catch_warnings():
        # torch's own code calls torch.jit.script_method while it loads the compiler.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        # Rotary positions are one complex product: the compiler calls the eager kernel for it and fuses the rest.
        warnings.filterwarnings("ignore", message=".*does not support code generation for complex operators")
        yield


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {next((line.strip() for line in str(error).splitlines() if line.strip()), 'no message')}"


# ---- the same results -----------------------------------------------------------------------------------------------


def _tolerance(model: Model) -> float:
    """Return how far rounding may take the results, relative to their rms; errors of layers add up like a random walk."""
    layers = max(1, sum(isinstance(module, Block) for module in model.modules()))
    kind = next(model.parameters()).dtype
    epsilons = _EPSILONS_HALF if kind.itemsize == 2 else _EPSILONS_EXACT
    return float(epsilons * torch.finfo(kind).eps * layers**0.5)


def _sampled(logits: Tensor, state: State | None) -> list[Tensor]:
    """Return some rows of all that a forward gives, the last of each tensor among them, as copies in float64."""
    kept = () if state is None else (tensor for pairs in (*state.kv.values(), state.memory) for pair in pairs for tensor in pair)
    other = () if state is None else (tensor for tensors in state.other.values() for tensor in tensors)
    return [_rows(tensor) for tensor in (logits, *kept, *other)]


def _rows(tensor: Tensor) -> Tensor:
    rows = tensor.flatten(0, -2)
    index = torch.linspace(0, len(rows) - 1, min(len(rows), _SAMPLED_ROWS), dtype=torch.float64, device=rows.device)
    return rows[index.round().long()].double()


def apart(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """Return the largest rms of a difference ÷ rms of what was wanted; infinite where shapes differ or a value is not finite."""
    if [tensor.shape for tensor in found] != [tensor.shape for tensor in wanted]:
        return math.inf
    return max((_one_apart(one, other) for one, other in zip(found, wanted, strict=True) if one.numel()), default=0.0)


def _one_apart(found: Tensor, wanted: Tensor) -> float:
    difference = float((found - wanted).square().mean().sqrt())
    if difference == 0:
        return 0.0
    size = float(wanted.square().mean().sqrt())
    ratio = difference / size if size else math.inf
    return ratio if math.isfinite(ratio) else math.inf  # a NaN would hide behind other tensors in a maximum
