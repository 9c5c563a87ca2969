"""One document's file: its manifest and ids, so that an index which is lost or damaged takes no document with it.

A document's ids cannot be made again from its latents. So they are on the disk twice: in the index, which is what is read, and in a
file that is written before the commit and never changed. It is plain safetensors: a tensor `ids` of bytes, and the manifest as text.
"""

from __future__ import annotations

import json
import os
import secrets
import zlib
from dataclasses import dataclass
from pathlib import Path

from spanbench.files import sync_folder
from spanbench.store.disk.entry import Document
from spanbench.store.disk.shard import TEMPORARY

__all__ = ["PAPER", "Paper", "checksum_of", "manifest_text", "read_paper", "write_paper"]

PAPER = ".document"
FORMAT = "spanbench document"
VERSION = "1"


@dataclass(frozen=True, slots=True)
class Paper:
    """What a document's file holds; `written` is the store's tick then, which tells the newer of two, `size` the file's bytes."""

    document: Document
    written: int
    size: int


def manifest_text(document: Document) -> str:
    """Return a manifest as it is stored."""
    return json.dumps(document.manifest, separators=(",", ":"))


def checksum_of(name: str, manifest: str, ids: bytes) -> int:
    """Return the CRC-32 of a document: of its name, its manifest's text and its ids, each behind its length."""
    crc = 0
    for part in (name.encode("utf-8", "surrogatepass"), manifest.encode("utf-8", "surrogatepass"), ids):
        crc = zlib.crc32(part, zlib.crc32(len(part).to_bytes(8, "little"), crc))
    return crc


def _header(name: str, manifest: str, ids: bytes, written: int) -> bytes:
    about = {"format": FORMAT, "version": VERSION, "name": name, "manifest": manifest, "written": str(written)}
    about["crc32"] = str(zlib.crc32(str(written).encode(), checksum_of(name, manifest, ids)))
    body = {"__metadata__": about, "ids": {"dtype": "U8", "shape": [len(ids)], "data_offsets": [0, len(ids)]}}
    text = json.dumps(body, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def write_paper(folder: Path, document: Document, written: int) -> tuple[str, int]:
    """Write a document's file, and have it on the disk under its name; return the name, and the file's bytes.

    Raises:
        OSError: it cannot be written; nothing of it is left.
    """
    name = f"{secrets.token_hex(8)}{PAPER}"
    temporary = folder / f"{TEMPORARY}{name}"
    content = _header(document.name, manifest_text(document), document.ids, written) + document.ids
    try:
        _write(temporary, content)
        temporary.replace(folder / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(folder)
    return name, len(content)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_paper(path: Path) -> Paper | None:
    """Return what a document's file holds; None where it is not there, not readable, or not what was written."""
    try:
        content = path.read_bytes()
        length = 8 + int.from_bytes(content[:8], "little")
        about = json.loads(content[8:length])["__metadata__"]
        document, written = Document(about["name"], json.loads(about["manifest"]), content[length:]), int(about["written"])
        whole = _header(document.name, about["manifest"], document.ids, written) == content[:length]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):  # whatever is not as `write_paper` writes it
        return None
    return Paper(document, written, len(content)) if whole else None
