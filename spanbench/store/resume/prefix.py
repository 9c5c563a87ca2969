"""Prefix cache: texts that begin as one that was read before are read from there on. What reuse is measured against."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from spanbench.model.pair import Model
from spanbench.model.speak import Session, start_session
from spanbench.store.disk import CorruptStore, NoStore
from spanbench.store.keys import arm_fingerprint, prefix_key
from spanbench.store.resume.disk import load_with_logits, write
from spanbench.store.resume.snapshot import Snapshot, check_room, restore, snapshot

__all__ = ["PrefixCache", "Read"]

_NAME = re.compile(r"prefix-(\d+)-[0-9a-f]+\.safetensors")


@dataclass(frozen=True, slots=True)
class Read:
    """A text that was read: its session, the logits of the next token (1 x V), and how many tokens were known before.

    `damaged` says of each longer prefix whose file could not be used why; keeping the text again writes them anew.
    """

    session: Session
    logits_1xV: Tensor
    reused: int
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Kept:
    held: Snapshot
    logits_1xV: Tensor

    @property
    def nbytes(self) -> int:
        return self.held.nbytes + self.logits_1xV.numel() * self.logits_1xV.element_size()


class PrefixCache:
    """Sessions of one lane by the tokens they have read, in memory up to a limit (least recently used go first), and on disk.

    Args:
        model: either arm.
        limit_bytes: of memory; None keeps all.
        folder: where sessions are kept on disk too; None keeps none there.
    """

    def __init__(self, model: Model, limit_bytes: int | None = None, folder: str | Path | None = None) -> None:
        self.model, self.limit = model, limit_bytes
        self.folder = None if folder is None else Path(folder)
        self.fingerprint = "" if folder is None else arm_fingerprint(model)
        self._kept: OrderedDict[bytes, tuple[int, _Kept]] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Bytes that are kept in memory."""
        return sum(kept.nbytes for _, kept in self._kept.values())

    def put(self, ids: Sequence[int], session: Session, logits_1xV: Tensor) -> None:
        """Keep a copy of a session of one lane that has read these ids."""
        kept, key = _Kept(snapshot(session), logits_1xV.clone()), prefix_key(ids)
        if kept.held.lengths != (len(ids),):
            raise ValueError(f"the session has read {kept.held.lengths} tokens, the text has {len(ids)}")
        if self.folder is not None:
            write(kept.held, self.folder, _name(len(ids), key), logits=kept.logits_1xV, fingerprint=self.fingerprint)
        self._kept[key] = len(ids), kept
        self._kept.move_to_end(key)
        while self.limit is not None and self._kept and self.nbytes > self.limit:
            self._kept.popitem(last=False)

    def known(self, ids: Sequence[int]) -> int:
        """Return how many of a text's first tokens are known: the longest prefix that was kept. No file is read, so it may be damaged."""
        return next((length for length, _ in self._candidates(ids)), 0)

    def read(self, ids: Sequence[int], room: int) -> Read:
        """Read a text, from its longest known prefix on, into a session with room for `room` more tokens.

        A prefix whose file is damaged or was taken away meanwhile costs time and nothing else: the next longest one is taken.

        Raises:
            UsageError: less than no room.
            NotThisModel, NewerStore: another model, or a newer version, keeps its prefixes here.
        """
        check_room(room)
        damaged: list[str] = []
        with torch.inference_mode():
            for length, key in self._candidates(ids):
                try:
                    session, logits = self._open(length, key, len(ids) - length + room)
                except (CorruptStore, NoStore) as error:
                    damaged.append(str(error))
                    continue
                if length < len(ids):
                    logits = session.read(torch.tensor([list(ids[length:])], device=self.model.head.weight.device))
                return Read(session, logits, length, tuple(damaged))
            return Read(*start_session(self.model, [ids], room), 0, tuple(damaged))

    def _candidates(self, ids: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Yield the kept prefixes of a text, the longest first."""
        for length in sorted(self._lengths(), reverse=True):
            key = prefix_key(ids[:length])
            if length <= len(ids) and (key in self._kept or self._on_disk(length, key)):
                yield length, key

    def _lengths(self) -> set[int]:
        names = [] if self.folder is None or not self.folder.is_dir() else [path.name for path in self.folder.iterdir()]
        matches = (_NAME.fullmatch(name) for name in names)
        return {length for length, _ in self._kept.values()} | {int(match[1]) for match in matches if match}

    def _on_disk(self, length: int, key: bytes) -> bool:
        return self.folder is not None and (self.folder / f"{_name(length, key)}.safetensors").is_file()

    def _open(self, length: int, key: bytes, room: int) -> tuple[Session, Tensor]:
        if key in self._kept:
            self._kept.move_to_end(key)
            kept = self._kept[key][1]
            return restore(self.model, kept.held, room), kept.logits_1xV.clone()
        name = _name(length, key)
        session, logits = load_with_logits(self.model, self.folder or Path(), name, room, fingerprint=self.fingerprint)
        if logits is None:
            raise CorruptStore(f"session {name!r}: was saved without logits, so not by a prefix cache; remove the file")
        return session, logits


def _name(length: int, key: bytes) -> str:
    return f"prefix-{length}-{key.hex()}"
