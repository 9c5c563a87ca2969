"""Remembers for which shapes and versions the witnesses agreed, so that they run once for each.

Only agreement is remembered, never a count. A cache that cannot be read or written is as good as none.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import spanbench

__all__ = ["folder", "key", "recall", "remember"]

_FILE = "witnesses.json"


def folder() -> Path:
    """Return the cache's folder: $SPANBENCH_CACHE, else spanbench in $XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("SPANBENCH_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  # Path.home() raises where there is none
    return Path(base) / "spanbench"


def key(what: Mapping[str, Any]) -> str:
    """Return the hash of what is counted (plain JSON values) and of everything that counts it.

    The sources are part of it: after an edit, an agreement of yesterday's code says nothing.
    """
    versions = {package: _version(package) for package in ("torch", "fvcore")}
    text = json.dumps([what, versions, spanbench.__version__, _sources()], sort_keys=True)
    return sha256(text.encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


@cache
def _sources() -> str:
    """Return the hash of the code that is counted and of the code that counts."""
    root, digest = Path(spanbench.__file__).parent, sha256()
    for path in sorted(path for part in ("count", "model", "run") for path in (root / part).rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def recall(agreed: str) -> list[str] | None:
    """Return what the witnesses checked under this key, or None where they have not agreed yet."""
    checks = _load().get(agreed)
    known = isinstance(checks, list) and all(isinstance(check, str) for check in checks)
    return checks if known else None


def remember(agreed: str, checks: list[str]) -> None:
    """Note that the witnesses agreed under this key; readers see the old file or the new one, never a part."""
    text = json.dumps({**_load(), agreed: checks}, indent=1)
    temporary = None
    with suppress(OSError):
        folder().mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder(), delete=False, encoding="utf-8") as file:
            temporary = Path(file.name)
            file.write(text)
        temporary.replace(folder() / _FILE)
        return
    if temporary is not None:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _load() -> dict[str, Any]:
    try:
        content = json.loads((folder() / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # missing, unreadable, not UTF-8 or not JSON
        return {}
    return content if isinstance(content, dict) else {}
