"""The cost of a tiny point by enumeration: every window, row, cell, weight and unit one by one, from docs/ alone.

Slow and literal on purpose. It shares the sizes (`Shape`, `Stack`) with the closed form and no formula.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product as pairs
from math import prod
from typing import Protocol

from spanbench.point import Point, Regime, Stack
from spanbench.tally import Tally

Weight = tuple[int, ...]
Row = str | int  # "slot" or the position of a token in the prompt


@dataclass
class Stage:
    """What a stage executes, as lists; the sums are taken at the end."""

    item: int
    weights: dict[str, Weight] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    macs: int = 0
    cells: list[tuple[bool, bool, int, int]] = field(default_factory=list)  # useful, causal, width, heads
    unit_bytes: int = 0
    mlp_rows: int = 0
    crossing: int = 0  # numbers handed in and on
    other_crossing: int = 0  # bytes of ids
    kv: int = 0
    kept: int = 0

    def linear(self, name: str, rows: int, inner: int, outer: int) -> None:
        self.weights[name] = (inner, outer)
        if rows:
            self.used.add(name)
            self.macs += rows * inner * outer
            self.unit_bytes += (rows * inner + inner * outer + rows * outer) * self.item

    def norm(self, name: str, rows: int, width: int) -> None:
        self.weights[name] = (width,)
        if rows:
            self.used.add(name)
            self.unit_bytes += (rows * width + width + rows * width) * self.item

    def sdpa(self, allowed: list[list[bool]], stack: Stack, *, causal: bool, free_keys: bool = False) -> None:
        for row in allowed:
            self.cells += [(ok, causal, stack.width, stack.heads) for ok in row]
        head = stack.width // stack.heads
        self.unit_bytes += 2 * len(allowed) * stack.heads * head * self.item
        self.unit_bytes += 0 if free_keys else 2 * len(allowed[0]) * stack.kv_heads * head * self.item

    def lookup(self, ids: int, width: int) -> None:
        self.unit_bytes += ids * (8 + 2 * width * self.item)

    def layer_stack(
        self, stack: Stack, gated: bool, windows: list[int], *, causal: bool, memory: Reads | None = None, past: int = 0
    ) -> None:
        """Every row also sees the `past` rows that its window keeps from before."""
        rows, d = sum(windows), stack.width
        for layer in range(stack.layers):
            self.norm(f"{layer}.norm1", rows, d)
            self.linear(f"{layer}.qkv", rows, d, d + 2 * stack.kv_heads * d // stack.heads)
            for length in windows:
                self.sdpa([[True] * past + [k <= q or not causal for k in range(length)] for q in range(length)], stack, causal=causal)
            self.linear(f"{layer}.out", rows, d, d)
            if memory:
                memory.read(self, stack, layer, rows)
            self.norm(f"{layer}.norm2", rows, d)
            self.linear(f"{layer}.up", rows, d, 2 * stack.mlp if gated else stack.mlp)
            self.linear(f"{layer}.down", rows, stack.mlp, d)
            self.mlp_rows += rows
        if stack.layers:
            self.norm("norm", rows, d)

    def tally(self, table_bytes: int = 0) -> Tally:
        attention = [(ok, causal, 4 * width) for ok, causal, width, _ in self.cells]
        used = sum(prod(self.weights[name]) for name in self.used) * self.item + table_bytes
        return Tally(
            matrix_flops=2 * self.macs,
            attention_flops=sum(flops for _, _, flops in attention),
            attention_flops_useful=sum(flops for ok, _, flops in attention if ok),
            attention_flops_causal_half=sum(flops // 2 if causal else flops for _, causal, flops in attention),
            cells_dense=len(self.cells),
            cells_useful=sum(ok for ok, *_ in self.cells),
            scores_dense=sum(heads for *_, heads in self.cells),
            mlp_rows=self.mlp_rows,
            params=sum(prod(shape) for shape in self.weights.values()),
            bytes_compulsory=used + self.crossing * self.item + self.other_crossing + self.kv,
            bytes_fused=self.unit_bytes,
            state_bytes=self.kv + self.kept,
        )


class Reads(Protocol):
    """What a layer of the decoder reads after its self-attention."""

    def read(self, stage: Stage, stack: Stack, layer: int, rows: int) -> None: ...


@dataclass
class Memory:
    """Cross-attention of one batch: the rows of each window and which latents it may read."""

    latent: int
    start: int  # rows of the start memory, 0 where window 0 does not run
    latents: int  # K
    batch: int
    first: int  # rows of window 0
    calls: list[list[list[bool]]]  # the masks of the other calls of one prompt

    def read(self, stage: Stage, stack: Stack, layer: int, rows: int) -> None:
        d, kv = stack.width, 2 * stack.kv_heads * stack.width // stack.heads
        stage.norm(f"{layer}.norm3", rows, d)
        stage.linear(f"{layer}.q", rows, d, d)
        stage.linear(f"{layer}.kv", self.batch * self.latents, self.latent, kv)
        stage.linear(f"{layer}.kv", self.start, self.latent, kv)
        for prompt in range(self.batch):
            if self.start:
                stage.sdpa([[True] * self.start] * self.first, stack, causal=False, free_keys=prompt > 0)
            for mask in self.calls:
                stage.sdpa(mask, stack, causal=False)
        stage.linear(f"{layer}.cross_out", rows, d, d)


def windows_of(point: Point, regime: Regime) -> dict[int, list[Row]]:
    """Return the rows of every decoder window that runs, by its number j."""
    tokens, span, shape = range(point.tokens), point.span, point.shape
    spans = [list(tokens[i : i + span]) for i in range(0, point.tokens, span)]
    if not spans or len(spans[-1]) == span:
        spans.append([])
    windows: dict[int, list[Row]] = {}
    for j, own in enumerate(spans):
        carried = spans[j - 1][span - shape.carry :] if j and shape.carry else []
        fed = own[:-1] if len(own) == span else own
        windows[j] = [*["slot"] * shape.prefix, *carried, *fed]
    last = len(spans) - 1
    return windows if regime == "score" else {last: windows[last]}


def _distinct(ids: list[list[int]], positions: list[int]) -> int:
    return len({prompt[i] for prompt, i in pairs(ids, positions)})


def enumerate_token(point: Point, regime: Regime, ids: list[list[int]]) -> dict[str, Tally]:
    """Return stage → tally of the dense arm."""
    stack, vocab, item = point.shape.token, point.shape.vocab, point.itemsize
    rows = point.batch * point.tokens
    wanted = rows if regime == "score" else point.batch
    embedding, layers, head = Stage(item), Stage(item), Stage(item)
    embedding.weights["table"] = (vocab, stack.width)
    embedding.lookup(rows, stack.width)
    embedding.crossing, embedding.other_crossing = rows * stack.width, 8 * rows
    layers.layer_stack(stack, point.shape.gated, [point.tokens] * point.batch, causal=True)
    layers.crossing = rows * stack.width + wanted * stack.width
    layers.kv = rows * 2 * stack.kv_heads * (stack.width // stack.heads) * stack.layers * item if regime == "prefill" else 0
    head.linear("head", wanted, stack.width, vocab)
    head.crossing = wanted * (stack.width + vocab)
    table = _distinct(ids, list(range(point.tokens))) * stack.width * item
    return {"embedding": embedding.tally(table), "layers": layers.tally(), "head": head.tally()}


def enumerate_latent(point: Point, regime: Regime, ids: list[list[int]]) -> dict[str, Tally]:
    """Return stage → tally of the latent arm."""
    shape, item = point.shape, point.itemsize
    windows = windows_of(point, regime)
    spans = max(windows)  # window K comes after K complete spans
    bridged = 0 if shape.cross_attention else len([j for j in windows if j > 0])
    wanted = point.batch * (1 if regime == "prefill" else point.tokens)
    mixer, decoder, head = _enumerate_mixer(point, regime, spans), _enumerate_decoder(point, windows, bridged, wanted), Stage(item)
    head.linear("head", wanted, shape.decoder.width, shape.vocab)
    head.crossing = wanted * (shape.decoder.width + shape.vocab)
    if regime == "prefill":
        _enumerate_state(mixer, decoder, point, len(windows[spans]), spans)
    return {
        "embedding": _enumerate_embedding(point, windows, ids),
        "encoder": enumerate_encoder(point, spans).tally(),
        "mixer": mixer.tally(),
        "bridge": enumerate_bridge(point, bridged).tally(),
        "decoder": decoder.tally(),
        "head": head.tally(),
    }


def _tokens(windows: dict[int, list[Row]]) -> list[int]:
    return [row for rows in windows.values() for row in rows if isinstance(row, int)]


def _enumerate_embedding(point: Point, windows: dict[int, list[Row]], ids: list[list[int]]) -> Tally:
    stage, vocab, fed = Stage(point.itemsize), point.shape.vocab, _tokens(windows)
    span_width, window_width = point.shape.encoder.width, point.shape.decoder.width
    spelled = list(range(max(windows) * point.span))
    stage.weights |= {"spans": (vocab, span_width), "windows": (vocab, window_width)}
    for positions, width in ((spelled, span_width), (fed, window_width)):
        stage.lookup(point.batch * len(positions), width)
        stage.crossing += point.batch * len(positions) * width
        stage.other_crossing += 8 * point.batch * len(positions)
    return stage.tally((_distinct(ids, spelled) * span_width + _distinct(ids, fed) * window_width) * point.itemsize)


def enumerate_encoder(point: Point, spans: int) -> Stage:
    stage, stack, total_spans = Stage(point.itemsize), point.shape.encoder, point.batch * spans
    stage.layer_stack(stack, point.shape.gated, [point.span] * total_spans, causal=False)
    _enumerate_pool(stage, point, total_spans)
    stage.crossing = total_spans * (point.span * stack.width + point.shape.mixer.width)
    return stage


def _enumerate_mixer(point: Point, regime: Regime, spans: int) -> Stage:
    stage, stack = Stage(point.itemsize), point.shape.mixer
    stage.layer_stack(stack, point.shape.gated, [spans] * point.batch if spans else [], causal=True)
    handed_on = spans if point.shape.cross_attention or regime == "score" else min(spans, 1)
    stage.crossing = point.batch * (spans + handed_on) * stack.width
    return stage


def enumerate_bridge(point: Point, bridged: int) -> Stage:
    stage, latent, slots = Stage(point.itemsize), point.shape.mixer.width, point.shape.prefix * point.shape.decoder.width
    if not point.shape.cross_attention:
        stage.linear("bridge", point.batch * bridged, latent, slots)
    stage.crossing = point.batch * bridged * (latent + slots)
    return stage


def _enumerate_decoder(point: Point, windows: dict[int, list[Row]], bridged: int, wanted: int) -> Stage:
    stage, shape, spans = Stage(point.itemsize), point.shape, max(windows)
    stack, slots = shape.decoder, shape.prefix * shape.decoder.width
    stage.weights["start_slots"] = (slots,)
    if shape.cross_attention or 0 in windows:
        stage.used.add("start_slots")
    memory = _enumerate_memory(stage, point, windows, spans) if shape.cross_attention else None
    stage.layer_stack(stack, shape.gated, [len(rows) for rows in windows.values()] * point.batch, causal=True, memory=memory)
    handed = spans * shape.mixer.width if shape.cross_attention else bridged * slots
    stage.crossing = point.batch * (len(_tokens(windows)) * stack.width + handed) + wanted * stack.width
    return stage


def _enumerate_pool(encoder: Stage, point: Point, spans: int) -> None:
    shape, d, span = point.shape, point.shape.encoder.width, point.span
    z = shape.mixer.width
    if shape.pool == "concat":
        encoder.linear("pool", spans, span * d, z)
    elif shape.pool == "mean":
        encoder.linear("pool", spans, d, z)
    elif shape.pool == "attention":
        encoder.weights["query"] = (d,)
        encoder.used |= {"query"} if spans else set()
        encoder.linear("pool.kv", spans * span, d, 2 * shape.encoder.kv_heads * d // shape.encoder.heads)
        for _ in range(spans):
            encoder.sdpa([[True] * span], shape.encoder, causal=False)
        encoder.linear("pool.out", spans, d, z)


def _enumerate_memory(decoder: Stage, point: Point, windows: dict[int, list[Row]], spans: int) -> Memory:
    z, slots = point.shape.mixer.width, point.shape.prefix
    decoder.weights["start_memory"] = (slots, z)
    if 0 in windows:
        decoder.used.add("start_memory")
    inner = [[k < j for k in range(spans)] for j, rows in windows.items() if 0 < j < spans for _ in rows]
    last = [[True] * spans for _ in windows[spans]] if spans else []
    calls = [mask for mask in (inner, last) if mask]
    return Memory(z, slots if 0 in windows else 0, spans, point.batch, len(windows.get(0, [])), calls)


def _enumerate_state(mixer: Stage, decoder: Stage, point: Point, rows: int, spans: int) -> None:
    mix, dec, batch, item = point.shape.mixer, point.shape.decoder, point.batch, point.itemsize
    mixer.kv = batch * spans * mix.layers * 2 * mix.kv_heads * (mix.width // mix.heads) * item
    mixer.kept = batch * mix.width * item if spans else 0
    memory = 0
    if point.shape.cross_attention:
        memory = batch * spans if spans else point.shape.prefix
    decoder.kv = (batch * rows + memory) * dec.layers * 2 * dec.kv_heads * (dec.width // dec.heads) * item
    decoder.kept = batch * (point.tokens - spans * point.span) * 8
