"""What every write of a document does: mixer rows of the one mixer, and one commit of records and manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from spanbench.store.disk import Document, Entry, Space
from spanbench.store.document.faults import check_mixer
from spanbench.store.document.held import Held
from spanbench.store.document.manifest import Manifest
from spanbench.store.document.mixing import Rows, make_rows, read_rows, row_entries
from spanbench.store.keys import chain_keys
from spanbench.store.spans import span_keys

__all__ = ["Writing"]


class Writing(Held):
    """Documents that are written: what must be mixed again, and the commit."""

    def _check_state(self, name: str, old: Manifest | None) -> None:
        """Refuse to write mixer rows beside those of another mixer."""
        if old is not None:
            check_mixer(name, old.mixer, self.state_space.fingerprint)
        self.store.require(self.state_space)

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

    def _commit(self, batches: Mapping[Space, Sequence[Entry]], name: str, new: Manifest, was: Document | None) -> None:
        """Write records and manifest, if the document is still what it `was`; all that it stands on counts as used now.

        Raises:
            StaleDocument: it is not; nothing was kept.
        """
        used = {self.u_space: span_keys(new.ids, new.span)}
        if new.mixer is not None:
            used[self.state_space] = [key for done in range(new.passes + 1) for key in chain_keys(new.ids, new.span, done)]
        self.store.commit(batches, [new.to_document(name)], expected={name: was}, used=used)
