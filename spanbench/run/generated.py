"""Let an arm speak: its ids as they are chosen, the text they stand for, and how long it took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import torch

from spanbench.count.distinct import Distinct
from spanbench.count.formula import closed_form
from spanbench.errors import NotEnoughMemory, UsageError
from spanbench.measure.host.memory import available_bytes
from spanbench.model.pair import Model
from spanbench.model.speak import Sampler, Session, start_session, talk
from spanbench.point import Point, Stack
from spanbench.run.fit import needed_bytes
from spanbench.units import short

__all__ = ["Begin", "Said", "cache_bytes", "check_speaking_fits", "speak", "speak_from", "speaking_bytes"]

Hear = Callable[[list[int]], None]
"""Told the ids of one step, one a prompt, as soon as they are chosen."""

TURN_BYTES = 20
"""Of a table of rotary positions, a position and head element: the complex turn, its angle, sine and cosine (float64: the widest)."""

CHANCE_BYTES = 24
"""Of drawing a token, a logit: three vectors of float64."""

SAID_BYTES = 200
"""Of one token that was said: its id, the step's list, its piece of text."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one arm said, a list of ids a prompt, and the time it took, without that of whoever listened."""

    ids: list[list[int]]
    first_token_seconds: float
    tokens_per_second: float
    """All tokens of all prompts ÷ all of the time, reading included: what `compare` calls by this name."""

    def to_json(self, texts: Sequence[str]) -> dict[str, Any]:
        """Return it as plain JSON values, beside the texts that the ids stand for."""
        return {
            "ids": self.ids,
            "text": list(texts),
            "first_token_seconds": self.first_token_seconds,
            "tokens_per_second": self.tokens_per_second,
        }


@dataclass(frozen=True, slots=True)
class Begin:
    """How an arm comes to its first logits: by reading prompts, or from what was kept of an earlier reading."""

    open: Callable[[], tuple[Session, torch.Tensor]]
    """Returns a session and the logits of the next token (B x V); its time is part of the first token's."""
    opened: Callable[[Session, torch.Tensor], None] | None = None
    """Is shown both before the arm goes on, for whoever wants to keep them; no time runs."""


def speak(model: Model, prompts: Sequence[Sequence[int]], tokens: int, sampler: Sampler, hear: Hear) -> Said:
    """Read prompts and say G = `tokens` ids a prompt; time runs only while the arm works.

    Raises:
        UsageError: the logits give no chances to draw from.
    """
    return speak_from(model, Begin(lambda: start_session(model, prompts, tokens)), tokens, sampler, hear, warm=prompts[0][:64])[0]


def speak_from(model: Model, begin: Begin, tokens: int, sampler: Sampler, hear: Hear, *, warm: Sequence[int]) -> tuple[Said, Session]:
    """Do what `speak` does from any beginning; return the session too, which has read all but the last ids that were said.

    Args:
        model: the arm.
        begin: gives a session of it, with room for G more tokens.
        tokens: G.
        sampler: how each id is chosen.
        hear: told of each step.
        warm: ids that are read before time runs.

    Raises:
        UsageError: the logits give no chances to draw from.
    """
    steps: list[list[int]] = []
    seconds: list[float] = []
    with torch.inference_mode():
        _warm_up(model, warm)
        start = perf_counter()
        session, logits_BxV = begin.open()
        opening = perf_counter() - start
        if begin.opened is not None:
            begin.opened(session, logits_BxV)
        start = perf_counter() - opening
        says = talk(session, logits_BxV, tokens, sampler)
        while len(steps) < tokens:
            steps.append(_next(says.__next__, sampler))
            seconds.append(perf_counter() - start)
            hear(steps[-1])
            start = perf_counter()
    said = [list(lane) for lane in zip(*steps, strict=True)]
    return Said(said, seconds[0], len(said) * tokens / sum(seconds)), session


def _warm_up(model: Model, ids: Sequence[int]) -> None:
    """Read the beginning of a prompt: whoever speaks first must not pay for what torch does once a process."""
    session, logits_BxV = start_session(model, [ids], 1)
    session.step(logits_BxV.argmax(-1))


def _next(step: Callable[[], torch.Tensor], sampler: Sampler) -> list[int]:
    """Take one step, and wait for it where a GPU does it."""
    try:
        ids: list[int] = step().tolist()
    except RuntimeError as error:
        if "probability tensor" in str(error) or "number of categories" in str(error):
            raise UsageError(f"--temperature {sampler.temperature:g}: no token can be drawn from these logits ({error})") from None
        raise
    return ids


def speaking_bytes(point: Point, arms: Sequence[str]) -> int:
    """Estimate the bytes of speaking: what a prefill needs (weights of both arms with it), caches for N + G tokens, and what is said.

    The estimate of a prefill has room for its state twice. Once it is copied into the caches it is there twice indeed, so only the
    rest of the caches is added, of the arm where it is more: arms speak one after the other.
    """
    read = replace(point, regimes=("prefill",))
    forms = closed_form(read, "prefill", Distinct(0, 0, {"prefill": 0}))
    rest = max(cache_bytes(point, arm) + _turn_bytes(point, arm) - forms[arm]["total"].state_bytes for arm in arms)
    said = CHANCE_BYTES * point.shape.vocab + SAID_BYTES * point.generate * len(arms)
    return needed_bytes(read) + max(0, rest) + point.batch * said


def check_speaking_fits(point: Point, arms: Sequence[str], copies: int = 0) -> None:
    """Refuse to speak where it would not fit in memory, before anything is allocated.

    `copies` is how many more copies of an arm's caches there will be: a session is copied where it is kept.

    Raises:
        NotEnoughMemory: the estimate, what is free, and what to take less of.
    """
    caches = max(cache_bytes(point, arm) for arm in arms)
    needed, available = speaking_bytes(point, arms) + copies * caches, available_bytes(point.device)
    if available is not None and needed > available:
        raise NotEnoughMemory(
            f"--generate {point.generate}: not enough memory: weights, prompt and caches of {point.tokens + point.generate} tokens need "
            f"about {short('peak_bytes', needed)} (the caches {short('peak_bytes', caches)}), {short('peak_bytes', available)} are free "
            f"on {point.device}; take fewer tokens, a smaller --batch or --preset"
        )


def cache_bytes(point: Point, arm: str) -> int:
    """Return the bytes of the keys and values that an arm's session preallocates for N + G tokens."""
    return point.batch * point.itemsize * sum(2 * stack.layers * stack.kv_width * rows for stack, rows in _caches(point, arm))


def _turn_bytes(point: Point, arm: str) -> int:
    return TURN_BYTES * sum(stack.head_width * rows for stack, rows in _caches(point, arm))


def _caches(point: Point, arm: str) -> list[tuple[Stack, int]]:
    """Return each cached stack and for how many rows of a prompt it has room."""
    shape, capacity = point.shape, point.tokens + point.generate
    if arm == "token":
        return [(shape.token, capacity)]
    latents = max(1, capacity // point.span)
    memory = [(shape.decoder, latents)] if shape.cross_attention else []
    return [(shape.mixer, latents), (shape.decoder, shape.prefix + shape.carry + point.span - 1), *memory]
