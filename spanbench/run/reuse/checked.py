"""Hold the closed form of reuse against the ledger: both arms read a query behind a document on the meta device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

import torch
from torch import Tensor, nn

from spanbench.count.distinct import StepRows, distinct_rows
from spanbench.count.formula import closed_form
from spanbench.count.ledger import TOTAL, Counted, run_ledger
from spanbench.count.reuse import Extent, extension, from_u
from spanbench.count.reuse.extent import extent_rows
from spanbench.count.reuse.moved import moved_by_extension, moved_from_u
from spanbench.count.subject import Subject
from spanbench.count.verify import equal
from spanbench.errors import CountMismatch
from spanbench.model.latent import Latent
from spanbench.model.pair import Model, Pair, build_pair, mlps
from spanbench.model.speak import Session, blank_session
from spanbench.model.speak.latent import LatentSession
from spanbench.run.reuse.asked import Asked
from spanbench.run.reuse.reading import read_from_u
from spanbench.run.subjects import meta_ids, subject_of
from spanbench.tally import Kept, Tally

__all__ = ["check_reading", "held", "holds_extension", "holds_from_u", "work_of_reading", "work_of_u"]

NOT_WORK = {"params", "state_bytes", "bytes_compulsory"}
"""Fields of a tally that an extension does not state by stage: parameters and state are those of a prefill of all tokens."""


def check_reading(asked: Asked) -> list[str]:
    """Run both arms on meta and return what was checked, tolerance 0.

    A query behind the state (`read`), a query from stored latents, and the document and a query read from their first token.

    Raises:
        CountMismatch: the closed form and what is executed disagree.
        UncountedOperation: something ran that no rule counts.
    """
    pair = build_pair(asked.point, "meta")
    extent = Extent(asked.point, asked.point.tokens, asked.query_tokens)
    texts = [[*document, *query] for document, query in zip(asked.prompt.ids, asked.query(), strict=True)]
    holds_extension(pair, extent, texts)
    holds_from_u(pair, extent, texts)
    _holds_prefill(pair, extent, texts)
    return ["closed form = ledger (a query behind the state, from u, and the whole text anew)"]


def holds_extension(pair: Pair, extent: Extent, texts: Sequence[Sequence[int]]) -> None:
    """Read q tokens of both arms behind blank state of n, and compare."""
    forms, rows = extension(extent.point, extent.before, extent.read), extent_rows(extent, texts)
    moved = moved_by_extension(extent, rows)
    for arm, model in pair.arms().items():
        held(forms[arm], moved[arm], work_of_reading(model, extent, rows), f"{arm}, {extent.read:,} tokens after {extent.before:,}")


def holds_from_u(pair: Pair, extent: Extent, texts: Sequence[Sequence[int]]) -> None:
    """Read q tokens of the latent arm behind stored latents, and compare."""
    rows = extent_rows(extent, texts, fresh=True)
    form, moved = from_u(extent.point, extent.before, extent.read), moved_from_u(extent, rows)
    stored = extent.point.batch * extent.known * extent.point.shape.mixer.width * extent.point.itemsize
    held(form, moved - stored, work_of_u(pair.latent, extent, rows), f"latent, {extent.read:,} tokens after {extent.known:,} stored spans")


def _holds_prefill(pair: Pair, extent: Extent, texts: Sequence[Sequence[int]]) -> None:
    point = extent.whole
    distinct = distinct_rows(texts, point)
    for arm, model in pair.arms().items():
        counted = run_ledger(subject_of(model, "prefill", meta_ids(point), distinct))
        equal(closed_form(point, "prefill", distinct)[arm], counted, f"{arm} prefill of {point.tokens:,} tokens")


def work_of_reading(model: Model, extent: Extent, rows: StepRows) -> Counted:
    """Execute `read` of one arm on meta under the ledger; what is kept stands for any document."""
    session = blank_session(model, extent.point.batch, extent.before, extent.read)
    return run_ledger(_subject(model, session, _ids(extent.point.batch, extent.read), rows))


def work_of_u(model: Latent, extent: Extent, rows: StepRows) -> Counted:
    """Execute a query from stored latents on meta under the ledger."""
    point = extent.point
    session = LatentSession(model, [0] * point.batch, extent.before + extent.read)
    u_BxKxZ = model.head.weight.new_empty(point.batch, extent.known, point.shape.mixer.width)
    tail_BxT = _ids(point.batch, min(extent.known, 1) * point.shape.carry + extent.open_before)

    def call(ids_BxQ: Tensor) -> tuple[Tensor, Kept]:
        logits_BxV = read_from_u(session, u_BxKxZ, tail_BxT, ids_BxQ)
        session.start_read = session.memory is not None and not extent.spans  # its start rows were made here, and are kept
        return logits_BxV, session.kept()

    return run_ledger(Subject(model, call, _ids(point.batch, extent.read), model.stages(), list(mlps(model)), _tables(model, rows)))


def _ids(batch: int, tokens: int) -> Tensor:
    return torch.empty(batch, tokens, dtype=torch.int64, device="meta")


def _subject(model: Model, session: Session, ids_BxQ: Tensor, rows: StepRows) -> Subject:
    def call(ids: Tensor) -> tuple[Tensor, Kept]:
        return session.read(ids), session.kept()

    return Subject(model, call, ids_BxQ, model.stages(), list(mlps(model)), _tables(model, rows))


def _tables(model: Model, rows: StepRows) -> dict[nn.Module, int]:
    if isinstance(model, Latent):
        return {model.encoder_embedding: rows.encoder, model.decoder_embedding: rows.decoder}
    return {model.embedding: rows.token}


def held(form: Mapping[str, Tally], moved: int, counted: Counted, what: str) -> None:
    """Compare the work of every stage, and the compulsory bytes of the whole.

    Raises:
        CountMismatch: the first difference.
    """
    for stage in dict.fromkeys((*form, *counted.stages)):
        ours, theirs = form.get(stage, Tally()), counted.stages.get(stage, Tally())
        for name in (field.name for field in fields(Tally) if field.name not in NOT_WORK):
            _same(what, f"{stage} {name}", getattr(ours, name), getattr(theirs, name))
    _same(what, "bytes_compulsory", moved, counted.stages[TOTAL].bytes_compulsory)


def _same(what: str, quantity: str, formula: int, executed: int) -> None:
    if formula != executed:
        raise CountMismatch(f"{what}, {quantity}: closed form says {formula:,}, ledger says {executed:,}; they must be equal")
