"""The documents' own comparison: what one layer mixes, N tokens or K latents. True, and of the mixer alone."""

from __future__ import annotations

from dataclasses import dataclass

from spanbench.point import Point

__all__ = ["Interaction", "interaction"]


@dataclass(frozen=True, slots=True)
class Interaction:
    """What one layer mixes in one prompt; whole-model figures are another matter (`closed_form`)."""

    objects: int
    """Rows that see one another: N tokens, or K latents."""

    @property
    def attention_size(self) -> tuple[int, int]:
        """Rows and columns of one layer's score matrix: N × N, or K × K."""
        return self.objects, self.objects

    @property
    def cells(self) -> int:
        """Entries of one layer's score matrix, masked ones among them: the documents' 2048² and 64²."""
        return self.objects * self.objects

    @property
    def mlp_calls(self) -> int:
        """Rows that enter the layer's MLP."""
        return self.objects


def interaction(point: Point) -> dict[str, Interaction]:
    """Return what each arm's mixing layers see: `token` all N tokens, `latent` (its mixer) the K complete spans, maybe 0."""
    return {"token": Interaction(point.tokens), "latent": Interaction(point.windows.complete)}
