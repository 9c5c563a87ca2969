"""A model says of n tokens what it says of them inside a longer text, and prefill says what score says last."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given

from spanbench.model.dense import Dense
from spanbench.model.latent import Latent
from spanbench.model.state import State
from spanbench.point import Point
from tests.model.exact import TOLERANCE, arms, double_points, random_ids, score

Rows = list[tuple[torch.Tensor, torch.Tensor]]


def prefilled(model: Dense | Latent, ids_BxN: torch.Tensor) -> tuple[torch.Tensor, State]:
    with torch.inference_mode():
        return model.prefill(ids_BxN)


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the largest difference; tensors of unlike shapes are not compared."""
    assert one.shape == other.shape
    return (one - other).abs().max().item() if one.numel() else 0.0


def four_spans(point: Point) -> Point:
    return replace(point, tokens=4 * point.span)


@given(double_points().map(four_spans))
def test_every_beginning_gives_the_same_logits_in_score_and_in_prefill(point: Point) -> None:
    ids = random_ids(point)
    for arm, model in arms(point).items():
        whole = score(model, ids)
        for n in range(1, point.tokens + 1):
            assert apart(score(model, ids[:, :n]), whole[:, :n]) <= TOLERANCE, f"{arm}, first {n} tokens"
            assert apart(prefilled(model, ids[:, :n])[0], whole[:, n - 1]) <= TOLERANCE, f"{arm}, prefill of {n} tokens"


# ---- what prefill keeps ---------------------------------------------------------------------------------------------


@given(double_points())
def test_the_state_has_the_rows_that_going_on_needs(point: Point) -> None:
    """By shapes: batch, key-value heads, rows, head width; k and v of every layer, and of a memory that is read."""
    shape, windows, batch, ids = point.shape, point.windows, point.batch, random_ids(point)
    models = arms(point)
    sizes = {part: (getattr(shape, part).kv_heads, getattr(shape, part).head_width) for part in ("token", "mixer", "decoder")}
    _, dense = prefilled(models["token"], ids)
    assert shapes(dense.kv["layers"]) == [(batch, sizes["token"][0], point.tokens, sizes["token"][1])] * shape.token.layers
    _, latent = prefilled(models["latent"], ids)
    mixed = (batch, sizes["mixer"][0], windows.complete, sizes["mixer"][1])
    assert shapes(latent.kv["mixer"]) == [mixed] * (shape.mixer.layers if windows.complete else 0)
    local = (batch, sizes["decoder"][0], shape.prefix + bool(windows.complete) * shape.carry + windows.open, sizes["decoder"][1])
    heads, width = sizes["decoder"]
    memory = (batch, heads, windows.complete, width) if windows.complete else (1, heads, shape.prefix, width)
    assert shapes(latent.kv["decoder"]) == [local] * shape.decoder.layers
    assert shapes(latent.memory) == [memory] * shape.decoder.layers * shape.cross_attention
    assert [tuple(c.shape) for c in latent.other["mixer"]] == [(batch, shape.mixer.width)] * bool(windows.complete)
    assert [open_ids.tolist() for open_ids in latent.other["decoder"]] == [ids[:, windows.complete * point.span :].tolist()]


def shapes(pairs: Rows) -> list[tuple[int, ...]]:
    assert all(k.shape == v.shape and k.is_contiguous() and v.is_contiguous() for k, v in pairs)
    return [tuple(k.shape) for k, _ in pairs]


@given(double_points().map(four_spans))
def test_the_state_grows_by_rows_and_what_is_kept_does_not_change(point: Point) -> None:
    """Keys and values after n tokens are the first of those after all: dense by token, mixer by span."""
    ids, models = random_ids(point), arms(point)
    for arm, stage, every in (("token", "layers", 1), ("latent", "mixer", point.span)):
        _, last = prefilled(models[arm], ids)
        for n in range(every, point.tokens, every):
            _, earlier = prefilled(models[arm], ids[:, :n])
            for long, short in zip(last.kv[stage], earlier.kv[stage], strict=True):
                assert max(apart(now[:, :, : n // every], then) for now, then in zip(long, short, strict=True)) <= TOLERANCE


@given(double_points().map(four_spans))
def test_c_k_is_what_the_mixer_said_last(point: Point) -> None:
    ids, model = random_ids(point), arms(point)["latent"]
    assert isinstance(model, Latent)
    said: list[torch.Tensor] = []
    with model.mixer.register_forward_hook(lambda _module, _args, rows: said.append(rows)):
        _, state = prefilled(model, ids)
    assert torch.equal(state.other["mixer"][0], said[0].view(point.batch, 4, point.shape.mixer.width)[:, 3])


@given(double_points().map(four_spans))
def test_inside_a_span_the_mixer_keeps_still_and_the_window_grows(point: Point) -> None:
    """From K·S tokens to the last before the next complete span: mixer and c_K bit-equal, local rows a longer beginning."""
    ids, model, layers = random_ids(point), arms(point)["latent"], point.shape.decoder.layers
    begin = 3 * point.span
    _, first = prefilled(model, ids[:, :begin])
    for n in range(begin + 1, 4 * point.span):
        _, later = prefilled(model, ids[:, :n])
        assert torch.equal(later.other["mixer"][0], first.other["mixer"][0])
        for now, then in zip(
            later.kv["mixer"] + later.kv["decoder"][layers:], first.kv["mixer"] + first.kv["decoder"][layers:], strict=True
        ):
            assert all(torch.equal(a, b) for a, b in zip(now, then, strict=True))
        for now, then in zip(later.kv["decoder"][:layers], first.kv["decoder"][:layers], strict=True):
            assert max(apart(a[:, :, : b.shape[2]], b) for a, b in zip(now, then, strict=True)) <= TOLERANCE
