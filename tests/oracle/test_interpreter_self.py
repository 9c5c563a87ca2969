"""The interpreter's arithmetic, layer and dense arm against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from math import cos, erf, exp, sin, sqrt

import pytest

from tests.oracle.arithmetic import Nested, Stage, Weights, Work, dot, rms_norm, rope, softmax
from tests.oracle.by_hand import HEAD, IDENTITY, ONE, SHAPE, TABLE, normed, silent_block
from tests.oracle.interpreter import token_last, token_logits
from tests.oracle.layers import attend


def test_dot_counts_what_it_multiplies() -> None:
    stage = Stage()
    assert dot([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], stage) == 32.0
    assert (stage.multiplies, stage.flops) == (3, 6)


def test_rope_turns_neighbours_each_pair_slower() -> None:
    turned = rope([1.0, 2.0, 3.0, 4.0], 5)
    slow = 5 / sqrt(10000.0)
    expected = [cos(5) - 2 * sin(5), 2 * cos(5) + sin(5), 3 * cos(slow) - 4 * sin(slow), 4 * cos(slow) + 3 * sin(slow)]
    assert turned == pytest.approx(expected, abs=1e-15)
    assert rope([1.0, 2.0, 3.0, 4.0], 0) == [1.0, 2.0, 3.0, 4.0]


def test_norm_and_softmax() -> None:
    assert rms_norm([1.0, 2.0], [3.0, 4.0]) == pytest.approx([3 / sqrt(12.500001), 8 / sqrt(12.500001)], abs=1e-15)
    assert softmax([0.0, 1000.0]) == [0.0, 1.0]
    assert softmax([2.0, 1.0]) == pytest.approx([exp(1) / (1 + exp(1)), 1 / (1 + exp(1))], abs=1e-15)


def test_grouped_heads_share_a_key_value_head_and_a_cell() -> None:
    stage = Stage()
    queries = [[1.0], [2.0], [3.0], [4.0]]  # H = 4, E = 1; G = 2: heads 0, 1 read the first key-value head
    read = attend(queries, [([[0.0], [0.0]], [[1.0], [8.0]]), ([[0.0], [0.0]], [[3.0], [16.0]])], stage)
    assert read == [2.0, 2.0, 12.0, 12.0]
    assert (stage.cells, stage.multiplies) == (2, 2 * 4 * 2)


def test_attention_scales_scores_by_the_root_of_the_head_width() -> None:
    memory = [([[1.0, 0.0, 0.0, 0.0]], [[1.0, 0.0, 0.0, 0.0]]), ([[0.0] * 4], [[0.0] * 4])]
    read = attend([[6.0, 0.0, 0.0, 0.0]], memory, Stage())
    assert read[0] == pytest.approx(1 / (1 + exp(-6 / 2)), abs=1e-15)


@pytest.mark.parametrize(
    ("name", "value"),
    [("a.w", [[1.0]]), ("a.w", [[1.0, 2.0], [3.0]]), ("a.v", [1.0]), ("a.v", [[1.0], [2.0]])],
)
def test_a_weight_of_another_shape_is_refused(name: str, value: Nested) -> None:
    part = Weights({name: value}).part("a")
    with pytest.raises(ValueError, match=r"a\.[wv]: expected 2"):
        part.matrix("w", 2, 2) if name == "a.w" else part.vector("v", 2)


def test_one_dense_layer_by_hand() -> None:
    """Two tokens, D = E = F = 2: q = k = v = norm(x), out and down the identity, up doubles."""
    block = "layers.blocks.0"
    weights: dict[str, Nested] = silent_block(block) | {
        "embedding.weight": TABLE,
        f"{block}.attention.qkv.weight": IDENTITY * 3,
        f"{block}.attention.out.weight": IDENTITY,
        f"{block}.mlp.up.weight": [[2.0, 0.0], [0.0, 2.0]],
        f"{block}.mlp.down.weight": IDENTITY,
        "layers.norm.weight": [1.0, 3.0],
        "head.weight": HEAD,
    }
    work = Work()
    logits = token_logits(replace(SHAPE, token=ONE), weights, [1, 2], work)

    (a, b), (c, d) = normed(0, 2), normed(3, 4)
    # Relative positions: q1·k1 keeps no rotation, q1·k0 one step of it.
    own = (c * c + d * d) / sqrt(2)
    other = (c * (a * cos(1) + b * sin(1)) + d * (b * cos(1) - a * sin(1))) / sqrt(2)
    share = exp(other) / (exp(other) + exp(own))
    attended = [(0 + a, 2 + b), (3 + share * a + (1 - share) * c, 4 + share * b + (1 - share) * d)]
    for row, (x, y) in zip(logits, attended, strict=True):
        u, v = (2 * z for z in normed(x, y))
        p, q = normed(x + u * (1 + erf(u / sqrt(2))) / 2, y + v * (1 + erf(v / sqrt(2))) / 2)
        assert row == pytest.approx([p, 3 * q, p + 3 * q], abs=1e-14)
    # A row: qkv 12, out 4, up 4, down 4; a cell: QK 2, AV 2; the causal mask lets 3 of 4 cells through.
    assert work["layers"] == Stage(multiplies=2 * 24 + 3 * 4, cells=3, mlp_rows=2)
    assert work["head"] == Stage(multiplies=2 * 6)

    last = Work()
    assert token_last(replace(SHAPE, token=ONE), weights, [1, 2], last) == logits[1]
    assert (last["layers"], last["head"].multiplies) == (work["layers"], 6)


def test_gated_mlp_by_hand() -> None:
    """F = 1: the first row of gate_up is the gate, the second the factor; attention adds nothing."""
    block = "layers.blocks.0"
    weights = silent_block(block) | {
        "embedding.weight": TABLE,
        f"{block}.mlp.gate_up.weight": [[1.0, 0.0], [0.0, 1.0]],
        f"{block}.mlp.down.weight": [[1.0], [-1.0]],
        "layers.norm.weight": [1.0, 1.0],
        "head.weight": HEAD,
    }
    shape = replace(SHAPE, gated=True, token=replace(ONE, mlp=1))
    work = Work()
    (row,) = token_logits(shape, weights, [2], work)
    gate, up = normed(3, 4)
    hidden = gate / (1 + exp(-gate)) * up
    p, q = normed(3 + hidden, 4 - hidden)
    assert row == pytest.approx([p, q, p + q], abs=1e-14)
    assert work["layers"] == Stage(multiplies=12 + 4 + 4 + 2 + 4, cells=1, mlp_rows=1)
