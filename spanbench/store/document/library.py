"""Documents in a store, as one model reads them: only what must be encoded or mixed again is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from spanbench.store.disk import Document, Entry, Space, StaleDocument
from spanbench.store.document.changing import retried
from spanbench.store.document.edited import Edited, edited
from spanbench.store.document.edits import Ids, check_ids, deleted, inserted, replaced
from spanbench.store.document.encoding import encode, sort_spans
from spanbench.store.document.faults import taken
from spanbench.store.document.manifest import Manifest
from spanbench.store.document.narrow import Narrowed, narrow, to_raw
from spanbench.store.document.refining import Refining
from spanbench.store.document.sessions import Sessions

__all__ = ["Library"]


class Library(Refining, Sessions):
    """The documents of one store, for one model and one element type. `state` keeps mixer rows beside the latents.

    All latents and mixer rows are used as they are read back, also those that were made a moment ago: what a session says
    depends on the store alone, not on when it was filled.

    Raises:
        SpaceMismatch: the store holds records of another encoder, span or element type.
    """

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

    def _new(self, name: str, ids: Sequence[int]) -> tuple[int, ...]:
        return check_ids(name, ids, self.model.shape.vocab, "text")

    def _edit(self, name: str, change: Callable[[Ids], Ids]) -> Edited:
        """Write what a change makes of a document's ids."""

        def attempt() -> Edited:
            was = self.store.document(name)
            return self._write(name, change(self._ours(was).ids), was)

        return retried(name, attempt)

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

    def _manifest(self, ids: tuple[int, ...], lost: Narrowed, old: Manifest | None) -> Manifest:
        before = Narrowed() if old is None else old.narrowed
        mixer = self.state_space.fingerprint if self.state else None
        return Manifest(ids, self.u_space.fingerprint, mixer, self.model.span, self.dtype, 0, before + lost)
