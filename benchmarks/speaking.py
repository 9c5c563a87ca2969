"""Tokens per second of both arms beside other people's code of equal size, and beside the memory they have to read.

    python benchmarks/speaking.py [--threads 2] [--blocks 6] [--parts gpt2,megabyte,memory]

- gpt2: the dense arm against transformers' GPT-2 of the same sizes (sdpa, a bare loop of forwards, with either of its
  KV caches), greedy.
- megabyte: the latent arm against MEGABYTE-pytorch's own `generate`, sampled; what differs is printed below the table.
- memory: compulsory bytes of a decode step over the bandwidth of a copy, as a fraction of the time a step takes.

Two sides take turns in ABBA BAAB order, in this process and with the same threads; a ratio is taken within each block, and the
median and the 95% interval are printed. No prompt is timed: a turn goes back to the state behind the prompt.
Weights are random, which costs the same. Preset `small`, `lean`, S 32, float32.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

import torch

from spanbench.count.distinct import distinct_rows
from spanbench.count.formula import closed_form
from spanbench.judge.stats import block_log_ratio, ratio_estimate
from spanbench.measure.limits.limits import copy_bandwidth
from spanbench.measure.pair.schedule import LEAST_BLOCKS, order
from spanbench.model.pair import Model, build_pair
from spanbench.model.speak import Sampler, start_session, talk
from spanbench.point import Point
from spanbench.prompt import Prompt
from spanbench.request import Request, point_of
from spanbench.run.subjects import ids_tensor

NEEDED = {"gpt2": "transformers", "megabyte": "MEGABYTE-pytorch==0.3.6"}
"""What must be installed for a part; no other part needs anything."""
GPT2_STEPS = 16
CACHES = ("dynamic", "static")
"""transformers' default cache, which grows by copying, and its preallocated one."""
MEGABYTE_DIFFERS = """\
Equal: mixer 8 x 512 (8 heads), decoder 4 x 128, MLP 4x, vocabulary 257, patch 32 = S, the same prompt; SDPA and rotary positions on.
It has no encoder layers (ours: 2 x 128). Its one choice of 8 heads x 64 makes decoder attention 512 wide (ours: 128). It projects a
latent to 32 slots that are added to the tokens (ours: 2 slots before them). Its MLPs have biases, its layers shift tokens. No cache."""


@dataclass(frozen=True)
class Speaker:
    """One side: `say` speaks `steps` tokens to each of `batch` prompts, `rewind` goes back behind the prompts."""

    steps: int
    batch: int
    say: Callable[[], object]
    rewind: Callable[[], object]

    def seconds(self) -> float:
        """Return the time of one step, all prompts together."""
        self.rewind()
        start = time.perf_counter()
        self.say()
        return (time.perf_counter() - start) / self.steps


def duel(ours: Speaker, theirs: Speaker, blocks: int) -> str:
    """Let both take turns, after one each that does not count; return tokens per second of both and how much faster ours is."""
    sides = {"A": ours, "B": theirs}
    for side in sides.values():
        side.seconds()
    times: dict[str, list[float]] = {"A": [], "B": []}
    for block in order(blocks):
        for letter in block:
            times[letter].append(sides[letter].seconds())
    ratios = [block_log_ratio(times["B"][i : i + 2], times["A"][i : i + 2]) for i in range(0, 2 * blocks, 2)]
    faster, rates = ratio_estimate(ratios), [ours.batch / median(times[letter]) for letter in "AB"]
    return f"{rates[0]:12,.1f} {rates[1]:12,.1f} {faster.value:7.2f}x ({faster.low:.2f} .. {faster.high:.2f})"


def arm(model: Model, prompt: Prompt, steps: int, sampler: Sampler) -> Speaker:
    """Return one of our arms behind its prompts."""
    session, logits_BxV = start_session(model, prompt.ids, steps)
    rewind = session.mark()

    def say() -> None:
        for _ in talk(session, logits_BxV, steps + 1, sampler):  # the last token is said but not read
            pass

    return Speaker(steps, len(prompt.ids), say, rewind)


def reader(model: Model, prompt: Prompt, steps: int) -> Speaker:
    """Return one of our arms that is fed the prompt's own text, the ids whose bytes are counted."""
    session, _ = start_session(model, prompt.ids, steps)
    fed = [torch.tensor(ids) for ids in zip(*prompt.following(steps), strict=True)]
    rewind = session.mark()
    return Speaker(steps, len(prompt.ids), lambda: [session.step(ids_B) for ids_B in fed], rewind)


def gpt2(point: Point, prompt: Prompt, steps: int, kind: str) -> Speaker:
    """Return transformers' GPT-2 of the dense arm's sizes behind the same prompts; `kind` of cache is one of CACHES."""
    import transformers  # type: ignore[import-not-found,unused-ignore]

    sizes = point.shape.token
    sized: dict[str, Any] = {
        "n_layer": sizes.layers,
        "n_embd": sizes.width,
        "n_head": sizes.heads,
        "n_inner": sizes.mlp,
        "vocab_size": point.shape.vocab,
    }
    unmarked: dict[str, Any] = {"bos_token_id": None, "eos_token_id": None}
    config = transformers.GPT2Config(**sized, **unmarked, n_positions=4096, attn_implementation="sdpa")
    model: Any = transformers.GPT2LMHeadModel(config).eval()
    room = point.tokens + steps
    cache: Any = transformers.DynamicCache(config=config) if kind == "dynamic" else transformers.StaticCache(config, max_cache_len=room)

    def step(ids_BxT: torch.Tensor) -> Any:
        return model(ids_BxT, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1].argmax(-1, keepdim=True)

    first_Bx1 = step(ids_tensor(prompt.ids, point.device))

    def say() -> None:
        ids_Bx1 = first_Bx1
        for _ in range(steps):
            ids_Bx1 = step(ids_Bx1)

    return Speaker(steps, len(prompt.ids), say, lambda: forget(cache, point.tokens))


def forget(cache: Any, tokens: int) -> None:
    """Take a cache of transformers back to so many tokens; the preallocated kind has no call of its own for it."""
    if hasattr(cache.layers[0], "cumulative_length"):
        for layer in cache.layers:
            layer.cumulative_length.fill_(tokens)
    elif cache.get_seq_length() > tokens:
        cache.crop(tokens - cache.get_seq_length())


def megabyte(point: Point, prompt: Prompt) -> Speaker:
    """Return MEGABYTE-pytorch's model of the latent arm's sizes; its `generate` goes on to the end of one more span."""
    from MEGABYTE_pytorch import MEGABYTE  # type: ignore[import-not-found,unused-ignore]

    mixer, decoder = point.shape.mixer, point.shape.decoder
    model: Any = MEGABYTE(
        num_tokens=point.shape.vocab,
        dim=(mixer.width, decoder.width),
        depth=(mixer.layers, decoder.layers),
        max_seq_len=(point.tokens // point.span + 1, point.span),
        dim_head=mixer.head_width,
        heads=mixer.heads,
        rel_pos=True,
        flash_attn=True,
    ).eval()
    ids_BxN = ids_tensor(prompt.ids, point.device)

    def say() -> None:
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            model.generate(ids_BxN)

    return Speaker(point.span, len(prompt.ids), say, lambda: None)


def point_at(tokens: int, batch: int) -> tuple[Point, Prompt]:
    """Return `small`, `lean`, S 32, and the documents' text cut into a batch."""
    point, prompt, _ = point_of(Request(tokens=tokens, batch=batch, regimes=("decode",)))
    return point, prompt


def report_gpt2(blocks: int) -> None:
    """Print the dense arm against GPT-2."""
    print(f"\n{'dense arm':>9} {'batch':>5} {'cache':>8} {'tokens/s':>12} {'GPT-2':>12}  {'ours faster':>8}")
    for tokens in (512, 2048):
        for batch in (1, 8):
            point, prompt = point_at(tokens, batch)
            ours = arm(build_pair(point).token, prompt, GPT2_STEPS, Sampler())
            for kind in CACHES:
                found = duel(ours, gpt2(point, prompt, GPT2_STEPS, kind), blocks)
                print(f"N {tokens:7} {batch:5} {kind:>8} {found}", flush=True)


def report_megabyte(blocks: int) -> None:
    """Print the latent arm against MEGABYTE-pytorch's generate."""
    print(f"\n{'latent':9} {'batch':>5} {'tokens/s':>12} {'MEGABYTE':>12}  {'ours faster':>8}")
    for tokens in (512, 2048):
        point, prompt = point_at(tokens, 1)
        ours = arm(build_pair(point).latent, prompt, point.span, Sampler(temperature=1.0))
        found = duel(ours, megabyte(point, prompt), blocks)
        print(f"N {tokens:7} {1:5} {found}", flush=True)
    print(MEGABYTE_DIFFERS)


def report_memory(rounds: int) -> None:
    """Print what a step has to read and write over what a copy attains, as a fraction of the time a step takes."""
    print(f"\n{'memory':9} {'batch':>5} {'arm':>7} {'bytes/step':>12} {'copy GB/s':>10} {'ms/step':>9} {'of limit':>9}")
    for tokens, batch in ((512, 1), (2048, 1), (2048, 8)):
        point, prompt = point_at(tokens, batch)
        closed = closed_form(point, "decode", distinct_rows(prompt.ids, point, prompt.following(point.span)))
        for name, model in build_pair(point).arms().items():
            needed = closed[name]["total"].bytes_compulsory / point.span
            speaker = reader(model, prompt, point.span)
            speaker.seconds()
            found = [(copy_bandwidth(repeats=2), speaker.seconds()) for _ in range(rounds)]
            share = median(needed / rate / spent for rate, spent in found)
            rate, spent = (median(column) for column in zip(*found, strict=True))
            print(f"N {tokens:7} {batch:5} {name:>7} {needed:12,.0f} {rate / 1e9:10.1f} {spent * 1e3:9.3f} {share:9.2f}", flush=True)


def missing(parts: list[str]) -> list[str]:
    """Return what is not installed of what these parts need."""
    wanted = [NEEDED[part] for part in parts if part in NEEDED]
    return [name for name in wanted if not find_spec(name.partition("==")[0].replace("-", "_"))]


REPORTS: dict[str, Callable[[int], None]] = {"gpt2": report_gpt2, "megabyte": report_megabyte, "memory": report_memory}


def options() -> tuple[list[str], int]:
    """Read the command line, set the threads, and return the parts and the number of blocks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--blocks", type=int, default=6, help="blocks of four turns, an even number (default 6)")
    parser.add_argument("--parts", default=",".join(REPORTS))
    given = parser.parse_args()
    parts = given.parts.split(",")
    if set(parts) - set(REPORTS):
        parser.error(f"--parts {given.parts}: take some of {','.join(REPORTS)}")
    if given.blocks < LEAST_BLOCKS or given.blocks % 2:
        parser.error(f"--blocks {given.blocks}: must be even and at least {LEAST_BLOCKS}")
    torch.set_num_threads(given.threads)
    return parts, given.blocks


def main() -> None:
    """Print the chosen tables."""
    parts, blocks = options()
    if absent := missing(parts):
        sys.exit(f"missing: {', '.join(absent)}; python -m pip install {' '.join(absent)} (best in an environment of its own)")
    print(f"small, lean, S 32, float32, {torch.get_num_threads()} threads, torch {torch.__version__}")
    with torch.inference_mode():
        for part in parts:
            REPORTS[part](blocks)


if __name__ == "__main__":
    main()
