"""Documents read into sessions: one, some of its spans, or several one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spanbench.errors import UsageError
from spanbench.model.speak.latent import LatentSession
from spanbench.point import check_choice
from spanbench.store.document.faults import check_mixer
from spanbench.store.document.held import Held
from spanbench.store.document.manifest import Manifest
from spanbench.store.document.mixing import Rows
from spanbench.store.document.opening import Composed, open_session
from spanbench.store.document.reading import picked, read_state
from spanbench.store.keys import chain_keys

__all__ = ["Sessions"]


class Sessions(Held):
    """Documents that sessions read, from what the store holds."""

    def session(
        self, name: str, room: int, *, use: str = "u", keep: Sequence[int] | None = None, passes: int = 0
    ) -> tuple[LatentSession, Tensor]:
        """Return a session that has read a document, and the logits of the next token (1 x V).

        Args:
            name: the document.
            room: how many more tokens the session must have room for.
            use: 'u' mixes all latents anew; 'state' takes the stored mixer rows, so that only the last window is decoded.
            keep: the spans whose latents are mixed and read (sparse activation, with 'u'), None for all; they are neighbours
                to the mixer, whatever stood between them.
            passes: with 'state', take the rows of this extra mixer pass (see `refine`); what is read later is mixed once.

        Raises:
            UsageError: an unknown document or use, or spans outside the document.
            MissingLatents: records are not in the store.
        """
        held = self.manifest(name)
        latents = self._chosen(name, held, use, keep, passes)
        return open_session(self.model, latents, held.ids, held.open, room)

    def compose(self, names: Sequence[str], room: int, *, keep: Sequence[int] | None = None) -> Composed:
        """Return a session that has read several documents, one after the other: latents are found, mixed rows are made anew."""
        if not names:
            raise UsageError("compose: no document; name at least one")
        held = [self.manifest(name) for name in names]
        parts = [self.latents(name) for name, document in zip(names, held, strict=True) if document.spans]
        text = [token for document in held for token in document.ids[: document.spans * document.span]]
        opened, latents = held[-1].open, picked(torch.cat(parts), keep, "compose") if parts else None
        tail = (*text, *held[-1].ids[len(held[-1].ids) - opened :])
        session, logits = open_session(self.model, latents, tail, opened, room)
        return Composed(session, logits, session.spans[0], sum(document.open for document in held[:-1]))

    def _chosen(self, name: str, held: Manifest, use: str, keep: Sequence[int] | None, passes: int) -> Tensor | Rows | None:
        check_choice("use", use, ("u", "state"))
        if use == "u" and passes:
            raise UsageError("passes: refined rows are stored mixer rows; take use='state'")
        if use == "state" and keep is not None:
            raise UsageError("keep: stored mixer rows have read all spans; take use='u' to mix some")
        if not held.spans:
            return None
        if use == "u":
            return picked(self.latents(name), keep, f"document {name!r}")
        check_mixer(name, held.mixer, self.state_space.fingerprint)
        keys = chain_keys(held.ids, held.span, passes)
        return read_state(self.store, self.state_space, name, keys, self.model.head.weight, passes)
