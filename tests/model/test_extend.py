"""In float64, tokens read several at once leave the logits and the state that a prefill of the whole text leaves."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spanbench.model.pair import Model
from spanbench.model.speak import Session, blank_session, start_session
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
