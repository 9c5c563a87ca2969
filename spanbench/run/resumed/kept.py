"""What stands beside kept sessions, as JSON: the options they were made with, and where each arm's source of chance stood.

The sessions themselves are files of `spanbench.store.resume`, one an arm, named anew at each save. This file is
written last and names them, so whenever a save dies, what was kept before is still whole.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from spanbench.errors import UsageError
from spanbench.files import write_whole
from spanbench.point import Point
from spanbench.request import Request
from spanbench.store.disk import CorruptStore, NewerStore

__all__ = ["MANIFEST", "Kept", "KeptArm", "Recipe", "digest_of", "load_kept", "recipe_of", "write_kept"]

MANIFEST = "sessions.json"
FORMAT = 1
_KIND = "spanbench sessions"


@dataclass(frozen=True, slots=True)
class Recipe:
    """The options that sessions are made with; files by their whole paths. `vocab` is always among the overrides of `shape`."""

    preset: str
    allocation: str
    shape: Mapping[str, Any]
    span: int
    batch: int
    generate: int
    seed: int
    dtype: str
    device: str
    tokenizer: str | None
    tokenizer_sha256: str | None
    temperature: float
    weights: str | None

    def request(self) -> Request:
        """Return the request that these options make."""
        names = ("preset", "allocation", "shape", "span", "batch", "generate", "seed", "dtype", "device", "tokenizer")
        return Request(**{name: getattr(self, name) for name in names}, regimes=("request",))


@dataclass(frozen=True, slots=True)
class KeptArm:
    """One arm's session: its file's name without suffix, its source of chance (hex), and the last ids that each lane said."""

    name: str
    chance: str
    last: list[list[int]]


@dataclass(frozen=True, slots=True)
class Kept:
    """Sessions in a folder: what they were made with, how many tokens each lane has read (those it said included), and the arms."""

    recipe: Recipe
    point: Mapping[str, Any]
    tokens: int
    arms: Mapping[str, KeptArm]


def recipe_of(request: Request, point: Point, temperature: float, weights: str | None) -> Recipe:
    """Return the options of a run, so that another process can make the same models."""
    tokenizer = request.tokenizer
    return Recipe(
        preset=point.preset,
        allocation=point.allocation,
        shape={**request.shape, "vocab": point.shape.vocab},
        span=point.span,
        batch=point.batch,
        generate=point.generate,
        seed=point.seed,
        dtype=point.dtype,
        device=point.device,
        tokenizer=tokenizer and str(Path(tokenizer).resolve()),
        tokenizer_sha256=digest_of(tokenizer),
        temperature=temperature,
        weights=weights and str(Path(weights).resolve()),
    )


def digest_of(tokenizer: str | None) -> str | None:
    """Return the SHA-256 of a tokenizer's file, None for bytes or where there is none to be read."""
    path = tokenizer and Path(tokenizer)
    return sha256(path.read_bytes()).hexdigest() if path and path.is_file() else None


def load_kept(folder: str) -> Kept:
    """Return what is kept in a folder; no session is read yet.

    Raises:
        UsageError: there is no such folder, or nothing is kept in it.
        CorruptStore, NewerStore: what is there is not what was written, or a newer version wrote it.
    """
    try:
        content = (Path(folder) / MANIFEST).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise UsageError(f"--load {folder!r}: {_why(folder, error)}; give a folder of generate --save") from None
    return _kept(content, f"--load {folder!r}: {MANIFEST}")


def _why(folder: str, error: OSError | ValueError) -> str:
    if isinstance(error, NotADirectoryError):
        return "is a file"
    if isinstance(error, FileNotFoundError):
        return "holds no kept sessions" if Path(folder).is_dir() else "there is no such folder"
    return f"cannot be read ({getattr(error, 'strerror', None) or error})"


def _kept(content: bytes, where: str) -> Kept:
    try:
        notes = json.loads(content)
    except (ValueError, RecursionError):
        raise CorruptStore(f"{where} is damaged or not of spanbench; read the prompt anew with --save") from None
    if not isinstance(notes, dict) or notes.get("kind") != _KIND:
        raise CorruptStore(f"{where} is not of spanbench; give a folder of generate --save")
    if notes.get("format") != FORMAT:
        raise NewerStore(f"{where} has format {notes.get('format')!r}, this version reads {FORMAT}; take a newer one")
    held = notes.get("kept")
    if not isinstance(held, dict) or notes.get("crc32") != _checksum(held):
        raise CorruptStore(f"{where} does not hold what was written; read the prompt anew with --save")
    arms = {arm: KeptArm(**one) for arm, one in held["arms"].items()}
    return Kept(Recipe(**held["recipe"]), held["point"], held["tokens"], arms)


def write_kept(folder: Path, kept: Kept) -> None:
    """Put the file in the place of the one before it, whole.

    Raises:
        OSError: it cannot be written; the one before it stays.
    """
    held = asdict(kept)
    notes = {"kind": _KIND, "format": FORMAT, "crc32": _checksum(held), "kept": held}
    write_whole(folder / MANIFEST, [json.dumps(notes, indent=1).encode()])


def _checksum(held: Any) -> str:
    """Return a CRC-32 of the content: it tells damage, not intent."""
    return f"{zlib.crc32(json.dumps(held, sort_keys=True).encode()):08x}"
