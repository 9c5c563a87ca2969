"""A fitted map in a file: from whose latents to whose, how it was fitted, and how well it did."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as packed
from torch import Tensor

from spanbench.errors import UsageError
from spanbench.files import write_whole
from spanbench.store.adapt import Adapter
from spanbench.store.disk import CorruptStore, NewerStore, Space, Store
from spanbench.store.document.faults import NotThisModel
from spanbench.store.document.manifest import Manifest
from spanbench.store.document.reading import read_latents
from spanbench.store.spans import span_keys

__all__ = ["Map", "adapted", "check_new", "load_map", "save_map"]

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Map:
    """A map with the spaces of both sides, and whatever else was noted of it (ridge, pairs, R², controls)."""

    adapter: Adapter
    source: Space
    target: Space
    notes: Mapping[str, Any]


def check_new(path: Path) -> None:
    """Refuse a file that cannot be written, before any work is done.

    Raises:
        UsageError: it is there already, or its folder is not.
    """
    if path.exists():
        raise UsageError(f"--out {str(path)!r}: is there already; name a new file")
    if not path.parent.is_dir():
        raise UsageError(f"--out {str(path)!r}: there is no folder {str(path.parent)!r}; make it first")


def save_map(path: Path, made: Map) -> None:
    """Write a map as safetensors (`weight` Za x Zb, `offset` Zb; float64) with the rest in its metadata; on return it is on the disk.

    Raises:
        UsageError: the file is there already, or cannot be written.
    """
    tensors = {"weight": made.adapter.weight_ZaxZb, "offset": made.adapter.offset_Zb}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    sides = {"from": _plain(made.source), "to": _plain(made.target)}
    body = json.dumps({**made.notes, **sides}, sort_keys=True)
    notes = {"spanbench": "latent-map", "format": str(FORMAT), "body": body, "crc32": _checksum(body, tensors)}
    try:
        write_whole(path, [packed(tensors, metadata=notes)], new=True)
    except FileExistsError:
        raise UsageError(f"--out {str(path)!r}: is there already; name a new file") from None
    except OSError as error:
        raise UsageError(f"--out {str(path)!r}: cannot be written ({error.strerror})") from None


def load_map(path: Path) -> Map:
    """Read a map.

    Raises:
        UsageError: there is no such file, or it is no map.
        CorruptStore, NewerStore: it is not what was written, or a newer version wrote it.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            notes = file.metadata() or {}
            _check(notes, path)
            tensors = {name: file.get_tensor(name) for name in ("weight", "offset")}
    except FileNotFoundError:
        raise UsageError(f"map {str(path)!r}: there is no such file; spanbench store adapt --out writes one") from None
    except (SafetensorError, OSError) as error:
        raise UsageError(f"map {str(path)!r}: is damaged or no map ({error}); spanbench store adapt --out writes one") from None
    if _checksum(notes.get("body", ""), tensors) != notes.get("crc32"):
        raise CorruptStore(f"map {str(path)!r}: does not hold what was written; fit it again")
    body = json.loads(notes["body"])
    return Map(Adapter(tensors["weight"], tensors["offset"]), Space(**body.pop("from")), Space(**body.pop("to")), body)


def adapted(store: Store, name: str, by: Map, like: Tensor) -> Tensor:
    """Return a stored document's latents (K x Zb) as the map has them, in the type and on the device of `like`.

    They are not the target encoder's own, so nothing puts them into a store: they are made when they are read.

    Raises:
        UsageError: there is no such document.
        NotThisModel: it was not written with the encoder that the map is from.
        MissingLatents: some of its latents are not in the store.
    """
    held = Manifest.from_document(store.document(name))
    if (held.encoder, held.span) != (by.source.fingerprint, by.source.span):
        raise NotThisModel(
            f"document {name!r}: was written with encoder {held.encoder[:12]}, span {held.span}; "
            f"the map is from {by.source.fingerprint[:12]}, span {by.source.span}"
        )
    keys = span_keys(held.ids, held.span)
    if not keys:
        return like.new_empty(0, len(by.adapter.offset_Zb))
    u_KxZ = read_latents(store, held.u_space, name, keys, torch.empty(0, dtype=torch.float64), {})
    return by.adapter.apply(u_KxZ).to(like)


def _check(notes: Mapping[str, str], path: Path) -> None:
    if notes.get("spanbench") != "latent-map":
        raise UsageError(f"map {str(path)!r}: is no map of latents; spanbench store adapt --out writes one")
    if notes.get("format") != str(FORMAT):
        raise NewerStore(f"map {str(path)!r}: has format {notes.get('format')!r}, this version reads {FORMAT}; take a newer one")


def _plain(space: Space) -> dict[str, Any]:
    return {"kind": space.kind, "fingerprint": space.fingerprint, "span": space.span, "dtype": space.dtype}


def _checksum(body: str, tensors: Mapping[str, Tensor]) -> str:
    """Return a CRC-32 of notes and values: it tells damage, not intent."""
    total = zlib.crc32(body.encode())
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(f"{name} {tuple(tensor.shape)}".encode(), total)
        total = zlib.crc32(tensor.flatten().view(torch.uint8).numpy().data, total)
    return f"{total:08x}"
