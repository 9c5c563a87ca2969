"""Count one-token steps: each step of a regime runs on the meta device and is held against its own closed form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from spanbench.count.distinct import Distinct, StepRows
from spanbench.count.formula import step_forms, steps_of
from spanbench.count.ledger import TOTAL, Counted, run_ledger
from spanbench.count.subject import Subject
from spanbench.count.verify import equal
from spanbench.model.latent import Latent
from spanbench.model.pair import Model, mlps
from spanbench.model.speak import Session, blank_session
from spanbench.point import Point, Regime
from spanbench.run.subjects import meta_ids, subject_of
from spanbench.tally import Kept, Tally, total

__all__ = ["joined", "spoken", "step_subject"]


def spoken(point: Point, arm: str, model: Model, regime: Regime, distinct: Distinct) -> Counted:
    """Count all steps of decode, decode_worst or request (its prefill first) of one arm; they add up, but for the state.

    Raises:
        CountMismatch: a step's ledger and its closed form disagree.
    """
    opening = [_prefill(point, arm, model, distinct)] if regime == "request" else []
    forms = step_forms(point, "decode" if regime == "decode_worst" else regime, distinct)[arm][len(opening) :]
    steps = []
    for tokens, rows, form in zip(steps_of(point, regime), distinct.steps, forms, strict=False):
        counted = run_ledger(step_subject(model, blank_session(model, point.batch, tokens, 1), meta_ids(point)[:, 0], rows))
        equal(form, counted, f"{arm} {regime}, step after {tokens:,} tokens")
        steps.append(counted)
    if regime == "decode_worst":
        return max(reversed(steps), key=lambda step: step.stages[TOTAL].flops())
    return joined([*opening, *steps])


def _prefill(point: Point, arm: str, model: Model, distinct: Distinct) -> Counted:
    counted = run_ledger(subject_of(model, "prefill", meta_ids(point), distinct))
    equal(step_forms(point, "request", distinct)[arm][0], counted, f"{arm} request, prefill")
    return counted


def step_subject(model: Model, session: Session, ids_B: Tensor, rows: StepRows) -> Subject:
    """Describe the next step of a session to the ledger and the witnesses."""

    def call(ids: Tensor) -> tuple[Tensor, Kept]:
        with torch.inference_mode():
            return session.step(ids), session.kept()

    if isinstance(model, Latent):
        distinct = {model.encoder_embedding: rows.encoder, model.decoder_embedding: rows.decoder}
    else:
        distinct = {model.embedding: rows.token}
    return Subject(model, call, ids_B, model.stages(), list(mlps(model)), distinct)


def joined(steps: Sequence[Counted]) -> Counted:
    """Add up steps; parameters are there once, and the state is the last one's."""
    last = steps[-1]
    stages = {name: _sum((step.stages[name] for step in steps), last.stages[name]) for name in last.stages}
    other = {name: sum(step.flops_other[name] for step in steps) for name in last.flops_other}
    census, operations = (sum((getattr(step, name) for step in steps), Counter()) for name in ("census", "operations"))
    return Counted(stages, other, census, operations)


def _sum(tallies: Iterable[Tally], last: Tally) -> Tally:
    return replace(total(tallies), params=last.params, state_bytes=last.state_bytes)
