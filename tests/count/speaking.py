"""One-token steps by enumeration: caches as lists of rows that grow and are dropped, from docs/ alone.

Slow and literal, like tests/count/enumeration.py, whose lists of weights, cells and units it fills a step at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from spanbench.point import Point, Stack
from spanbench.tally import Tally
from tests.count.enumeration import Row, Stage, enumerate_bridge, enumerate_encoder, windows_of


@dataclass
class Told:
    """One step: its stages, and the compulsory bytes of the whole arm."""

    stages: dict[str, Tally]
    compulsory: int


@dataclass
class KeptMemory:
    """Cross-attention over memory rows whose keys and values are kept, but for the `added` ones of each prompt."""

    latent: int
    rows: int
    added: int
    batch: int
    shared: bool

    def read(self, stage: Stage, stack: Stack, layer: int, rows: int) -> None:
        d, kv = stack.width, 2 * stack.kv_heads * stack.width // stack.heads
        stage.norm(f"{layer}.norm3", rows, d)
        stage.linear(f"{layer}.q", rows, d, d)
        stage.linear(f"{layer}.kv", self.batch * self.added, self.latent, kv)
        for prompt in range(self.batch):
            allowed = [[True] * self.rows for _ in range(rows // self.batch)]
            stage.sdpa(allowed, stack, causal=False, free_keys=self.shared and prompt > 0)
        stage.linear(f"{layer}.cross_out", rows, d, d)


def cache_bytes(stack: Stack, rows: int, item: int) -> int:
    """Return the bytes of k and v of some rows in every layer."""
    return sum(rows * stack.kv_heads * (stack.width // stack.heads) * item for _layer in range(stack.layers) for _k_and_v in "kv")


def head_of(point: Point, width: int) -> Stage:
    head = Stage(point.itemsize)
    head.linear("head", point.batch, width, point.shape.vocab)
    head.crossing = point.batch * (width + point.shape.vocab)
    return head


def told(point: Point, stages: dict[str, Stage], table_bytes: int, traffic: dict[str, int]) -> Told:
    """Take the sums. Traffic is the bytes of the cache read and written, by stage."""
    for name, amount in traffic.items():
        stages[name].other_crossing += amount
    weights = sum(prod(stage.weights[name]) for stage in stages.values() for name in stage.used) * point.itemsize
    given_and_returned = point.batch * (8 + point.shape.vocab * point.itemsize)
    tallies = {name: stage.tally(table_bytes if name == "embedding" else 0) for name, stage in stages.items()}
    return Told(tallies, weights + table_bytes + given_and_returned + sum(traffic.values()))


class TokenSpeaker:
    """The dense arm: a row at a time behind all rows so far."""

    def __init__(self, point: Point, ids: list[list[int]]) -> None:
        self.point, self.cache = point, len(ids[0])

    def step(self, fed: list[int]) -> Told:
        point, stack, batch, item = self.point, self.point.shape.token, self.point.batch, self.point.itemsize
        embedding, layers = Stage(item), Stage(item)
        embedding.weights["table"] = (point.shape.vocab, stack.width)
        embedding.lookup(batch, stack.width)
        embedding.crossing, embedding.other_crossing = batch * stack.width, 8 * batch
        layers.layer_stack(stack, point.shape.gated, [1] * batch, causal=False, past=self.cache)
        layers.crossing = batch * stack.width + batch * stack.width
        read, written = batch * self.cache, batch
        self.cache += 1
        layers.kept = cache_bytes(stack, batch * self.cache, item)
        stages = {"embedding": embedding, "layers": layers, "head": head_of(point, stack.width)}
        return told(point, stages, len(set(fed)) * stack.width * item, {"layers": cache_bytes(stack, read + written, item)})


class LatentSpeaker:
    """The latent arm: `latents` in the mixer's cache, rows of the open `window`, rows of the `memory`, `open` positions."""

    def __init__(self, point: Point, ids: list[list[int]]) -> None:
        self.point, self.texts = point, [list(prompt) for prompt in ids]
        windows = windows_of(point, "prefill")
        last = max(windows)
        self.latents = [f"u{j}" for j in range(last)]
        self.window: list[Row] = windows[last]
        self.open = list(range(last * point.span, point.tokens))
        self.memory: list[str] = []
        if point.shape.cross_attention:
            self.memory = [f"c{j + 1}" for j in range(last)] or ["start"] * point.shape.prefix

    def step(self, fed: list[int]) -> Told:
        for text, token in zip(self.texts, fed, strict=True):
            text.append(token)
        self.open.append(len(self.texts[0]) - 1)
        return self._close() if len(self.open) == self.point.span else self._speak()

    def _speak(self) -> Told:
        point, stack, batch = self.point, self.point.shape.decoder, self.point.batch
        decoder = self._decoder([1], past=len(self.window), added=0, causal=False)
        decoder.crossing = batch * (stack.width + stack.width)
        read = batch * len(self.window) + (len(self.memory) if self._starting() else batch * len(self.memory))
        self.window = [*self.window, self.open[-1]]
        traffic = {"decoder": cache_bytes(stack, read + batch, point.itemsize)}
        idle = {"encoder": enumerate_encoder(point, 0), "mixer": self._mixer(0, 0), "bridge": enumerate_bridge(point, 0)}
        return self._told([], self.open[-1:], idle, decoder, traffic)

    def _close(self) -> Told:
        point, shape, batch, item = self.point, self.point.shape, self.point.batch, self.point.itemsize
        closed, self.open = self.open, []
        carried = closed[point.span - shape.carry :]
        mixer = self._mixer(1, len(self.latents))
        mixer.crossing = batch * 2 * shape.mixer.width
        traffic = {"mixer": cache_bytes(shape.mixer, batch * (len(self.latents) + 1), item)}
        self.latents.append(f"u{len(self.latents)}")
        self.window = [*["slot"] * shape.prefix, *carried]
        read = 0 if self._starting() else len(self.memory)
        if shape.cross_attention:
            self.memory = [*([] if self._starting() else self.memory), f"c{len(self.latents)}"]
        decoder = self._decoder([len(self.window)], past=0, added=1, causal=True)
        decoder.used |= {"start_slots"} if shape.cross_attention else set()
        handed = shape.mixer.width if shape.cross_attention else shape.prefix * shape.decoder.width
        decoder.crossing = batch * (len(carried) * shape.decoder.width + handed + shape.decoder.width)
        written = len(self.window) + (1 if shape.cross_attention else 0)
        traffic["decoder"] = cache_bytes(shape.decoder, batch * (read + written), item)
        bridge = enumerate_bridge(point, 0 if shape.cross_attention else 1)
        return self._told(closed, carried, {"encoder": enumerate_encoder(point, 1), "mixer": mixer, "bridge": bridge}, decoder, traffic)

    def _starting(self) -> bool:
        return "start" in self.memory

    def _mixer(self, rows: int, past: int) -> Stage:
        mixer = Stage(self.point.itemsize)
        windows = [rows] * self.point.batch if rows else []
        mixer.layer_stack(self.point.shape.mixer, self.point.shape.gated, windows, causal=False, past=past)
        return mixer

    def _decoder(self, rows: list[int], *, past: int, added: int, causal: bool) -> Stage:
        point, shape = self.point, self.point.shape
        decoder, memory = Stage(point.itemsize), None
        decoder.weights["start_slots"] = (shape.prefix, shape.decoder.width)
        if shape.cross_attention:
            decoder.weights["start_memory"] = (shape.prefix, shape.mixer.width)
            memory = KeptMemory(shape.mixer.width, len(self.memory), added, point.batch, self._starting())
        decoder.layer_stack(shape.decoder, shape.gated, rows * point.batch, causal=causal, memory=memory, past=past)
        return decoder

    def _told(self, spelled: list[int], fed: list[int], parts: dict[str, Stage], decoder: Stage, traffic: dict[str, int]) -> Told:
        """Add look-ups (`spelled` positions for the encoder, `fed` for the decoder), the head, and what is kept."""
        point, shape, batch, item = self.point, self.point.shape, self.point.batch, self.point.itemsize
        embedding, table_bytes = Stage(item), 0
        for name, positions, width in (("spans", spelled, shape.encoder.width), ("windows", fed, shape.decoder.width)):
            embedding.weights[name] = (shape.vocab, width)
            embedding.lookup(batch * len(positions), width)
            embedding.crossing += batch * len(positions) * width
            embedding.other_crossing += 8 * batch * len(positions)
            table_bytes += len({text[i] for text in self.texts for i in positions}) * width * item
        parts["mixer"].kept = (
            cache_bytes(shape.mixer, batch * len(self.latents), item) + bool(self.latents) * batch * shape.mixer.width * item
        )
        memory = len(self.memory) * (1 if self._starting() else batch)
        decoder.kept = cache_bytes(shape.decoder, batch * len(self.window) + memory, item) + 8 * batch * len(self.open)
        stages = {"embedding": embedding, **parts, "decoder": decoder, "head": head_of(point, shape.decoder.width)}
        return told(point, stages, table_bytes, traffic)


def enumerate_steps(point: Point, ids: list[list[int]], said: list[list[int]]) -> dict[str, list[Told]]:
    """Return arm → steps, each fed one id of every prompt of `said`."""
    speakers: dict[str, TokenSpeaker | LatentSpeaker] = {"token": TokenSpeaker(point, ids), "latent": LatentSpeaker(point, ids)}
    return {arm: [speaker.step(list(fed)) for fed in zip(*said, strict=True)] for arm, speaker in speakers.items()}
