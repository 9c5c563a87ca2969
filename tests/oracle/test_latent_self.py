"""The interpreter's latent arm against numbers worked out by hand, option by option."""

from __future__ import annotations

from dataclasses import replace
from math import exp, sqrt

import pytest

from spanbench.point import Stack
from tests.oracle.arithmetic import Stage, Work
from tests.oracle.by_hand import IDENTITY, ONE, SHAPE, ZERO_2X2, flat_latent, normed, silent_block
from tests.oracle.interpreter import latent_last, latent_logits


def test_flat_latent_arm_by_hand() -> None:
    """N = 5, S = 2: windows [start, x0], [c_1, x2], [c_2, x4]; every token row gives its last slot plus its embedding."""
    work = Work()
    logits = latent_logits(SHAPE, 2, flat_latent(), [0, 1, 2, 2, 1], work)
    # Means of spans: (0.5, 1) and (3, 4); pooled (1, 1) and (6, 4); slots (1, 10) and (4, 60).
    hidden = [(105.0, 7.0), (1.0, 10.0), (101.0, 110.0), (4.0, 60.0), (4.0, 160.0)]
    assert logits == [[x, y, x + y] for x, y in hidden]
    counts = {name: stage.multiplies for name, stage in work.stages.items()}
    assert counts == {"encoder": 2 * 4, "mixer": 0, "bridge": 2 * 4, "head": 5 * 6}


@pytest.mark.parametrize("tokens", [1, 2, 3, 4, 5])
def test_flat_latent_prefill_runs_one_window_and_one_head_row(tokens: int) -> None:
    ids = [0, 1, 2, 2, 1][:tokens]
    work = Work()
    last = latent_last(SHAPE, 2, flat_latent(), ids, work)
    assert last == latent_logits(SHAPE, 2, flat_latent(), ids, Work())[-1]
    assert (work["bridge"].multiplies, work["head"].multiplies) == (4 if tokens > 1 else 0, 6)


def test_lookup_lays_rows_end_to_end_without_a_multiply() -> None:
    weights = flat_latent() | {"encoder_embedding.weight": [[1.0], [2.0], [3.0]], "bridge.weight": IDENTITY}
    shape = replace(SHAPE, pool="lookup", encoder=Stack(0, 1, 1, 1, 1))
    work = Work()
    assert latent_last(shape, 2, weights, [0, 2], work) == [1.0, 3.0, 4.0]
    assert work["encoder"] == Stage()


def test_concat_puts_the_first_row_first() -> None:
    weights = flat_latent() | {"encoder.pool.weight": [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]], "bridge.weight": IDENTITY}
    work = Work()
    assert latent_last(replace(SHAPE, pool="concat"), 2, weights, [0, 2], work) == [1.0, 4.0, 5.0]
    assert work["encoder"] == Stage(multiplies=2 * 2 * 2)


def test_attention_pool_by_hand() -> None:
    """Keys keep the first number, values are the row; the query asks for it with weight sqrt(2)."""
    weights = flat_latent() | {
        "encoder.pool.query": [sqrt(2), 0.0],
        "encoder.pool.kv.weight": [[1.0, 0.0], [0.0, 0.0], *IDENTITY],
        "encoder.pool.out.weight": IDENTITY,
        "bridge.weight": IDENTITY,
    }
    work = Work()
    row = latent_last(replace(SHAPE, pool="attention"), 2, weights, [0, 2], work)
    share = 1 / (1 + exp(1 - 3))  # of the second row (3, 4); the first is (1, 0)
    assert row[:2] == pytest.approx([(1 - share) + 3 * share, 4 * share], abs=1e-14)
    assert work["encoder"] == Stage(multiplies=2 * 8 + 2 * (2 + 2) + 4, cells=2)


def test_two_slots_and_the_last_one_predicts() -> None:
    weights = flat_latent() | {
        "bridge.weight": [[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]],
        "decoder.start": [[9.0, 9.0], [5.0, 7.0]],
    }
    shape = replace(SHAPE, prefix=2)
    # S = 1: one row in front of each next span; c_1 pools (3, 4) to (6, 4), c_2 pools (0, 2) to (0, 2).
    assert latent_logits(shape, 1, weights, [2, 1], Work()) == [[6.0, 4.0, 10.0], [0.0, 2.0, 2.0]]
    # S = 2: start slot plus x0; c_1 pools (0.5, 1) to (1, 1); c_1 plus x2.
    assert latent_logits(shape, 2, weights, [0, 1, 2], Work()) == [[105.0, 7.0, 112.0], [1.0, 1.0, 2.0], [101.0, 101.0, 202.0]]


def test_carried_tokens_stand_between_slots_and_own_tokens() -> None:
    """A decoder that adds nothing norms its rows: the last carried token predicts the span's first."""
    weights = flat_latent() | silent_block("decoder.stack.blocks.0") | {"decoder.stack.norm.weight": [1.0, 1.0]}
    shape = replace(SHAPE, decoder=ONE, carry=1)
    work = Work()
    logits = latent_logits(shape, 2, weights, [0, 1, 2, 2, 1], work)
    rows = [(100, 0), (0, 100), (100, 100), (100, 100), (0, 100)]  # the embeddings of x0, x1 (carried), x2, x3 (carried), x4
    for logit, row in zip(logits, rows, strict=True):
        assert logit[:2] == pytest.approx(normed(*row), abs=1e-14)
    # Windows of 2, 3 and 3 rows: 24 multiplies a row, 4 a cell, cells 3 + 6 + 6.
    assert work["decoder"] == Stage(multiplies=8 * 24 + 15 * 4, cells=15, mlp_rows=8)

    last = Work()
    assert latent_last(shape, 2, weights, [0, 1, 2, 2], last) == logits[3]  # no open token: a slot, then the carried token
    assert last["decoder"] == Stage(multiplies=2 * 24 + 3 * 4, cells=3, mlp_rows=2)


CROSS = flat_latent() | silent_block("decoder.stack.blocks.0") | {
    "decoder.stack.norm.weight": [1.0, 1.0],
    "decoder.stack.blocks.0.cross_norm.weight": [1.0, 1.0],
    "decoder.stack.blocks.0.cross.q.weight": ZERO_2X2,
    "decoder.stack.blocks.0.cross.kv.weight": [[1.0, 0.0], [0.0, 1.0], *IDENTITY],
    "decoder.stack.blocks.0.cross.out.weight": IDENTITY,
    "decoder.start_memory": [[1000.0, 0.0]],
}  # fmt: skip


def test_cross_attention_reads_the_latents_before_its_window() -> None:
    """A query of zeros averages the memory: window 0 its start rows, window j the pooled latents 1 .. j."""
    work = Work()
    logits = latent_logits(replace(SHAPE, decoder=ONE, cross_attention=True), 2, CROSS, [0, 1, 2, 2, 1], work)
    # Latents (1, 1) and (6, 4), their mean (3.5, 2.5); start slot (5, 7).
    hidden = [(1100.0, 0.0), (6.0, 8.0), (101.0, 101.0), (8.5, 9.5), (3.5, 102.5)]
    for logit, row in zip(logits, hidden, strict=True):
        assert logit[:2] == pytest.approx(normed(*row), abs=1e-14)
    # 3 windows of 2 rows. Self: 24 a row, 3 cells a window. Cross: q and out 8 a row, kv 8 a memory row (3), 2 · (1 + 1 + 2) cells.
    assert work["decoder"] == Stage(multiplies=6 * 24 + 6 * 8 + 3 * 8 + (9 + 8) * 4, cells=17, mlp_rows=6)
    assert "bridge" not in work.stages


def test_prefill_with_cross_attention_computes_only_the_memory_it_reads() -> None:
    shape = replace(SHAPE, decoder=ONE, cross_attention=True)
    with_latents, without = Work(), Work()
    latent_last(shape, 2, CROSS, [0, 1, 2], with_latents)
    latent_last(shape, 2, CROSS, [0], without)
    # Either way a window of 2 rows over a memory of one row: the start memory runs only where no latent does.
    expected = Stage(multiplies=2 * 32 + 8 + (3 + 2) * 4, cells=5, mlp_rows=2)
    assert with_latents["decoder"] == without["decoder"] == expected
    assert (with_latents.start_memory, without["encoder"]) == (None, Stage())


def test_a_batch_computes_the_start_memory_once() -> None:
    shape = replace(SHAPE, decoder=ONE, cross_attention=True)
    work = Work()
    first = latent_last(shape, 2, CROSS, [0], work)
    assert latent_last(shape, 2, CROSS, [0], work) == first
    assert work["decoder"] == Stage(multiplies=2 * (2 * 32 + (3 + 2) * 4) + 8, cells=10, mlp_rows=4)


def test_encoder_sees_its_whole_span_and_mixer_only_the_past() -> None:
    weights = flat_latent() | silent_block("encoder.stack.blocks.0") | silent_block("mixer.blocks.0")
    weights |= {"encoder.stack.norm.weight": [1.0, 1.0], "mixer.norm.weight": [1.0, 1.0]}
    work = Work()
    latent_logits(replace(SHAPE, encoder=ONE, mixer=ONE), 3, weights, [0, 1, 2, 2, 1, 0, 1], work)
    # Two spans of 3 rows, 9 cells each, pool 4 each; the mixer's 2 rows share 3 cells.
    assert work["encoder"] == Stage(multiplies=6 * 24 + 18 * 4 + 2 * 4, cells=18, mlp_rows=6)
    assert work["mixer"] == Stage(multiplies=2 * 24 + 3 * 4, cells=3, mlp_rows=2)
