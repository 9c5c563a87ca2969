"""The counted run: closed form, ledger and witnesses of both arms in every regime, all equal or no answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from spanbench.count.blank import KnownResults
from spanbench.count.distinct import Distinct, distinct_rows
from spanbench.count.formula import closed_form
from spanbench.count.ledger import Operation
from spanbench.count.verify import equal
from spanbench.point import SPOKEN, Point, Regime
from spanbench.run.depth import FULL_DEPTH, at_two_depths, is_deep
from spanbench.run.executed import Executed
from spanbench.run.witnessed import DEEP, witnesses_agree
from spanbench.tally import Tally

__all__ = ["ARMS", "Counts", "count_point"]

ARMS = ("token", "latent")
"""In the order of every table."""

_CHECK = "closed form = ledger"
_TWO_DEPTHS = f"{_CHECK} (deep stacks at 1 and 2 layers)"


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts that agree, by regime and arm (and stage); what was checked; what the timed model must show again.

    The census of an arm is empty where its deep stacks were not executed whole.
    """

    distinct: Distinct
    tallies: dict[Regime, dict[str, Mapping[str, Tally]]] = field(default_factory=dict)
    flops_other: dict[Regime, dict[str, Mapping[str, int]]] = field(default_factory=dict)
    census: dict[Regime, dict[str, Counter[Operation]]] = field(default_factory=dict)
    verified: list[str] = field(default_factory=list)


def count_point(
    point: Point,
    ids: Sequence[Sequence[int]],
    said: Sequence[Sequence[int]] = (),
    *,
    verify: bool = False,
    whole: bool = True,
    witnessed: int = FULL_DEPTH,
    progress: Callable[[str, int, int], None],
) -> Counts:
    """Count both arms on the meta device and hold every count against the closed form and the witnesses.

    `said` are the ids fed after the prompt, one a step, where a regime takes steps (`Point.said` of them). `whole` says that
    stacks of any depth are executed whole, as a model that will be timed must be, and `verify` wants it too; without, deep
    ones are executed at 1 and at 2 layers. Stacks of more than `witnessed` layers are shown to the witnesses at 2.

    Raises:
        CountMismatch: two ways of counting disagree.
        UncountedOperation: something ran that no rule counts.
    """
    counts, done = Counts(distinct_rows(ids, point, said or None)), 0
    executed, checks = Executed(counts.distinct), dict[str, None]()
    with KnownResults():
        for done, regime in enumerate(point.regimes):
            progress("counting", done, len(point.regimes))
            for arm in ARMS:
                checks[_count(executed, point, arm, regime, counts, whole=whole or verify)] = None
                if regime not in SPOKEN:  # a step is parts of what was witnessed
                    checks |= dict.fromkeys(witnesses_agree(executed, point, arm, regime, verify=verify, beyond=witnessed))
    progress("counting", len(point.regimes), len(point.regimes))
    counts.verified.extend(_weakest(checks))
    return counts


def _count(executed: Executed, point: Point, arm: str, regime: Regime, counts: Counts, *, whole: bool) -> str:
    """Count one arm in one regime, hold it against the closed form at full depth, keep it, and return what was checked."""
    cut = not whole and is_deep(point, arm)
    counted = (at_two_depths if cut else Executed.counted)(executed, point, arm, regime)
    equal(closed_form(point, regime, counts.distinct)[arm], counted, f"{arm} {regime}")
    counts.tallies.setdefault(regime, {})[arm] = counted.stages
    counts.flops_other.setdefault(regime, {})[arm] = counted.flops_other
    counts.census.setdefault(regime, {})[arm] = counted.census
    return _TWO_DEPTHS if cut else _CHECK


def _weakest(checks: Mapping[str, None]) -> list[str]:
    """Return checks once each: one that was made of cut stacks too is said to be of those."""
    cut = {check.partition(" (")[0] for check in checks if check.endswith(DEEP) or check == _TWO_DEPTHS}
    return [check for check in checks if check not in cut]
