"""What every field of a record means, in one line each: the descriptions of its JSON Schema and of docs/records.md."""

from __future__ import annotations

from collections.abc import Mapping

from spanbench.record.models import SCHEMA

__all__ = ["FIELDS", "TITLES"]

FIELDS: Mapping[str, Mapping[str, str]] = {
    "Record": {
        "schema": "Version of the record's form.",
        "id": "16 hex digits: the beginning of the sha256 of convention, point and schema as canonical JSON. Never of results.",
        "point": "What was asked: both models' sizes, the text, and where and how it was to run.",
        "convention": "How FLOPs and MACs of attention are expressed.",
        "environment": "Where, when and with what the record was made. What could not be found out is null.",
        "warnings": "What a reader must know of the figures, one sentence each; a condition ends in its [code].",
        "verified": "Checks that agreed with tolerance 0 before anything was timed.",
        "measures": "The figures, each once.",
    },
    "Measure": {
        "arm": "token: the dense model; latent: the latent-per-span model; pair: a figure of both.",
        "regime": "What was done: score, prefill, decode, decode_worst or request.",
        "stage": "Part of the arm, or total.",
        "quantity": "What was counted or measured; ratio:NAME is token ÷ latent of NAME.",
        "value": "The figure for the whole batch, in base units; a count is an integer of any size. Null: unknown, see reason.",
        "unit": "Base unit of the value.",
        "steps": "Forwards and one-token steps that the value sums over.",
        "source": "How the figure came about, from the strongest to the weakest.",
        "low": "Lower end: of an arm the smallest slot, of a ratio over blocks its 95% interval, of a modelled figure its bound.",
        "high": "Upper end, see low.",
        "by": "The counter, clock or meter that gave the figure.",
        "reason": "Why the value, or its interval, is null.",
    },
    "Point": {
        "shape": "Sizes of both arms.",
        "tokens": "N, tokens of one prompt.",
        "span": "S, tokens in a span.",
        "batch": "B, prompts at a time.",
        "generate": "G, tokens that a request says.",
        "regimes": "What was asked for, in this order.",
        "device": "cpu, cuda or cuda:N.",
        "dtype": "Precision of weights and activations.",
        "seed": "Of the random weights.",
        "preset": "Name of the sizes before any was changed.",
        "allocation": "Name of the latent arm's division of layers before any was changed.",
        "tokenizer": "bytes, or the name of a tokenizer's file.",
        "prompt": "sha256 of the ids as int64, little endian, row by row.",
    },
    "Shape": {
        "vocab": "V, rows of an embedding table.",
        "gated": "Whether MLPs have a gate (three matrices instead of two).",
        "token": "The dense arm's layers.",
        "encoder": "The latent arm's layers within a complete span.",
        "mixer": "Its layers over latents.",
        "decoder": "Its layers within a span's window.",
        "pool": "How a span's rows become one latent.",
        "prefix": "P, slots of a window that a latent becomes.",
        "carry": "Tokens of the span before that a window reads again.",
        "cross_attention": "Whether decoder layers read the latents instead of prefix slots.",
    },
    "Stack": {
        "layers": "Number of equal layers.",
        "width": "Width of a row.",
        "mlp": "Width within the MLP.",
        "heads": "Query heads.",
        "kv_heads": "Heads of keys and values.",
    },
}
"""What each field means, by model: a test holds the names to the models' own."""

TITLES: Mapping[str, str] = {
    "Record": f"One run of one point, schema {SCHEMA}: one line of a file of JSON lines.",
    "Measure": "One figure. A null value has a reason.",
    "Point": "One comparison.",
    "Shape": "Sizes of both arms.",
    "Stack": "Equal transformer layers.",
}
