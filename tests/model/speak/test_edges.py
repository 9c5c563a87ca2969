"""What a session refuses: no prompt, no token, no room."""

from __future__ import annotations

import pytest
import torch

from spanbench.model.pair import build_pair
from spanbench.model.speak import blank_session, start_session
from spanbench.point import Point
from spanbench.presets import resolve

POINT = Point(resolve("tiny", "lean", {"layers": 1}, 4), 8, 4)


@pytest.mark.parametrize("arm", ["token", "latent"])
@pytest.mark.parametrize("prompts", [[], [[]], [[1, 2], []]], ids=str)
def test_a_prompt_needs_a_token(arm: str, prompts: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        start_session(build_pair(POINT).arms()[arm], prompts, 2)


@pytest.mark.parametrize("prompts", [1, 2])
def test_a_step_past_the_room_of_the_dense_arm_is_refused(prompts: int) -> None:
    """With one lane, torch itself would answer with logits of no row."""
    session, ids = blank_session(build_pair(POINT).token, prompts, 6, 2), torch.zeros(prompts, dtype=torch.int64)
    for _ in range(2):
        assert session.step(ids).shape == (prompts, POINT.shape.vocab)
    with pytest.raises(ValueError, match="room for 8 rows"):
        session.step(ids)


@pytest.mark.parametrize("prompts", [1, 2])
def test_a_span_past_the_room_of_the_latent_arm_is_refused(prompts: int) -> None:
    session, ids = blank_session(build_pair(POINT).latent, prompts, 6, 2), torch.zeros(prompts, dtype=torch.int64)
    for _ in range(2 + 3):  # to the end of span 2, and the three ordinary steps that need no new latent
        session.step(ids)
    with pytest.raises(ValueError, match="room for 2 rows"):
        session.step(ids)
