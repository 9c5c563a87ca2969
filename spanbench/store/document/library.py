"""Documents in a store, as one model reads them: only what must be encoded or mixed again is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from spanbench.errors import UsageError
from spanbench.model.latent import Latent
from spanbench.model.speak.latent import LatentSession
from spanbench.point import DTYPE_BYTES, check_choice
from spanbench.store.disk import Document, Entry, Space, StaleDocument, Store
from spanbench.store.document.changing import retried
from spanbench.store.document.edited import Edited, edited
from spanbench.store.document.edits import Ids, check_ids, deleted, inserted, replaced
from spanbench.store.document.encoding import encode, sort_spans
from spanbench.store.document.faults import NotThisModel, check_mixer, taken
from spanbench.store.document.manifest import Manifest
from spanbench.store.document.mixing import Rows, make_rows, read_rows, row_entries
from spanbench.store.document.narrow import Narrowed, narrow, to_raw
from spanbench.store.document.opening import Composed, open_session
from spanbench.store.document.reading import picked, read_latents, read_state
from spanbench.store.keys import chain_keys, state_space, u_space
from spanbench.store.spans import span_keys

__all__ = ["Library"]


class Library:
    """The documents of one store, for one model and one element type. `state` keeps mixer rows beside the latents.

    All latents and mixer rows are used as they are read back, also those that were made a moment ago: what a session says
    depends on the store alone, not on when it was filled.

    Raises:
        SpaceMismatch: the store holds records of another encoder, span or element type.
    """

    def __init__(self, store: Store, model: Latent, dtype: str, *, state: bool = False) -> None:
        check_choice("dtype", dtype, tuple(DTYPE_BYTES))
        self.store, self.model, self.dtype, self.state = store, model, dtype, state
        self.u_space, self.state_space = u_space(model, dtype), state_space(model, dtype)
        for space in self._spaces():
            store.require(space)

    def _spaces(self) -> list[Space]:
        return [self.u_space, self.state_space] if self.state else [self.u_space]

    def add(self, name: str, ids: Sequence[int]) -> Edited:
        """Store a new document.

        Raises:
            UsageError: it is empty, holds an id outside the vocabulary, or there is one of this name.
        """
        text = check_ids(name, ids, self.model.shape.vocab)
        if name in self.store.documents():
            raise taken(name)
        try:
            return self._write(name, text, None)
        except StaleDocument:
            raise taken(name) from None

    def append(self, name: str, ids: Sequence[int]) -> Edited:
        """Put ids behind the last.

        Like every edit it is made to the document as it is when it is written: where another process changed it meanwhile,
        it is made again, to what is there then.

        Raises:
            UsageError: the text is empty, or holds an id outside the vocabulary, or there is no such document.
            NotThisModel, SpaceMismatch: another encoder wrote the document, or another mixer its rows (with `state`).
            StoreBusy: others changed the document each time.
        """
        new = self._new(name, ids)
        return self._edit(name, lambda old: old + new)

    def replace(self, name: str, position: int, ids: Sequence[int]) -> Edited:
        """Put ids in the place of as many old ones; all must lie inside the document."""
        new = self._new(name, ids)
        return self._edit(name, lambda old: replaced(name, old, position, new))

    def insert(self, name: str, position: int, ids: Sequence[int]) -> Edited:
        """Put ids in front of the one at a position."""
        new = self._new(name, ids)
        return self._edit(name, lambda old: inserted(name, old, position, new))

    def delete(self, name: str, position: int, count: int) -> Edited:
        """Take ids out."""
        return self._edit(name, lambda old: deleted(name, old, position, count))

    def restore(self, name: str) -> Edited:
        """Make what is missing of a document again (evicted records), because it was asked for."""
        return self._edit(name, lambda old: old)

    def remove(self, name: str) -> None:
        """Forget a document; its records stay until they are evicted, for others may use them."""
        self.manifest(name)
        self.store.remove_document(name)

    def refine(self, name: str, passes: int) -> int:
        """Store the rows of extra mixer passes, each over the outputs of the one before; return how many rows were computed.

        Raises:
            UsageError: fewer than one pass, or no complete span.
            NotThisModel, SpaceMismatch: another mixer made the rows that are there.
            StoreBusy: others changed the document each time.
        """
        if passes < 1:
            raise UsageError(f"document {name!r}: cannot refine by {passes} passes; take at least 1")
        return retried(name, lambda: self._refine(name, passes))

    def manifest(self, name: str) -> Manifest:
        """Return what is noted of a document.

        Raises:
            UsageError: there is none of this name.
            NotThisModel: it was written with another encoder, span or element type.
        """
        return self._ours(self.store.document(name))

    def _ours(self, document: Document) -> Manifest:
        name, held = document.name, Manifest.from_document(document)
        ours = (self.u_space.fingerprint, self.u_space.span, self.u_space.dtype)
        if (held.encoder, held.span, held.dtype) != ours:
            theirs = f"encoder {held.encoder[:12]}, span {held.span}, {held.dtype}"
            raise NotThisModel(
                f"document {name!r}: was written with {theirs}; this model is encoder {ours[0][:12]}, span {ours[1]}, {ours[2]}"
            )
        return held

    def missing(self, name: str) -> list[int]:
        """Return the spans of a document whose latents are not in the store."""
        keys = span_keys(self.manifest(name).ids, self.model.span)
        return [span for span, has in enumerate(self.store.has(self.u_space, keys)) if not has]

    def incomplete(self) -> dict[str, int]:
        """Return how many latents are not in the store, of every document of the store that misses any, whoever wrote it."""
        held = ((name, Manifest.from_document(self.store.document(name))) for name in self.store.documents())
        gone = ((name, self.store.has(one.u_space, span_keys(one.ids, one.span)).count(False)) for name, one in held)
        return {name: missing for name, missing in gone if missing}

    def latents(self, name: str) -> Tensor:
        """Return a document's latents u (K x Z) as the store holds them, in the model's element type.

        Raises:
            MissingLatents: some are not in the store.
        """
        return self._latents(name, self.manifest(name).ids)

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

    def _latents(self, name: str, ids: Sequence[int], fresh: Mapping[bytes, Tensor] | None = None) -> Tensor:
        return read_latents(self.store, self.u_space, name, span_keys(ids, self.model.span), self.model.head.weight, fresh or {})

    def _rows(self, ids: Sequence[int], source_KxZ: Tensor, passes: int) -> tuple[Rows, list[Entry]]:
        """Return all mixer rows over a source, those that were stored and the rest, and the rest as records."""
        keys = chain_keys(ids, self.model.span, passes)
        before = read_rows(self.store, self.state_space, keys, source_KxZ)
        held = 0 if before is None else len(before)
        if before is not None and held == len(keys):
            return before, []
        with torch.inference_mode():
            entries, new = row_entries(keys[held:], make_rows(self.model, before, source_KxZ[held:], self.dtype), self.dtype)
        return (new if before is None else before.followed_by(new)), entries

    def _new(self, name: str, ids: Sequence[int]) -> tuple[int, ...]:
        return check_ids(name, ids, self.model.shape.vocab, "text")

    def _edit(self, name: str, change: Callable[[Ids], Ids]) -> Edited:
        """Write what a change makes of a document's ids."""

        def attempt() -> Edited:
            was = self.store.document(name)
            return self._write(name, change(self._ours(was).ids), was)

        return retried(name, attempt)

    def _refine(self, name: str, passes: int) -> int:
        was = self.store.document(name)
        old = self._ours(was)
        if not old.spans:
            raise UsageError(f"document {name!r}: has no complete span to refine ({len(old.ids)} tokens, spans of {old.span})")
        self._check_state(name, old)
        source, entries, mixed = self._latents(name, old.ids), list[Entry](), 0
        for done in range(passes + 1):
            rows, made = self._rows(old.ids, source, done)
            entries, mixed, source = entries + made, mixed + len(made), rows.c_KxZ
        self._commit({self.state_space: entries}, name, replace(old, passes=passes, mixer=self.state_space.fingerprint), was)
        return mixed

    def _check_state(self, name: str, old: Manifest | None) -> None:
        """Refuse to write mixer rows beside those of another mixer."""
        if old is not None:
            check_mixer(name, old.mixer, self.state_space.fingerprint)
        self.store.require(self.state_space)

    def _write(self, name: str, ids: Ids, was: Document | None) -> Edited:
        """Store what is not there of a text and its manifest, in one commit."""
        old = None if was is None else self._ours(was)
        if self.state:
            self._check_state(name, old)
        spans = sort_spans(self.store, self.u_space, ids, () if old is None else old.ids)
        exact_KxZ = encode(self.model, [ids[at * self.model.span : (at + 1) * self.model.span] for at in spans.encode])
        kept_KxZ, lost = narrow(exact_KxZ, self.dtype)
        keys = [spans.keys[at] for at in spans.encode]
        entries = [Entry(key, {"u": raw}) for key, raw in zip(keys, to_raw(kept_KxZ), strict=True)]
        batches: dict[Space, Sequence[Entry]] = {self.u_space: entries}
        if self.state and spans.keys:
            fresh = dict(zip(keys, kept_KxZ.to(exact_KxZ.dtype), strict=True))
            batches[self.state_space] = self._rows(ids, self._latents(name, ids, fresh), 0)[1]
        self._commit(batches, name, self._manifest(ids, lost, old), was)
        return edited(spans, len(ids) % self.model.span, lost, len(batches.get(self.state_space, ())))

    def _commit(self, batches: Mapping[Space, Sequence[Entry]], name: str, new: Manifest, was: Document | None) -> None:
        """Write records and manifest, if the document is still what it `was`; all that it stands on counts as used now.

        Raises:
            StaleDocument: it is not; nothing was kept.
        """
        used = {self.u_space: span_keys(new.ids, new.span)}
        if new.mixer is not None:
            used[self.state_space] = [key for done in range(new.passes + 1) for key in chain_keys(new.ids, new.span, done)]
        self.store.commit(batches, [new.to_document(name)], expected={name: was}, used=used)

    def _manifest(self, ids: tuple[int, ...], lost: Narrowed, old: Manifest | None) -> Manifest:
        before = Narrowed() if old is None else old.narrowed
        mixer = self.state_space.fingerprint if self.state else None
        return Manifest(ids, self.u_space.fingerprint, mixer, self.model.span, self.dtype, 0, before + lost)
