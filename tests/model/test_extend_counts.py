"""What reading several tokens at once executes, on meta, is what its formulas say: written out here, apart from the package's own."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.count.ledger import TOTAL, run_ledger
from spanbench.count.subject import Subject
from spanbench.model.latent import Latent
from spanbench.model.pair import Model, build_pair, mlps
from spanbench.model.speak import blank_session
from spanbench.point import POOLS, Point, Stack
from spanbench.tally import Kept
from tests.count.points import corners, points

Sum = tuple[int, int, int, int]
"""Matrix FLOPs outside attention, dense FLOPs of attention, dense cells, useful cells: of one prompt."""


def executed(model: Model, point: Point, more: int) -> Sum:
    session = blank_session(model, point.batch, point.tokens, more)
    ids = torch.empty(point.batch, more, dtype=torch.int64, device="meta")

    def call(ids_BxQ: torch.Tensor) -> tuple[torch.Tensor, Kept]:
        return session.read(ids_BxQ), session.kept()

    tables = [model.encoder_embedding, model.decoder_embedding] if isinstance(model, Latent) else [model.embedding]
    subject = Subject(model, call, ids, model.stages(), list(mlps(model)), dict.fromkeys(tables, 1))
    tally = run_ledger(subject).stages[TOTAL]
    return tally.matrix_flops, tally.attention_flops, tally.cells_dense, tally.cells_useful


def rows_through(stack: Stack, rows: int, *, gated: bool) -> int:
    attention = 2 * rows * stack.width * (2 * stack.width + 2 * stack.kv_width)
    return stack.layers * (attention + (6 if gated else 4) * rows * stack.width * stack.mlp)


def attended(stack: Stack, dense: int, useful: int) -> Sum:
    return 0, stack.layers * 4 * dense * stack.width, stack.layers * dense, stack.layers * useful


def plus(parts: list[Sum], times: int) -> Sum:
    matrix, attention, dense, useful = (times * sum(column) for column in zip(*parts, strict=True))
    return matrix, attention, dense, useful


def reaching(held: int, rows: int) -> int:
    """Useful cells of rows that each see what is held, the rows before them and themselves."""
    return sum(held + i for i in range(1, rows + 1))


def dense_sum(point: Point, more: int) -> Sum:
    token, n = point.shape.token, point.tokens
    matrix = rows_through(token, more, gated=point.shape.gated) + 2 * token.width * point.shape.vocab
    return plus([(matrix, 0, 0, 0), attended(token, more * (n + more), reaching(n, more))], point.batch)


def pooled(point: Point) -> Sum:
    shape, span = point.shape, point.span
    width, latent = shape.encoder.width, shape.mixer.width
    if shape.pool == "attention":
        return 2 * span * width * 2 * shape.encoder.kv_width + 2 * width * latent, 4 * span * width, span, span
    return {"concat": 2 * span * width * latent, "mean": 2 * width * latent, "lookup": 0}[shape.pool], 0, 0, 0


def latent_sum(point: Point, more: int) -> Sum:
    shape, span, n = point.shape, point.span, point.tokens
    before, after, opened = n // span, (n + more) // span, (n + more) % span
    new = after - before
    parts = [(2 * shape.decoder.width * shape.vocab, 0, 0, 0)]
    for _ in range(new):
        parts += [pooled(point), (rows_through(shape.encoder, span, gated=shape.gated), 0, 0, 0), attended(shape.encoder, span**2, span**2)]
    if new:
        parts.append((rows_through(shape.mixer, new, gated=shape.gated), 0, 0, 0))
        parts.append(attended(shape.mixer, new * after, reaching(before, new)))
        if not shape.cross_attention:
            parts.append((2 * shape.mixer.width * shape.prefix * shape.decoder.width, 0, 0, 0))
    carried = shape.carry if after else 0
    rows, held = (shape.prefix + carried + opened, 0) if new else (more, shape.prefix + carried + n % span)
    parts.append((rows_through(shape.decoder, rows, gated=shape.gated), 0, 0, 0))
    parts.append(attended(shape.decoder, rows * (held + rows), reaching(held, rows)))
    if shape.cross_attention:
        parts.append(cross_sum(point, rows, after or shape.prefix, new))
    return plus(parts, point.batch)


def cross_sum(point: Point, rows: int, read: int, new: int) -> Sum:
    decoder = point.shape.decoder
    matrix = 2 * rows * decoder.width * 2 * decoder.width + 2 * new * point.shape.mixer.width * 2 * decoder.kv_width
    _, attention, dense, useful = attended(decoder, rows * read, rows * read)
    return decoder.layers * matrix, attention, dense, useful


def assert_counted(point: Point, more: int) -> None:
    pair = build_pair(point, "meta")
    assert executed(pair.token, point, more) == dense_sum(point, more)
    assert executed(pair.latent, point, more) == latent_sum(point, more)


@settings(max_examples=15)
@given(points(), st.integers(1, 14))
def test_what_is_executed_is_what_the_formulas_say(point: Point, more: int) -> None:
    assert_counted(point, more)


@pytest.mark.parametrize("pool", POOLS)
def test_it_is_at_every_edge_of_a_span(pool: str) -> None:
    for point, more in product(list(corners(pool))[::11], (2, 7)):  # type: ignore[arg-type]  # POOLS are the names of pools
        assert_counted(point, more)
