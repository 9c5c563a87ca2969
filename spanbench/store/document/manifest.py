"""What a store notes of a document beside its records: its token ids, and what they were encoded with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spanbench.store.disk import CorruptStore, Document, Space
from spanbench.store.document.narrow import Narrowed

__all__ = ["Manifest"]

_SMALL = 2**16


@dataclass(frozen=True, slots=True)
class Manifest:
    """One document: its ids, the encoder's (and where state is kept the mixer's) fingerprint, span and element type."""

    ids: tuple[int, ...]
    encoder: str
    mixer: str | None
    span: int
    dtype: str
    passes: int = 0
    """Extra mixer passes over the mixer's own outputs whose rows are stored."""
    narrowed: Narrowed = field(default_factory=Narrowed)

    @property
    def spans(self) -> int:
        """K, the complete spans."""
        return len(self.ids) // self.span

    @property
    def open(self) -> int:
        """Tokens of the span that is not complete: kept as ids, never encoded."""
        return len(self.ids) % self.span

    @property
    def u_space(self) -> Space:
        """Where its latents are."""
        return Space("u", self.encoder, self.span, self.dtype)

    def to_document(self, name: str) -> Document:
        """Return the document as it is stored: ids take 2 bytes each where the largest allows it, else 4."""
        kind = "<u2" if max(self.ids, default=0) < _SMALL else "<u4"
        plain = {
            "encoder": self.encoder, "mixer": self.mixer, "span": self.span, "dtype": self.dtype, "tokens": len(self.ids),
            "spans": self.spans, "open": self.open, "passes": self.passes, "ids": kind, "narrowed": self.narrowed.to_json(),
        }  # fmt: skip
        return Document(name, plain, np.asarray(self.ids, dtype=kind).tobytes())

    @classmethod
    def from_document(cls, document: Document) -> Manifest:
        """Read what `to_document` wrote.

        Raises:
            CorruptStore: something else did.
        """
        try:
            return cls._read(document.manifest, document.ids)
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptStore(f"document {document.name!r}: what the store notes of it is no manifest ({error!r}); remove it") from None

    @classmethod
    def _read(cls, plain: Mapping[str, Any], content: bytes) -> Manifest:
        ids: list[int] = np.frombuffer(content, dtype=plain["ids"]).tolist()
        if len(ids) != plain["tokens"]:
            raise ValueError(f"{len(ids)} ids of {plain['tokens']}")
        narrowed = Narrowed.from_json(plain["narrowed"])
        return cls(tuple(ids), plain["encoder"], plain["mixer"], int(plain["span"]), plain["dtype"], int(plain["passes"]), narrowed)
