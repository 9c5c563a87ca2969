"""Count one-token steps: the telling ones run on the meta device, each held against its own closed form.

Between two closing steps every count but the look-ups' bytes is linear in the tokens read (one more row to attend to),
so of each such stretch the first and the last step are executed, and every closing step; a test executes them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from spanbench.count.distinct import Distinct, StepRows
from spanbench.count.formula import closed_form, step_forms, steps_of
from spanbench.count.ledger import TOTAL, Counted, Operation, run_ledger
from spanbench.count.subject import Subject
from spanbench.count.verify import equal
from spanbench.model.latent import Latent
from spanbench.model.pair import Model, mlps
from spanbench.model.speak import Session, blank_session
from spanbench.point import Point, Regime
from spanbench.run.subjects import meta_ids, subject_of
from spanbench.tally import Kept, Tally, total

__all__ = ["dearest_step", "spoken", "step_subject", "telling_steps"]

MOST_STEPS = 24
"""Steps that are executed at most; of a longer request those at its beginning and at its end."""


def spoken(
    point: Point,
    arm: str,
    model: Model,
    regime: Regime,
    distinct: Distinct,
    *,
    text_BxT: Tensor | None = None,
    every: bool = False,
    dearest: int | None = None,
) -> Counted:
    """Count decode, decode_worst or request (its prefill first) of one arm; steps add up, but for the state.

    What is returned is the sum of the steps, those executed and those known from their closed forms; the closed form of
    the whole regime, which takes them together, is for the caller to hold against it.

    `text_BxT` is the prompt and what is fed after it, on the model's device (None: on meta, without contents). `every`
    executes every step. Element-wise work of steps that were not executed is interpolated. `dearest` is the step that
    decode_worst takes, by the tokens read before it (None: the dearest of this point).

    Raises:
        CountMismatch: a step's ledger and its closed form disagree.
    """
    run = _Run(point, arm, model, distinct, text_BxT)
    if regime == "decode_worst":
        return run.dearest(dearest_step(point, arm, distinct) if dearest is None else dearest)
    forms = step_forms(point, regime, distinct)[arm]
    opening = [run.prefill()] if regime == "request" else []
    steps = steps_of(point, regime)
    chosen = list(steps) if every else telling_steps(point, arm, steps)
    counted = {n: run.step(n, forms[len(opening) + n - steps.start]) for n in chosen}
    other = _other_work(point, arm, steps, {n: step.flops_other for n, step in counted.items()})
    parts = [*opening, *counted.values()]
    sums = _summed(forms)
    return Counted(sums, _added([*(o.flops_other for o in opening), *other], sums), _census(parts), _operations(parts))


def dearest_step(point: Point, arm: str, distinct: Distinct) -> int:
    """Return the tokens read before the step of decode with the most FLOPs, of equal ones the last."""
    steps, forms = steps_of(point, "decode"), step_forms(point, "decode", distinct)[arm]
    return max(steps, key=lambda n: (forms[n - steps.start][TOTAL].flops(), n))


def telling_steps(point: Point, arm: str, steps: range) -> list[int]:
    """Return the steps (tokens read before each) to execute: closing ones, and both ends of each stretch between them."""
    ends = [n for stretch in _stretches(point, arm, steps) for n in dict.fromkeys((stretch[0], stretch[-1]))]
    return ends if len(ends) <= MOST_STEPS else ends[: MOST_STEPS // 2] + ends[-MOST_STEPS // 2 :]


def _stretches(point: Point, arm: str, steps: range) -> Iterator[range]:
    """Split steps where the work changes its kind: for the latent arm at each closing step, which is a stretch of its own."""
    begin = steps.start
    for n in steps:
        if arm == "latent" and (n + 1) % point.span == 0:
            yield from (stretch for stretch in (range(begin, n), range(n, n + 1)) if stretch)
            begin = n + 1
    if begin < steps.stop:
        yield range(begin, steps.stop)


@dataclass(frozen=True, slots=True)
class _Run:
    """One arm of one point, executed a step at a time under the ledger."""

    point: Point
    arm: str
    model: Model
    distinct: Distinct
    text_BxT: Tensor | None

    def step(self, n: int, form: Mapping[str, Tally]) -> Counted:
        """Execute the step after n tokens and hold it against its closed form."""
        session = blank_session(self.model, self.point.batch, n, 1)
        if self.text_BxT is not None:
            session.hold(self.text_BxT[:, :n])
        ids_B = meta_ids(self.point)[:, 0] if self.text_BxT is None else self.text_BxT[:, n]
        counted = run_ledger(step_subject(self.model, session, ids_B, self.distinct.steps[n - self.point.tokens]))
        equal(form, counted, f"{self.arm}, step after {n:,} tokens")
        return counted

    def prefill(self) -> Counted:
        """Execute the prefill that opens a request."""
        ids_BxN = meta_ids(self.point) if self.text_BxT is None else self.text_BxT[:, : self.point.tokens]
        counted = run_ledger(subject_of(self.model, "prefill", ids_BxN, self.distinct))
        equal(closed_form(self.point, "prefill", self.distinct)[self.arm], counted, f"{self.arm} prefill")
        return counted

    def dearest(self, n: int) -> Counted:
        """Execute one step of decode."""
        return self.step(n, step_forms(self.point, "decode", self.distinct)[self.arm][n - self.point.tokens])


def _other_work(point: Point, arm: str, steps: range, known: Mapping[int, Mapping[str, int]]) -> Iterator[Mapping[str, int] | None]:
    """Yield the element-wise work of every step: executed, or between the ends of its stretch; None where an end is unknown."""
    for stretch in _stretches(point, arm, steps):
        first, last = known.get(stretch[0]), known.get(stretch[-1])
        for n in stretch:
            if first is None or last is None:
                yield known.get(n)
            else:
                yield {s: first[s] + (last[s] - first[s]) * (n - stretch[0]) // max(1, len(stretch) - 1) for s in first}


def _summed(steps: Sequence[Mapping[str, Tally]]) -> dict[str, Tally]:
    """Add up by stage; state and parameters are those of the last step."""
    sums = {stage: total(step[stage] for step in steps) for stage in steps[-1]}
    return {s: replace(tally, params=steps[-1][s].params, state_bytes=steps[-1][s].state_bytes) for s, tally in sums.items()}


def _added(steps: Sequence[Mapping[str, int] | None], stages: Iterable[str]) -> dict[str, int]:
    """Add up by stage; nothing where some step's work is unknown (a sum would be too small and not say so).

    A stage that the model does not have, the bridge that cross-attention replaces, does nothing.
    """
    known = [step for step in steps if step is not None]
    return {stage: sum(step.get(stage, 0) for step in known) for stage in stages} if known and len(known) == len(steps) else {}


def _census(steps: Sequence[Counted]) -> Counter[Operation]:
    return sum((step.census for step in steps), Counter[Operation]())


def _operations(steps: Sequence[Counted]) -> Counter[str]:
    return sum((step.operations for step in steps), Counter[str]())


def step_subject(model: Model, session: Session, ids_B: Tensor, rows: StepRows) -> Subject:
    """Describe the next step of a session to the ledger and the witnesses."""

    def call(ids: Tensor) -> tuple[Tensor, Kept]:
        return session.step(ids), session.kept()

    distinct: dict[nn.Module, int]
    if isinstance(model, Latent):
        distinct = {model.encoder_embedding: rows.encoder, model.decoder_embedding: rows.decoder}
    else:
        distinct = {model.embedding: rows.token}
    return Subject(model, call, ids_B, model.stages(), list(mlps(model)), distinct)
