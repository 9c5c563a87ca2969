"""The parts of the latent arm: spans to latents (encoder), latents to context (mixer), context to windows (bridge, decoder)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spanbench.point import Shape
from tests.oracle.arithmetic import KeyValue, Matrix, Stage, Vector, Weights, Work, add, linear
from tests.oracle.layers import attend, memory_key_values, run_stack, split_heads, split_key_value

__all__ = ["WindowInput", "contextual_latents", "decode_window", "decoder_inputs"]


@dataclass(frozen=True, slots=True)
class WindowInput:
    """What a decoder window starts from: P prefix slots (P x Dd) and, with cross-attention, each layer's memory."""

    slots: Matrix
    memory: list[list[KeyValue]] | None = None


def contextual_latents(shape: Shape, span: int, weights: Weights, ids: Sequence[int], work: Work) -> Matrix:
    """Return c_1 .. c_K (K x Z): complete spans encoded one at a time, then mixed causally; nothing runs where K = 0."""
    starts = range(0, len(ids) - span + 1, span)
    latents = [_encode(shape, weights, ids[start : start + span], work["encoder"]) for start in starts]
    if not latents:
        return []
    return run_stack(shape.mixer, shape.gated, weights.part("mixer"), latents, work["mixer"], causal=True)


def decoder_inputs(shape: Shape, weights: Weights, latents: Matrix, windows: Iterable[int], work: Work) -> list[WindowInput]:
    """Return what the chosen windows start from, doing no work for any other; `latents` are all of c_1 .. c_K."""
    start = weights.matrix("decoder.start", shape.prefix, shape.decoder.width)
    if not shape.cross_attention:
        return [WindowInput(_bridge(shape, weights, latents[j - 1], work["bridge"]) if j else start) for j in windows]
    stack, stage = weights.part("decoder.stack"), work["decoder"]
    memory = memory_key_values(shape.decoder, stack, latents, stage) if latents else []
    return [WindowInput(start, [layer[:j] for layer in memory] if j else _start_memory(shape, weights, work)) for j in windows]


def decode_window(shape: Shape, weights: Weights, window: WindowInput, ids: Sequence[int], work: Work) -> Matrix:
    """Return the decoder's rows of one window: P slots, then one row a token of `ids` (carried tokens, then its own)."""
    table = weights.matrix("decoder_embedding.weight", shape.vocab, shape.decoder.width)
    tokens = [table[token] for token in ids]
    if shape.decoder.layers == 0:
        return window.slots + [add(window.slots[-1], token) for token in tokens]
    rows = window.slots + tokens
    stack = weights.part("decoder.stack")
    return run_stack(shape.decoder, shape.gated, stack, rows, work["decoder"], causal=True, memory=window.memory)


def _bridge(shape: Shape, weights: Weights, latent: Vector, stage: Stage) -> Matrix:
    """One linear map, cut into P slots of Dd."""
    width = shape.decoder.width
    flat = linear(weights.matrix("bridge.weight", shape.prefix * width, shape.mixer.width), latent, stage)
    return [flat[slot * width : (slot + 1) * width] for slot in range(shape.prefix)]


def _start_memory(shape: Shape, weights: Weights, work: Work) -> list[list[KeyValue]]:
    """Return each layer's keys and values of the P start rows, computed by the first prompt of a batch that asks."""
    if work.start_memory is None:
        memory = weights.matrix("decoder.start_memory", shape.prefix, shape.mixer.width)
        work.start_memory = memory_key_values(shape.decoder, weights.part("decoder.stack"), memory, work["decoder"])
    return work.start_memory


def _encode(shape: Shape, weights: Weights, ids: Sequence[int], stage: Stage) -> Vector:
    """Return u_j (Z) of one complete span: bidirectional layers over its S rows, then the pool."""
    table = weights.matrix("encoder_embedding.weight", shape.vocab, shape.encoder.width)
    stack = weights.part("encoder.stack")
    rows = run_stack(shape.encoder, shape.gated, stack, [table[token] for token in ids], stage, causal=False)
    return _pool(shape, weights.part("encoder.pool"), rows, stage)


def _pool(shape: Shape, weights: Weights, rows: Matrix, stage: Stage) -> Vector:
    if shape.pool == "attention":
        return _attention_pool(shape, weights, rows, stage)
    if shape.pool == "mean":
        flat = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    else:
        flat = [number for row in rows for number in row]
    if shape.pool == "lookup":
        return flat
    return linear(weights.matrix("weight", shape.mixer.width, len(flat)), flat, stage)


def _attention_pool(shape: Shape, weights: Weights, rows: Matrix, stage: Stage) -> Vector:
    """One learned query reads the S rows without positions: 1 x S cells, then De to Z."""
    encoder = shape.encoder
    query = split_heads(weights.vector("query", encoder.width), encoder.head_width)
    kv = weights.matrix("kv.weight", 2 * encoder.kv_width, encoder.width)
    read = attend(query, [split_key_value(encoder, linear(kv, row, stage)) for row in rows], stage)
    return linear(weights.matrix("out.weight", shape.mixer.width, encoder.width), read, stage)
