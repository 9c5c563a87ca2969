"""A session in a file: written whole or not at all, checked when it is read, refused for another model."""

from __future__ import annotations

import errno
import json
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as packed
from torch import Tensor

from spanbench.errors import UsageError
from spanbench.files import write_whole
from spanbench.model.pair import Model
from spanbench.model.speak import Session
from spanbench.store.disk import CorruptStore, NewerStore, NoStore, StoreFull
from spanbench.store.document.faults import NotThisModel
from spanbench.store.keys import arm_fingerprint
from spanbench.store.resume.snapshot import Snapshot, check_room, restore, snapshot

__all__ = ["load", "load_with_logits", "path_of", "save"]

FORMAT = 1
_LOGITS = "logits"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def save(session: Session, folder: str | Path, name: str, *, logits: Tensor | None = None, fingerprint: str | None = None) -> Path:
    """Write a session under a name, over one that was there; on return it is on the disk.

    Args:
        session: of either arm.
        folder: where; it is made if it is not there.
        name: of the session.
        logits: what it said last (B x V), for the next token to be chosen from after the break.
        fingerprint: the model's `arm_fingerprint`, where it is known: computing it reads all weights.

    Raises:
        NoStore, StoreFull: the folder cannot be written, or has no room; what was there is unchanged.
    """
    kept = snapshot(session)
    return write(kept, folder, name, logits=logits, fingerprint=fingerprint or arm_fingerprint(session.model))


def write(kept: Snapshot, folder: str | Path, name: str, *, logits: Tensor | None, fingerprint: str) -> Path:
    """Write a session that was copied before, see `save`."""
    path = path_of(folder, name)
    tensors = dict(kept.tensors) if logits is None else {**kept.tensors, _LOGITS: logits.detach().clone()}
    notes = {"spanbench": "session", "format": str(FORMAT), "arm": fingerprint, "lengths": json.dumps(kept.lengths)}
    content = packed({name: tensor.cpu() for name, tensor in tensors.items()}, metadata=notes | {"crc32": _checksum(notes, tensors)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, [content])
    except OSError as error:
        kind = StoreFull if error.errno in _FULL else NoStore
        raise kind(f"session {name!r}: cannot be written to {str(path.parent)!r} ({error.strerror})") from None
    return path


def load(model: Model, folder: str | Path, name: str, room: int, *, fingerprint: str | None = None) -> Session:
    """Return a saved session, bit for bit what it was, with room for `room` more tokens a lane.

    Raises:
        UsageError: less than no room.
        NoStore: there is none of this name.
        NotThisModel: another model wrote it; what it holds is never computed again unasked.
        CorruptStore, NewerStore: the file is not what was written, or a newer version wrote it.
    """
    return load_with_logits(model, folder, name, room, fingerprint=fingerprint)[0]


def load_with_logits(
    model: Model, folder: str | Path, name: str, room: int, *, fingerprint: str | None = None
) -> tuple[Session, Tensor | None]:
    """Do what `load` does, and return the logits (B x V) that were saved with the session, too; None where there were none."""
    check_room(room)
    tensors, lengths = _read(path_of(folder, name), name, fingerprint or arm_fingerprint(model))
    logits = tensors.pop(_LOGITS, None)
    return restore(model, Snapshot(tensors, lengths), room), logits


def path_of(folder: str | Path, name: str) -> Path:
    """Return a session's file.

    Raises:
        UsageError: a name that is no name of a file.
    """
    if not name or name != Path(name).name or "\0" in name:
        raise UsageError(f"session {name!r}: is no name; give one without slashes")
    return Path(folder) / f"{name}.safetensors"


def _read(path: Path, name: str, fingerprint: str) -> tuple[dict[str, Tensor], tuple[int, ...]]:
    """Return a file's tensors and lengths, all checked."""
    try:
        with safe_open(str(path), framework="pt") as file:
            notes = file.metadata() or {}
            _check(notes, name, fingerprint)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - the file is no mapping
            whole = _checksum(notes, tensors) == notes.get("crc32")
    except FileNotFoundError:
        raise NoStore(f"session {name!r}: there is none in {str(path.parent)!r}") from None
    except (SafetensorError, OSError) as error:
        raise CorruptStore(f"session {name!r}: {str(path)!r} is damaged or no session ({error}); read the text again") from None
    if not whole:
        raise CorruptStore(f"session {name!r}: {str(path)!r} does not hold what was written; read the text again")
    return tensors, tuple(json.loads(notes["lengths"]))


def _check(notes: Mapping[str, str], name: str, fingerprint: str) -> None:
    if notes.get("spanbench") != "session":
        raise CorruptStore(f"session {name!r}: the file is no session of spanbench")
    if notes.get("format") != str(FORMAT):
        raise NewerStore(f"session {name!r}: has format {notes.get('format')!r}, this version reads {FORMAT}; take a newer one")
    if notes.get("arm") != fingerprint:
        theirs = notes.get("arm", "")[:12]
        raise NotThisModel(
            f"session {name!r}: was saved by model {theirs!r}, this one is {fingerprint[:12]!r}; read the text with this one"
        )


def _checksum(notes: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """Return a CRC-32 of notes, names and contents: it tells damage, not intent."""
    total = zlib.crc32(json.dumps({key: notes[key] for key in sorted(notes) if key != "crc32"}).encode())
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), total)
        total = zlib.crc32(tensor.detach().contiguous().cpu().flatten().view(torch.uint8).numpy().data, total)
    return f"{total:08x}"
