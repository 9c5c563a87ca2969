"""Extra mixer passes over a document, each over the outputs of the one before."""

from __future__ import annotations

from dataclasses import replace

from spanbench.errors import UsageError
from spanbench.store.disk import Entry
from spanbench.store.document.changing import retried
from spanbench.store.document.writing import Writing

__all__ = ["Refining"]


class Refining(Writing):
    """Documents whose mixer rows are refined."""

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
