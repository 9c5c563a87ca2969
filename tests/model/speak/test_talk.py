"""What is said: the likeliest token, or one drawn with a seed; the same seed gives the same text."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spanbench.model.pair import Model
from spanbench.model.speak import Sampler, Session, start_session, talk
from spanbench.point import Point
from tests.model.exact import arms, double_points, random_ids, score
from tests.planted.points import POINTS

wordy = double_points().map(lambda point: replace(point, shape=replace(point.shape, vocab=9)))


def say(model: Model, prompts: list[list[int]], tokens: int, sampler: Sampler) -> tuple[Tensor, Session]:
    """Return what is said after the prompts (B x G), and the session that said it."""
    with torch.inference_mode():
        session, logits = start_session(model, prompts, tokens)
        return torch.stack(list(talk(session, logits, tokens, sampler)), 1), session


@settings(max_examples=30)
@given(wordy, st.integers(1, 9))
def test_greedy_text_is_what_the_whole_forward_finds_likeliest(point: Point, tokens: int) -> None:
    """The oracle reads everything again for each token, without any state; of near-equal logits either is the likeliest."""
    ids = random_ids(point)
    for model in arms(point).values():
        said, _ = say(model, ids.tolist(), tokens, Sampler())
        whole = score(model, torch.cat((ids, said), 1))[:, point.tokens - 1 : -1]
        chosen = whole.gather(-1, said[..., None])[..., 0]
        assert (chosen >= whole.amax(-1) - 1e-12).all()


@settings(max_examples=20)
@given(wordy, st.sampled_from([0.0, 0.7, 2.0]), st.integers(0, 9))
def test_the_same_seed_says_the_same_text(point: Point, temperature: float, seed: int) -> None:
    prompts, sampler = random_ids(point).tolist(), Sampler(temperature, seed)
    for model in arms(point).values():
        one, other = (say(model, prompts, 6, sampler)[0] for _ in range(2))
        assert torch.equal(one, other)


@settings(max_examples=20)
@given(wordy)
def test_another_seed_says_another_text(point: Point) -> None:
    """So hot that all nine words are nearly equally likely: of four texts of 16 tokens no two are the same."""
    for model in arms(point).values():
        texts = [say(model, random_ids(point).tolist(), 16, Sampler(1e6, seed))[0] for seed in range(4)]
        assert len({tuple(text.flatten().tolist()) for text in texts}) == 4


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_chances_are_those_of_the_softmax(temperature: float) -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0])
    sampler, draws = Sampler(temperature, seed=3), 40_000
    said = sampler.choose(logits.expand(draws, -1), sampler.generator(logits.device))
    weights = [2.718281828459045 ** (x / temperature) for x in logits.tolist()]
    seen = [(said == word).sum().item() / draws for word in range(4)]
    assert seen == pytest.approx([w / sum(weights) for w in weights], abs=0.01)  # four standard deviations


def test_the_last_token_is_said_but_not_read() -> None:
    point = replace(POINTS[0], dtype="float64", tokens=5, batch=2)
    for model in arms(point).values():
        said, session = say(model, random_ids(point).tolist(), 4, Sampler())
        assert said.shape == (2, 4)
        other, _ = start_session(model, [[0] * (5 + 3)] * 2, 0)
        assert session.kept().kv == other.kept().kv
