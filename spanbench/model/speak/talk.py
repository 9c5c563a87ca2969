"""Say tokens: greedy, or sampled with a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from spanbench.model.speak.session import Session

__all__ = ["Sampler", "talk"]


@dataclass(frozen=True, slots=True)
class Sampler:
    """How a token is chosen: the likeliest at temperature 0, else drawn from softmax(logits / temperature)."""

    temperature: float = 0.0
    seed: int = 0

    def generator(self, device: torch.device) -> torch.Generator:
        """Return the source of chance of one text."""
        return torch.Generator(device).manual_seed(self.seed)

    def choose(self, logits_BxV: Tensor, generator: torch.Generator) -> Tensor:
        """Return one id a lane (B)."""
        if self.temperature == 0:
            return logits_BxV.argmax(-1)
        chances = (logits_BxV.double() / self.temperature).softmax(-1)
        return torch.multinomial(chances, 1, generator=generator)[:, 0]


def talk(session: Session, logits_BxV: Tensor, tokens: int, sampler: Sampler) -> Iterator[Tensor]:
    """Yield G ids a lane (B each), one step after the other; the last is said but not read."""
    generator = sampler.generator(logits_BxV.device)
    for said in range(tokens):
        ids_B = sampler.choose(logits_BxV, generator)
        yield ids_B
        if said + 1 < tokens:
            logits_BxV = session.step(ids_B)
