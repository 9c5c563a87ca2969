"""Latents of one model for another: a ridge map fitted on latents of the same spans, and what chance alone would give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from spanbench.errors import UsageError

__all__ = ["NEARLY_EXACT", "SHUFFLES", "Adapter", "Fit", "Verdict", "evaluate", "fit"]

SHUFFLES = 19
"""Maps of pairs that do not belong together: a true map that beats all of them would do so by chance once in 20 times."""
NEARLY_EXACT = 0.99
"""From this R² on a map is called nearly exact: a hundredth of the targets' spread is left."""

Verdict: TypeAlias = Literal["unknown", "chance", "below-mean", "part", "nearly-exact"]


@dataclass(frozen=True, slots=True)
class Adapter:
    """A linear map with an offset, in float64: u of model A (K x Za) -> u of model B (K x Zb)."""

    weight_ZaxZb: Tensor
    offset_Zb: Tensor

    def apply(self, u_KxZ: Tensor) -> Tensor:
        """Return what model B's latents of the same spans would be, in the element type of the input."""
        return (u_KxZ.double() @ self.weight_ZaxZb + self.offset_Zb).to(u_KxZ.dtype)


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a map does on spans it was not fitted on.

    R² is 1 for a perfect map and 0 for one that says the fitted spans' mean; below 0 is worse than that, and None where the
    held-out latents do not differ. The controls must be far below: `zero` is the map fed zeros, so what its offset alone says;
    `shuffled` is the best of `shuffles` maps, each fitted on pairs that do not belong together.
    """

    adapter: Adapter
    fitted: int
    held_out: int
    r2: float | None
    zero: float | None
    shuffled: float | None
    shuffles: int

    @property
    def verdict(self) -> Verdict:
        """What the figures say: whether the map beats both controls, and then the mean of the fitted spans."""
        if self.r2 is None or self.zero is None or self.shuffled is None:
            return "unknown"
        if self.r2 <= max(self.zero, self.shuffled):
            return "chance"
        if self.r2 <= 0:
            return "below-mean"
        return "nearly-exact" if self.r2 >= NEARLY_EXACT else "part"


@dataclass(frozen=True, slots=True)
class _System:
    """The normal equations of one set of latents, factored once for all targets."""

    x_KxZ: Tensor
    mean_Z: Tensor
    factors: tuple[Tensor, Tensor]

    def solve(self, u_b: Tensor) -> Adapter:
        """Return the map to these targets."""
        y = u_b.double()
        mean = y.mean(0)
        weight = torch.linalg.lu_solve(*self.factors, self.x_KxZ.T @ (y - mean))
        return Adapter(weight, mean - self.mean_Z @ weight)

    def shares(self, asked: Tensor) -> Tensor:
        """Return what each fitted target adds to what is said of each latent asked (T x K), whatever the targets are."""
        solved: Tensor = torch.linalg.lu_solve(*self.factors, (asked - self.mean_Z).T)
        return solved.T @ self.x_KxZ.T


def fit(u_a: Tensor, u_b: Tensor, ridge: float) -> Adapter:
    """Fit the map on paired spans (K x Za, K x Zb) by the normal equations, in float64.

    W = (X'X + ridge·K·s·I)^-1 X'Y of centred X and Y, s the mean square of X: `ridge` has no unit, and means the same for
    latents of any scale and any number of spans. The offset is not shrunk (Hoerl and Kennard, 1970).

    Raises:
        UsageError: no pairs, unequal numbers of them, values that are not finite, a negative ridge, or ridge 0 with a
            singular system.
    """
    _check(u_a, u_b, ridge)
    return _system(u_a, ridge).solve(u_b)


def evaluate(u_a: Tensor, u_b: Tensor, ridge: float, *, held_out: float = 0.25, seed: int = 0) -> Fit:
    """Fit on a part of the pairs, drawn with a seed, and say how well the map does on the rest, beside both controls.

    Raises:
        UsageError: see `fit`; or a share that leaves fewer than two spans on either side.
    """
    _check(u_a, u_b, ridge)
    out = round(len(u_a) * held_out)
    if min(out, len(u_a) - out) < 2:
        raise UsageError(f"adapt: {len(u_a)} pairs of spans with {held_out:g} held out leave fewer than 2 on a side; take more spans")
    order = torch.randperm(len(u_a), generator=torch.Generator().manual_seed(seed))
    test, train = order[:out].to(u_a.device), order[out:].to(u_a.device)
    system, targets, true = _system(u_a[train], ridge), u_b[train].double(), u_b[test].double()
    asked, mean = u_a[test].double(), targets.mean(0)
    adapter = system.solve(targets)
    # The order is random already, so each shift of the targets is one more pairing in which no pair is right.
    shares, shifts = system.shares(asked), range(1, min(SHUFFLES, len(train) - 1) + 1)
    by_chance = [_r2(shares @ (targets - mean).roll(shift, 0) + mean, true, mean) for shift in shifts]
    return Fit(
        adapter=adapter,
        fitted=len(train),
        held_out=out,
        r2=_r2(adapter.apply(asked), true, mean),
        zero=_r2(adapter.apply(torch.zeros_like(asked)), true, mean),
        shuffled=max((found for found in by_chance if found is not None), default=None),
        shuffles=len(shifts),
    )


def _system(u_a: Tensor, ridge: float) -> _System:
    mean = u_a.double().mean(0)
    x = u_a.double() - mean
    gram = x.T @ x
    gram.diagonal().add_(ridge * x.square().sum().item() / x.shape[1])
    factors, pivots, failed = torch.linalg.lu_factor_ex(gram)
    if failed or (not ridge and len(x) <= x.shape[1]):  # so few leave a solution to rounding alone
        raise UsageError(f"adapt: {len(x)} pairs of spans do not determine {x.shape[1]} values; take more spans, or a ridge above 0")
    return _System(x, mean, (factors, pivots))


def _r2(said: Tensor, true: Tensor, mean_Z: Tensor) -> float | None:
    """Return 1 - squared error over that of the fitted spans' mean, which is what could be said without any input."""
    error, spread = (true - said).square().sum(), (true - mean_Z).square().sum()
    return 1.0 - (error / spread).item() if spread else None


def _check(u_a: Tensor, u_b: Tensor, ridge: float) -> None:
    if len(u_a) != len(u_b) or not len(u_a):
        raise UsageError(f"adapt: {len(u_a)} and {len(u_b)} latents are no pairs; give both models' latents of the same spans")
    if not (u_a.isfinite().all() and u_b.isfinite().all()):
        raise UsageError("adapt: the latents hold NaN or infinity; give finite ones")
    if not 0 <= ridge < float("inf"):
        raise UsageError(f"adapt: ridge {ridge:g} must be 0 or more, and finite")
