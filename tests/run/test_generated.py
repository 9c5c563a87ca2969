"""An arm speaks: the ids of a model that reads everything anew at each step, and caches as large as was estimated."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spanbench.errors import UsageError
from spanbench.model.pair import Model, build_pair
from spanbench.model.past import Past
from spanbench.model.speak import Sampler, start_session
from spanbench.point import Point
from spanbench.run.fit import needed_bytes
from spanbench.run.generated import cache_bytes, speak, speaking_bytes
from tests.count.points import points
from tests.model.exact import arms, double_points, random_ids
from tests.shapes import seeded_ids, seeded_point


def said_anew(model: Model, ids_BxN: Tensor, tokens: int) -> list[list[int]]:
    """Say the likeliest tokens, each from a forward over all before it."""
    with torch.inference_mode():
        for _ in range(tokens):
            ids_BxN = torch.cat([ids_BxN, model(ids_BxN)[:, -1].argmax(-1, keepdim=True)], 1)
    said: list[list[int]] = ids_BxN[:, -tokens:].tolist()
    return said


@settings(max_examples=40)
@given(double_points(), st.integers(1, 9))
def test_what_is_said_is_what_a_model_without_caches_says(point: Point, tokens: int) -> None:
    ids = random_ids(point)
    for model in arms(point).values():
        heard: list[list[int]] = []
        said = speak(model, ids.tolist(), tokens, Sampler(), heard.append)
        assert said.ids == said_anew(model, ids, tokens)
        assert [list(lane) for lane in zip(*heard, strict=True)] == said.ids
        assert said.first_token_seconds > 0
        assert 0 < said.tokens_per_second <= tokens * point.batch / said.first_token_seconds


@settings(max_examples=60)
@given(points(), st.integers(1, 50))
def test_the_caches_take_the_bytes_that_were_estimated(point: Point, tokens: int) -> None:
    point = replace(point, generate=tokens)
    for arm, model in build_pair(point).arms().items():
        with torch.inference_mode():
            session, _ = start_session(model, seeded_ids(point), tokens)
        pasts = [value for value in vars(session).values() if isinstance(value, Past)]
        kept = [t for past in pasts for cache in past.caches for t in (cache.k_BxGxTxE, cache.v_BxGxTxE)]
        assert cache_bytes(point, arm) == sum(t.numel() * t.element_size() for t in kept)


def test_more_to_say_needs_more_and_the_arm_that_keeps_more_decides() -> None:
    point = replace(seeded_point(28), generate=1000)
    both, token, latent = (speaking_bytes(point, chosen) for chosen in (("token", "latent"), ("token",), ("latent",)))
    assert max(token, latent) < both
    assert both < speaking_bytes(replace(point, generate=2000), ("token", "latent"))


@settings(max_examples=60)
@given(points(), st.integers(1, 50))
def test_the_estimate_holds_caches_and_prompt_state_at_once(point: Point, tokens: int) -> None:
    """When a session takes over, what the prefill kept is still there."""
    point = replace(point, generate=tokens)
    for arm, model in build_pair(point).arms().items():
        with torch.inference_mode():
            _, state = model.prefill(torch.tensor(seeded_ids(point)))
        kept = sum(state.kept().kv.values()) + sum(state.kept().other.values())
        with_state_twice = needed_bytes(replace(point, regimes=("prefill",)))
        with pytest.MonkeyPatch.context() as patch:
            for beside in ("TURN_BYTES", "CHANCE_BYTES", "SAID_BYTES"):
                patch.setattr(f"spanbench.run.generated.{beside}", 0)
            assert speaking_bytes(point, (arm,)) - with_state_twice == max(0, cache_bytes(point, arm) - kept)


def test_logits_that_are_not_numbers_are_one_line() -> None:
    point = replace(seeded_point(28), dtype="float32")
    model = build_pair(point).token
    model.head.weight.fill_(float("nan"))
    heard: list[list[int]] = []
    with pytest.raises(UsageError, match=r"--temperature 0\.5: no token can be drawn"):
        speak(model, seeded_ids(point), 2, Sampler(0.5), heard.append)
