"""Both arms put together from their parts: what a whole prompt costs, what steps after it cost, what is kept at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from spanbench.count.distinct import Distinct
from spanbench.count.formula.bytes import Compulsory, latent_compulsory, latent_kept, token_compulsory, token_kept
from spanbench.count.formula.latent import latent_params, latent_work
from spanbench.count.formula.plan import Plan
from spanbench.count.formula.speaking import latent_said, token_said
from spanbench.count.formula.steps import Phase, phases
from spanbench.count.formula.token import token_params, token_work
from spanbench.count.formula.traffic import latent_traffic, token_traffic
from spanbench.point import Point, Regime
from spanbench.tally import Kept, Tally, total

__all__ = ["ARMS", "Arm", "Cost"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What adds up over a prefill and its steps: work by stage, and compulsory bytes."""

    work: Mapping[str, Tally]
    compulsory: Compulsory

    def __add__(self, other: Cost) -> Cost:
        mine, others = self.compulsory, other.compulsory
        stages = {stage: mine.stages[stage] + others.stages[stage] for stage in self.work}
        work = {stage: tally + other.work[stage] for stage, tally in self.work.items()}
        return Cost(work, Compulsory(stages, mine.total + others.total))


@dataclass(frozen=True, slots=True)
class Arm:
    """The formulas of one arm."""

    work: Callable[[Plan], Mapping[str, Tally]]
    compulsory: Callable[[Plan, Distinct], Compulsory]
    said: Callable[[Plan, Phase], Mapping[str, Tally]]
    traffic: Callable[[Plan, Phase, Distinct], Compulsory]
    params: Callable[[Plan], Mapping[str, int]]
    kept: Callable[[Plan], Kept]

    def whole(self, point: Point, regime: Regime, distinct: Distinct) -> Cost:
        """Return the cost of score or prefill."""
        plan = Plan(point, regime)
        return Cost(self.work(plan), self.compulsory(plan, distinct))

    def steps(self, point: Point, steps: Iterable[int], distinct: Distinct) -> list[Cost]:
        """Return the cost of steps, those of one kind together."""
        plan = Plan(point, "decode")
        return [Cost(self.said(plan, phase), self.traffic(plan, phase, distinct)) for phase in phases(point, steps)]

    def dearest(self, point: Point, steps: Iterable[int]) -> int:
        """Return the step of most FLOPs, all cells of attention counted; of equal ones the last."""
        plan = Plan(point, "decode")
        return max(steps, key=lambda n: (sum(tally.flops() for tally in self.said(plan, phases(point, [n])[0]).values()), n))

    def form(self, point: Point, regime: Regime, cost: Cost, read: int) -> dict[str, Tally]:
        """Return the tallies by stage and in total. After `read` tokens a state is what a prefill of them keeps."""
        params = self.params(Plan(point, regime))
        kept = self.kept(Plan(replace(point, tokens=read), "score" if regime == "score" else "prefill"))
        stages = {
            stage: replace(tally, params=params[stage], state_bytes=kept.stage(stage), bytes_compulsory=cost.compulsory.stages[stage])
            for stage, tally in cost.work.items()
        }
        return stages | {"total": replace(total(stages.values()), bytes_compulsory=cost.compulsory.total)}


ARMS: Mapping[str, Arm] = {
    "token": Arm(token_work, token_compulsory, token_said, token_traffic, token_params, token_kept),
    "latent": Arm(latent_work, latent_compulsory, latent_said, latent_traffic, latent_params, latent_kept),
}
