"""`--prefix-cache`: each prompt is read from its longest kept prefix on, and kept in turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spanbench.model.pair import Model
from spanbench.model.speak import Session
from spanbench.point import Point
from spanbench.run.generated import Begin
from spanbench.run.resumed.beginning import Anew
from spanbench.store.resume import PrefixCache, Read, Snapshot, restore, snapshot

__all__ = ["Prefixes"]


class Prefixes(Anew):
    """Gives each arm sessions that begin with what a folder has of its prompts; each model has a folder of its own in it."""

    kind = "reused"

    def __init__(self, folder: str, prompts: Sequence[Sequence[int]]) -> None:
        super().__init__(prompts)
        self.folder = folder
        self._reused: dict[str, list[int]] = {}
        self._damaged: dict[str, list[str]] = {}

    def begin(self, arm: str, model: Model, room: int) -> Begin:
        """Return how an arm begins; its weights are hashed here, before any time runs."""
        cache = PrefixCache(model, limit_bytes=0, folder=Path(self.folder))
        # A text is no prefix of another model's state: with the model in the path it is a miss, and both stay.
        cache.folder = Path(self.folder) / f"{arm}-{cache.fingerprint[:16]}"
        reads: list[Read] = []

        def read() -> tuple[Session, Tensor]:
            reads.extend(cache.read(ids, room) for ids in self.prompts)
            logits_BxV = torch.cat([one.logits_1xV for one in reads]).to(model.head.weight.device)
            return (reads[0].session if len(reads) == 1 else _together(model, [one.session for one in reads], room)), logits_BxV

        def keep(_: Session, __: Tensor) -> None:
            for ids, one in zip(self.prompts, reads, strict=True):
                if one.reused < len(ids):
                    cache.put(ids, one.session, one.logits_1xV)
            self._reused[arm] = [one.reused for one in reads]
            self._damaged[arm] = list(dict.fromkeys(what for one in reads for what in one.damaged))
            reads.clear()

        return Begin(read, keep)

    def told(self, arm: str, point: Point) -> dict[str, Any]:
        """Return how many tokens of each prompt were known, how many were read, and which files were damaged, as plain JSON values."""
        reused = self._reused[arm]
        read = [len(ids) - known for ids, known in zip(self.prompts, reused, strict=True)]
        return {"reused": reused, "read": read, "damaged": self._damaged[arm]}


def _together(model: Model, sessions: Sequence[Session], room: int) -> Session:
    """Return one session of all lanes, which have read as many tokens each."""
    held = [snapshot(session) for session in sessions]
    tensors = {name: _lanes(name, [one.tensors[name] for one in held]) for name in held[0].tensors}
    return restore(model, Snapshot(tensors, tuple(length for one in held for length in one.lengths)), room)


def _lanes(name: str, parts: Sequence[Tensor]) -> Tensor:
    """Put lanes beside each other; keys and values of the start rows are one set for all."""
    return parts[0] if name.startswith("start.") else torch.cat(list(parts))
