"""In float64, tokens read several at once leave the logits and the state that a prefill of the whole text leaves."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spanbench.model.latent import Latent
from spanbench.model.pair import Model
from spanbench.model.speak import Session, blank_session, start_session
from spanbench.model.speak.extend import forget, mix, open_window
from spanbench.model.speak.latent import LatentSession
from spanbench.point import Point
from tests.model.exact import TOLERANCE, arms, double_points, random_ids
from tests.model.speak.lanes import apart, held, prefilled, tensors
from tests.oracle.points import tiny_point


@st.composite
def readings(draw: st.DrawFn) -> tuple[Point, list[int]]:
    """Draw a point and the lengths at which its text is cut: a prompt, then what is read at once, one piece after another."""
    point = draw(double_points())
    pieces = draw(st.lists(st.integers(1, 3 * point.span + 2), min_size=2, max_size=4))
    return point, pieces


def opened(model: Model, ids_BxN: Tensor, tokens: int) -> tuple[Session, Tensor]:
    with torch.inference_mode():
        return start_session(model, ids_BxN[:, :tokens].tolist(), ids_BxN.shape[1] - tokens)


def assert_prefilled(session: Session, model: Model, logits_BxV: Tensor, ids_BxN: Tensor) -> None:
    wanted, _ = prefilled(model, ids_BxN)
    assert apart(logits_BxV, wanted) <= TOLERANCE * max(1.0, wanted.abs().max().item())
    for lane in range(len(ids_BxN)):
        _, state = prefilled(model, ids_BxN[lane : lane + 1])
        for (place, ours), (there, theirs) in zip(tensors(held(session, lane)), tensors(state), strict=True):
            assert place == there
            assert apart(ours, theirs) <= TOLERANCE, f"{place} after {ids_BxN.shape[1]} tokens"


@settings(max_examples=60)
@given(readings())
def test_each_piece_leaves_what_a_prefill_of_the_text_so_far_leaves(case: tuple[Point, list[int]]) -> None:
    point, pieces = case
    ids = random_ids(point, sum(pieces))
    for model in arms(point).values():
        session, _ = opened(model, ids, pieces[0])
        read = pieces[0]
        for piece in pieces[1:]:
            with torch.inference_mode():
                logits = session.read(ids[:, read : read + piece])
            read += piece
            assert_prefilled(session, model, logits, ids[:, :read])


@settings(max_examples=25)
@given(readings())
def test_a_session_steps_on_from_what_it_read_at_once(case: tuple[Point, list[int]]) -> None:
    point, pieces = case
    ids = random_ids(point, sum(pieces) + point.span + 1)
    for model in arms(point).values():
        session, _ = opened(model, ids, pieces[0])
        with torch.inference_mode():
            logits = session.read(ids[:, pieces[0] : sum(pieces)])
            for n in range(sum(pieces), ids.shape[1]):
                logits = session.step(ids[:, n])
        assert_prefilled(session, model, logits, ids)


@pytest.mark.parametrize("index", range(16))
def test_one_token_read_is_one_step_bit_for_bit(index: int) -> None:
    point = tiny_point(index)
    ids = random_ids(point, point.tokens + point.span + 1)
    for model in arms(point).values():
        (one, _), (other, _) = opened(model, ids, point.tokens), opened(model, ids, point.tokens)
        with torch.inference_mode():
            for n in range(point.tokens, ids.shape[1]):
                assert torch.equal(one.read(ids[:, n : n + 1]), other.step(ids[:, n]))


@pytest.mark.parametrize("arm", ["token", "latent"])
def test_lanes_of_different_lengths_are_not_read_at_once(arm: str) -> None:
    point = tiny_point(0)
    with torch.inference_mode():
        session, _ = start_session(arms(point)[arm], [[1, 2], [1]], 4)
        with pytest.raises(ValueError, match="one token at a time"):
            session.read(torch.zeros(2, 2, dtype=torch.int64))


@pytest.mark.parametrize("arm", ["token", "latent"])
@pytest.mark.parametrize("shape", [(1, 0), (2, 3), (3,)])
def test_ids_that_do_not_fit_the_lanes_are_refused(arm: str, shape: tuple[int, ...]) -> None:
    session = blank_session(arms(tiny_point(0))[arm], 1, 4, 4)
    with pytest.raises(ValueError, match="ids must be 1 x Q"):
        session.read(torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize("arm", ["token", "latent"])
def test_more_than_there_is_room_for_is_refused(arm: str) -> None:
    point = tiny_point(0)
    session = blank_session(arms(point)[arm], 1, 4, 4)
    with pytest.raises(ValueError, match="room for"):
        session.read(torch.zeros(1, 8 + point.span, dtype=torch.int64))


@settings(max_examples=50)
@given(double_points(), st.data())
def test_mixing_again_from_a_row_on_leaves_what_a_prefill_of_the_edited_text_leaves(point: Point, data: st.DataObject) -> None:
    """Tokens change from a position on: the rows before it are kept, the others made from latents of the new text."""
    model = arms(point)["latent"]
    assert isinstance(model, Latent)
    ids, span = random_ids(point), point.span
    keep = data.draw(st.integers(0, point.tokens // span))
    edited = torch.cat((ids[:, : keep * span], (ids[:, keep * span :] + 1) % point.shape.vocab), 1)
    session, _ = opened(model, ids, point.tokens)
    assert isinstance(session, LatentSession)
    with torch.inference_mode():
        _, before = model.prefill(ids[:, : keep * span]) if keep else (None, None)
        forget(session, keep, before.other["mixer"][0] if before else None)
        c, complete = None, point.tokens // span
        if complete > keep:
            spans = edited[:, keep * span : complete * span]
            c = mix(session, model.encoder(model.encoder_embedding(spans.flatten())).unflatten(0, (point.batch, -1)))
        tail = edited[:, complete * span - (model.carry if complete else 0) :]
        logits = model.head(open_window(session, tail, c))
    assert_prefilled(session, model, logits, edited)


def test_more_rows_than_there_are_cannot_be_kept() -> None:
    point = tiny_point(0)
    session = blank_session(arms(point)["latent"], 1, 2 * point.span, 4)
    assert isinstance(session, LatentSession)
    with pytest.raises(ValueError, match="holds 2 spans and cannot keep 3"):
        forget(session, 3, None)
