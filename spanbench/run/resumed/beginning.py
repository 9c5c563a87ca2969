"""What an arm begins to speak from: prompts, kept prefixes of them, or a kept session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from spanbench.model.pair import Model
from spanbench.model.speak import start_session
from spanbench.point import Point
from spanbench.run.generated import Begin
from spanbench.run.resumed.saving import KeptSampler

__all__ = ["Anew", "Beginning"]

WARM = 64
"""Tokens that are read before time runs, at most."""


class Beginning(Protocol):
    """Gives each arm its first logits, and says afterwards what of earlier runs was used for them."""

    kind: str
    """Under which key of a document that is said; empty where nothing is."""
    folder: str
    warm: Sequence[int]
    """Ids that are read before time runs."""

    def begin(self, arm: str, model: Model, room: int) -> Begin:
        """Return how an arm begins, with room for so many tokens; what no arm should be timed with is done here."""
        ...

    def sampler(self, arm: str, model: Model, sampler: KeptSampler) -> KeptSampler:
        """Return the sampler with an arm's own source of chance."""
        ...

    def said_before(self, arm: str, batch: int) -> list[list[int]]:
        """Return the ids of each lane that its text goes on from."""
        ...

    def told(self, arm: str, point: Point) -> dict[str, Any]:
        """Return what of earlier runs an arm used, as plain JSON values."""
        ...


class Anew:
    """Reads all prompts from their beginning."""

    kind = ""
    folder = ""

    def __init__(self, prompts: Sequence[Sequence[int]]) -> None:
        self.prompts = prompts
        self.warm = prompts[0][:WARM]

    def begin(self, arm: str, model: Model, room: int) -> Begin:
        """Return how an arm begins: with a prefill of all prompts."""
        return Begin(lambda: start_session(model, self.prompts, room))

    def sampler(self, arm: str, model: Model, sampler: KeptSampler) -> KeptSampler:
        """Return the sampler with a source of chance that begins with its seed."""
        return sampler.begun(model.head.weight.device)

    def said_before(self, arm: str, batch: int) -> list[list[int]]:
        """Return nothing for each lane: no text was begun."""
        return [[] for _ in range(batch)]

    def told(self, arm: str, point: Point) -> dict[str, Any]:
        """Return nothing: no earlier run was used."""
        return {}
