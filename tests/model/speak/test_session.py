"""In float64 a session says what the whole text's forward says, and holds what a prefill of the same tokens leaves."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spanbench.model.latent import Latent
from spanbench.model.pair import Model
from spanbench.model.speak import Session, start_session
from spanbench.point import Point
from tests.model.exact import TOLERANCE, arms, double_points, random_ids, score
from tests.model.speak.lanes import apart, held, long_enough, prefilled, start_bytes, summed, tensors

texts = double_points().map(long_enough)


def open_at(model: Model, ids_BxN: Tensor, lengths: list[int]) -> tuple[Session, Tensor]:
    """Read the first tokens of each lane, with room for the rest of the longest."""
    prompts = [row[:length].tolist() for row, length in zip(ids_BxN, lengths, strict=True)]
    with torch.inference_mode():
        return start_session(model, prompts, ids_BxN.shape[1] - max(lengths))


def step(session: Session, ids_BxN: Tensor, read: list[int]) -> Tensor:
    """Give each lane the token of its text that follows those it has read."""
    with torch.inference_mode():
        return session.step(ids_BxN[range(len(read)), read])


def after(lengths: list[int], steps: int) -> list[int]:
    return [length + steps for length in lengths]


def assert_same_state(session: Session, model: Model, ids_BxN: Tensor, read: list[int]) -> None:
    """Every tensor of every lane is the prefill's, whatever the lanes beside it."""
    for lane, tokens in enumerate(read):
        _, state = prefilled(model, ids_BxN[lane : lane + 1, :tokens])
        for (place, ours), (there, theirs) in zip(tensors(held(session, lane)), tensors(state), strict=True):
            assert place == there
            assert apart(ours, theirs) <= TOLERANCE, f"{place} of lane {lane} after {tokens} tokens"


def assert_follows(model: Model, ids_BxN: Tensor, lengths: list[int], steps: int) -> None:
    """Hold the prompt's logits and those of each step against the forward of the whole text."""
    whole, lanes = score(model, ids_BxN), range(len(lengths))
    session, logits_BxV = open_at(model, ids_BxN, lengths)
    for taken in range(steps + 1):
        read = after(lengths, taken)
        wanted = whole[lanes, [tokens - 1 for tokens in read]]
        assert apart(logits_BxV, wanted) <= TOLERANCE, f"{type(model).__name__}, {taken} steps after {lengths}"
        if taken < steps:
            logits_BxV = step(session, ids_BxN, read)
    assert_same_state(session, model, ids_BxN, after(lengths, steps))


@settings(max_examples=60)
@given(texts)
def test_each_step_says_what_the_whole_forward_says_from_every_prompt_length(point: Point) -> None:
    """Each length modulo S, before and behind the first complete span; from each the steps pass the end of a span."""
    ids = random_ids(point)
    for model in arms(point).values():
        for tokens in range(1, 2 * point.span + 1):
            assert_follows(model, ids, [tokens] * point.batch, point.span + 2)


@st.composite
def ragged(draw: st.DrawFn) -> tuple[Point, list[int]]:
    """Draw a point and a length for each of two to five lanes."""
    point = draw(texts)
    return point, draw(st.lists(st.integers(1, 2 * point.span), min_size=2, max_size=5))


def ragged_ids(point: Point, lanes: int) -> Tensor:
    generator = torch.Generator().manual_seed(point.seed)
    return torch.randint(point.shape.vocab, (lanes, point.tokens), generator=generator)


@given(ragged())
def test_lanes_of_different_lengths_step_together_as_if_each_were_alone(case: tuple[Point, list[int]]) -> None:
    point, lengths = case
    ids = ragged_ids(point, len(lengths))
    for model in arms(point).values():
        assert_follows(model, ids, lengths, point.span + 2)


@settings(max_examples=60)
@given(texts)
def test_at_every_step_the_state_is_that_of_a_prefill(point: Point) -> None:
    """Byte for byte by stage, and every tensor: keys and values, memory, c_K, open ids."""
    ids = random_ids(point)
    for model in arms(point).values():
        session, _ = open_at(model, ids, [1] * point.batch)
        for tokens in range(1, point.tokens + 1):
            kept, (_, state) = session.kept(), prefilled(model, ids[:, :tokens])
            assert (kept.kv, kept.other) == (state.kept().kv, state.kept().other), f"{type(model).__name__} after {tokens}"
            assert_same_state(session, model, ids, [tokens] * point.batch)
            if tokens < point.tokens:
                step(session, ids, [tokens] * point.batch)


@given(ragged())
def test_a_ragged_state_is_the_sum_of_its_lanes_with_one_start_memory(case: tuple[Point, list[int]]) -> None:
    point, lengths = case
    ids = ragged_ids(point, len(lengths))
    for model in arms(point).values():
        session, _ = open_at(model, ids, lengths)
        for taken in range(point.span + 2):
            read = after(lengths, taken)
            kv, other = summed([prefilled(model, row[None, :n])[1].kept() for row, n in zip(ids, read, strict=True)])
            if isinstance(model, Latent):
                kv["decoder"] -= max(0, sum(n < point.span for n in read) - 1) * start_bytes(model)
            assert (session.kept().kv, session.kept().other) == (kv, other)
            step(session, ids, read)


# ---- when encoder and mixer run -------------------------------------------------------------------------------------


def calls_of(model: Latent, session: Session, ids_BxN: Tensor, read: list[int]) -> list[tuple[str, int]]:
    """Return the calls of encoder and mixer in one step, and the rows each was given."""
    seen: list[tuple[str, int]] = []
    hooks = [
        part.register_forward_pre_hook(lambda _module, args, name=name: seen.append((name, len(args[0]))))
        for name, part in (("encoder", model.encoder), ("mixer", model.mixer))
    ]
    step(session, ids_BxN, read)
    for hook in hooks:
        hook.remove()
    return seen


@settings(max_examples=50)
@given(texts)
def test_encoder_and_mixer_run_once_a_closed_span_on_that_span_alone(point: Point) -> None:
    """⌊n/S⌋ calls of each in n tokens: none in an ordinary step, in a closing one S rows and one row of each prompt."""
    ids, model, span = random_ids(point), arms(point)["latent"], point.span
    assert isinstance(model, Latent)
    for begin in range(1, span + 1):
        session, _ = open_at(model, ids, [begin] * point.batch)
        closings = 0
        for tokens in range(begin, point.tokens):
            seen = calls_of(model, session, ids, [tokens] * point.batch)
            closing = (tokens + 1) % span == 0
            assert seen == ([("encoder", span * point.batch), ("mixer", point.batch)] if closing else [])
            closings += closing
        assert closings == point.tokens // span - begin // span


@settings(max_examples=50)
@given(ragged())
def test_of_ragged_lanes_only_those_that_close_a_span_are_encoded(case: tuple[Point, list[int]]) -> None:
    point, lengths = case
    ids, model, span = ragged_ids(point, len(lengths)), arms(point)["latent"], point.span
    assert isinstance(model, Latent)
    session, _ = open_at(model, ids, lengths)
    for taken in range(span + 2):
        read = after(lengths, taken)
        closing = sum((tokens + 1) % span == 0 for tokens in read)
        assert calls_of(model, session, ids, read) == ([("encoder", span * closing), ("mixer", closing)] if closing else [])


# ---- going back -----------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(ragged(), st.integers(0, 3), st.integers(1, 6))
def test_a_session_goes_back_to_its_mark_as_often_as_asked(case: tuple[Point, list[int]], before: int, away: int) -> None:
    """Whatever was said after the mark, the same tokens then give the same bits and the same state."""
    point, lengths = case
    before, away = min(before, point.span), min(away, point.span + 2)
    ids, others = ragged_ids(point, len(lengths)), ragged_ids(point, len(lengths)).flip(1)
    for model in arms(point).values():
        straight, _ = open_at(model, ids, lengths)
        session, _ = open_at(model, ids, lengths)
        for taken in range(before):
            step(straight, ids, after(lengths, taken))
            step(session, ids, after(lengths, taken))
        rewind = session.mark()
        expected = [(step(straight, ids, after(lengths, before + more)), straight.kept()) for more in range(2)]
        for _ in range(2):
            for more in range(away):
                if before + more < point.span + 2:
                    step(session, others, after(lengths, before + more))
            with torch.inference_mode():
                rewind()
            assert_same_state(session, model, ids, after(lengths, before))
            for more, (logits, kept) in enumerate(expected):
                assert torch.equal(step(session, ids, after(lengths, before + more)), logits)
                assert session.kept() == kept
            with torch.inference_mode():
                rewind()
