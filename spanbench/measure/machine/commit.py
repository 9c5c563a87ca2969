"""The commit that a checkout stands at, read from its .git folder."""

from __future__ import annotations

import re
from pathlib import Path

from spanbench.measure.host.kernel import text

__all__ = ["git_commit"]

_HASH = re.compile(r"[0-9a-f]{40,64}")


def git_commit(folder: Path) -> str | None:
    """Return the commit that is checked out in `folder`, read from .git without starting git; None where there is none."""
    git = folder / ".git"
    if git.is_file():  # a linked worktree: 'gitdir: <folder>'
        git = folder / text(git).removeprefix("gitdir:").strip()
    head = text(git / "HEAD")
    commit = _resolved(git, head.removeprefix("ref:").strip()) if head.startswith("ref:") else head
    return commit if _HASH.fullmatch(commit) else None


def _resolved(git: Path, reference: str) -> str:
    """Return what a reference names: a file of its own, or a line of packed-refs; a worktree's are in its parent."""
    common = git / (text(git / "commondir") or ".")
    packed = (line for line in text(common / "packed-refs").splitlines() if line.endswith(f" {reference}"))
    return text(common / reference) or next(packed, "").partition(" ")[0]
