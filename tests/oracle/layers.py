"""The shared layer, row by row: self-attention, cross-attention and the MLP, over the cells the mask lets through and no others."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from spanbench.point import Stack
from tests.oracle.arithmetic import (
    KeyValue,
    Matrix,
    Stage,
    Vector,
    Weights,
    add,
    dot,
    gelu,
    linear,
    rms_norm,
    rope,
    silu,
    softmax,
)

__all__ = ["attend", "memory_key_values", "run_stack", "split_heads", "split_key_value"]


def run_stack(
    stack: Stack,
    gated: bool,
    weights: Weights,
    rows: Matrix,
    stage: Stage,
    *,
    causal: bool,
    memory: Sequence[Sequence[KeyValue]] | None = None,
) -> Matrix:
    """Return a window's rows (T x d) after every layer and the final norm; a stack of zero layers returns them as they are.

    `memory` gives each layer the keys and values that its cross-attention reads; without it there is no cross-attention.
    """
    for index in range(stack.layers):
        block = weights.part(f"blocks.{index}")
        rows = _self_attention(stack, block, rows, stage, causal)
        if memory is not None:
            rows = [_cross_attention(stack, block, row, memory[index], stage) for row in rows]
        rows = [_mlp(stack, gated, block, row, stage) for row in rows]
    if stack.layers == 0:
        return rows
    norm = weights.vector("norm.weight", stack.width)
    return [rms_norm(norm, row) for row in rows]


def memory_key_values(stack: Stack, weights: Weights, memory: Matrix, stage: Stage) -> list[list[KeyValue]]:
    """Return, for each layer, key and value heads of each memory row; the rows are Z wide."""
    result = []
    for index in range(stack.layers):
        kv = weights.part(f"blocks.{index}").matrix("cross.kv.weight", 2 * stack.kv_width, len(memory[0]))
        result.append([split_key_value(stack, linear(kv, row, stage)) for row in memory])
    return result


def split_heads(row: Vector, head_width: int) -> Matrix:
    """Cut a head-major row into heads of E numbers."""
    return [row[start : start + head_width] for start in range(0, len(row), head_width)]


def split_key_value(stack: Stack, row: Vector) -> KeyValue:
    """Cut a row of 2·G·E numbers into its key heads and its value heads."""
    keys, values = row[: stack.kv_width], row[stack.kv_width :]
    return split_heads(keys, stack.head_width), split_heads(values, stack.head_width)


def attend(queries: Matrix, memory: Sequence[KeyValue], stage: Stage) -> Vector:
    """Let one row's H query heads read the key-value rows given, all of them; return the heads end to end.

    Query head h reads key-value head floor(h * G / H). A cell is one key-value row, whatever the number of heads.
    """
    stage.cells += len(memory)
    output: Vector = []
    for h, query in enumerate(queries):
        scale = 1.0 / sqrt(len(query))
        g = h * len(memory[0][0]) // len(queries)
        shares = softmax([scale * dot(query, keys[g], stage) for keys, _ in memory])
        columns = zip(*(values[g] for _, values in memory), strict=True)
        output += [dot(shares, column, stage) for column in columns]
    return output


def _self_attention(stack: Stack, block: Weights, rows: Matrix, stage: Stage, causal: bool) -> Matrix:
    """x + out(SDPA(rope(q), rope(k), v)) for all rows of one window; positions count from 0."""
    norm = block.vector("attention_norm.weight", stack.width)
    qkv = block.matrix("attention.qkv.weight", stack.width + 2 * stack.kv_width, stack.width)
    out = block.matrix("attention.out.weight", stack.width, stack.width)
    queries: list[Matrix] = []
    memory: list[KeyValue] = []
    for position, row in enumerate(rows):
        packed = linear(qkv, rms_norm(norm, row), stage)
        keys, values = split_key_value(stack, packed[stack.width :])
        queries.append([rope(head, position) for head in split_heads(packed[: stack.width], stack.head_width)])
        memory.append(([rope(head, position) for head in keys], values))
    seen = [memory[: t + 1] if causal else memory for t in range(len(rows))]
    return [add(x, linear(out, attend(q, kv, stage), stage)) for x, q, kv in zip(rows, queries, seen, strict=True)]


def _cross_attention(stack: Stack, block: Weights, row: Vector, memory: Sequence[KeyValue], stage: Stage) -> Vector:
    """x + out(SDPA(q, k, v)) for one row over the memory; no rotary positions."""
    norm = block.vector("cross_norm.weight", stack.width)
    query = linear(block.matrix("cross.q.weight", stack.width, stack.width), rms_norm(norm, row), stage)
    read = attend(split_heads(query, stack.head_width), memory, stage)
    return add(row, linear(block.matrix("cross.out.weight", stack.width, stack.width), read, stage))


def _mlp(stack: Stack, gated: bool, block: Weights, row: Vector, stage: Stage) -> Vector:
    """x + down(GELU(up(norm(x)))), or gated x + down(SiLU(gate) * up), for one row."""
    stage.mlp_rows += 1
    normed = rms_norm(block.vector("mlp_norm.weight", stack.width), row)
    if gated:
        both = linear(block.matrix("mlp.gate_up.weight", 2 * stack.mlp, stack.width), normed, stage)
        hidden = [silu(gate) * up for gate, up in zip(both[: stack.mlp], both[stack.mlp :], strict=True)]
    else:
        hidden = [gelu(up) for up in linear(block.matrix("mlp.up.weight", stack.mlp, stack.width), normed, stage)]
    return add(row, linear(block.matrix("mlp.down.weight", stack.width, stack.mlp), hidden, stage))
