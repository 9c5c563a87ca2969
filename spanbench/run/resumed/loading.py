"""`--load`: an arm goes on from a kept session; a prompt is read behind it only where one is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spanbench.count.distinct import Distinct
from spanbench.count.formula import closed_form
from spanbench.errors import UsageError
from spanbench.model.pair import Model
from spanbench.model.speak import Session
from spanbench.point import Point
from spanbench.run.generated import Begin
from spanbench.run.resumed.kept import Kept
from spanbench.run.resumed.saving import KeptSampler
from spanbench.store.disk import CorruptStore
from spanbench.store.keys import arm_fingerprint
from spanbench.store.resume import load_with_logits

__all__ = ["Loading"]


class Loading:
    """Gives each arm the session that was kept of it."""

    kind = "loaded"
    warm: Sequence[int] = (0,)

    def __init__(self, folder: str, kept: Kept, behind: Sequence[Sequence[int]] = ()) -> None:
        self.folder, self.kept, self.behind = folder, kept, behind

    def begin(self, arm: str, model: Model, room: int) -> Begin:
        """Return how an arm begins; its weights are hashed and its file is checked here, before anything is said.

        Raises:
            SpanbenchError: the file is gone, is not what was written, or was written by another model.
        """
        name, fingerprint = self.kept.arms[arm].name, arm_fingerprint(model)
        load_with_logits(model, self.folder, name, 0, fingerprint=fingerprint)
        more = len(self.behind[0]) if self.behind else 0

        def load() -> tuple[Session, Tensor]:
            session, logits_BxV = load_with_logits(model, self.folder, name, room + more, fingerprint=fingerprint)
            if logits_BxV is None:
                raise CorruptStore(f"session {name!r}: was saved without logits; read the prompt anew with --save")
            device = model.head.weight.device
            if more:
                return session, session.read(torch.tensor([list(row) for row in self.behind], device=device))
            return session, logits_BxV.to(device)

        return Begin(load)

    def said_before(self, arm: str, batch: int) -> list[list[int]]:
        """Return the last ids that each lane said, which what it says now goes on from; none where a prompt comes between."""
        return [[] for _ in range(batch)] if self.behind else self.kept.arms[arm].last

    def sampler(self, arm: str, model: Model, sampler: KeptSampler) -> KeptSampler:
        """Return the sampler whose source of chance goes on where it stood.

        Raises:
            UsageError: it is of another kind of device, where chance takes another course.
        """
        state = torch.from_numpy(np.frombuffer(bytes.fromhex(self.kept.arms[arm].chance), np.uint8).copy())
        device = model.head.weight.device
        begun = sampler.begun(device)
        try:
            begun.generator(device).set_state(state)
        except (RuntimeError, TypeError):
            if sampler.temperature:
                was = self.kept.recipe.device
                raise UsageError(f"--device {device}: what is drawn was begun on {was}; take --device {was}, or --temperature 0") from None
        return begun

    def told(self, arm: str, point: Point) -> dict[str, Any]:
        """Return what the arm had and what it read, as plain JSON values; FLOPs are those of reading all that it had again."""
        held = replace(point, tokens=self.kept.tokens, regimes=("prefill",))
        form = closed_form(held, "prefill", Distinct(0, 0, {"prefill": 0}))[arm]["total"]
        read = len(self.behind[0]) if self.behind else 0
        return {"tokens": self.kept.tokens, "read": read, "flops_not_computed": form.flops()}
