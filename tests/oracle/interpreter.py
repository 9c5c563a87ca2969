"""Both arms of docs/architecture.md on one prompt, one scalar multiply after another.

Each function returns logits and adds what it executed to `work`, by stage. Weight names are those of the models' state;
weights are nested lists. The prompts of a batch are a loop of the caller over one `Work`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spanbench.point import Shape
from tests.oracle.arithmetic import Matrix, Nested, Stage, Vector, Weights, Work, linear
from tests.oracle.latent import contextual_latents, decode_window, decoder_inputs
from tests.oracle.layers import run_stack

__all__ = ["Nested", "Stage", "Work", "latent_last", "latent_logits", "token_last", "token_logits"]


def token_logits(shape: Shape, weights: Mapping[str, Nested], ids: Sequence[int], work: Work) -> Matrix:
    """Score with the dense arm: ids (N) to logits (N x V), row i predicting ids[i+1]."""
    return _head(shape, weights, shape.token.width, _token_rows(shape, weights, ids, work), work)


def token_last(shape: Shape, weights: Mapping[str, Nested], ids: Sequence[int], work: Work) -> Vector:
    """Prefill with the dense arm: all layers over N rows, then one row through the head (V)."""
    return _head(shape, weights, shape.token.width, _token_rows(shape, weights, ids, work)[-1:], work)[0]


def latent_logits(shape: Shape, span: int, weights: Mapping[str, Nested], ids: Sequence[int], work: Work) -> Matrix:
    """Score with the latent arm: every window 0 .. K; ids (N) to logits (N x V), row i predicting ids[i+1]."""
    named = Weights(weights)
    latents = contextual_latents(shape, span, named, ids, work)
    inputs = decoder_inputs(shape, named, latents, range(len(latents) + 1), work)
    wanted: Matrix = []
    for j, window in enumerate(inputs):
        own = ids[j * span : (j + 1) * span]
        fed = own[:-1] if j < len(latents) else own  # a complete span's last token predicts in the next window
        carried = ids[j * span - shape.carry : j * span] if j else ids[:0]
        rows = decode_window(shape, named, window, [*carried, *fed], work)
        # The row in front of a span's first token predicts it; nothing asks for the prompt's very first token.
        wanted += rows[shape.prefix + len(carried) - (1 if j else 0) :]
    return _head(shape, weights, shape.decoder.width, wanted, work)


def latent_last(shape: Shape, span: int, weights: Mapping[str, Nested], ids: Sequence[int], work: Work) -> Vector:
    """Prefill with the latent arm: encoder and mixer over the complete spans, window K alone, one row through the head (V)."""
    named = Weights(weights)
    latents = contextual_latents(shape, span, named, ids, work)
    k = len(latents)
    (window,) = decoder_inputs(shape, named, latents, range(k, k + 1), work)
    rows = decode_window(shape, named, window, ids[k * span - shape.carry if k else 0 :], work)
    return _head(shape, weights, shape.decoder.width, rows[-1:], work)[0]


def _token_rows(shape: Shape, weights: Mapping[str, Nested], ids: Sequence[int], work: Work) -> Matrix:
    named = Weights(weights)
    table = named.matrix("embedding.weight", shape.vocab, shape.token.width)
    rows = [table[token] for token in ids]
    return run_stack(shape.token, shape.gated, named.part("layers"), rows, work["layers"], causal=True)


def _head(shape: Shape, weights: Mapping[str, Nested], width: int, rows: Matrix, work: Work) -> Matrix:
    """Send the wanted rows, and only these, through the head."""
    head = Weights(weights).matrix("head.weight", shape.vocab, width)
    return [linear(head, row, work["head"]) for row in rows]
