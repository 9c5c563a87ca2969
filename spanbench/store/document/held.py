"""What a store holds of documents for one model: what is noted of them, their latents, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from spanbench.model.latent import Latent
from spanbench.point import DTYPE_BYTES, check_choice
from spanbench.store.disk import Document, Space, Store
from spanbench.store.document.faults import NotThisModel
from spanbench.store.document.manifest import Manifest
from spanbench.store.document.reading import read_latents
from spanbench.store.keys import state_space, u_space
from spanbench.store.spans import span_keys

__all__ = ["Held"]


class Held:
    """The documents of one store, for one model and one element type, as they are.

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

    def _latents(self, name: str, ids: Sequence[int], fresh: Mapping[bytes, Tensor] | None = None) -> Tensor:
        return read_latents(self.store, self.u_space, name, span_keys(ids, self.model.span), self.model.head.weight, fresh or {})
