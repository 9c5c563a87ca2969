"""What of git is needed: the repository, a commit's hash, whether the tree has changes, and a worktree that always goes again."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spanbench.errors import UsageError

__all__ = ["Repository", "open_repository"]


@dataclass(frozen=True, slots=True)
class Repository:
    """A working tree under git, by its top folder."""

    top: Path

    def commit(self, ref: str) -> str:
        """Return the full hash of the commit that `ref` names.

        Raises:
            UsageError: there is none here, and what brings it in a shallow clone.
        """
        found = _git(self.top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        if found.returncode == 0 and ref:
            return found.stdout.strip()
        shallow = _git(self.top, "rev-parse", "--is-shallow-repository").stdout.strip() == "true"
        mend = "the clone is shallow; fetch it whole (git fetch --unshallow, or fetch-depth: 0 in actions/checkout)"
        raise UsageError(
            f"--against {ref!r}: there is no such commit in {self.top}; "
            f"{mend if shallow else 'give a branch, tag or hash that git log knows, such as HEAD~1 or origin/main'}"
        )

    def changed(self) -> str | None:
        """Return the first tracked file that differs from the last commit, or None."""
        lines = _asked(self.top, "status", "--porcelain", "--untracked-files=no", "-z").split("\0")
        return lines[0][3:] or None

    @contextmanager
    def worktree(self, commit: str) -> Iterator[Path]:
        """Check a commit out in a temporary folder, and remove it however the block ends.

        Raises:
            UsageError: git cannot make it.
        """
        folder = Path(tempfile.mkdtemp(prefix="spanbench-base-")).resolve()
        tree = folder / "tree"
        try:
            _asked(self.top, "worktree", "add", "--detach", "--force", str(tree), commit)
            yield tree
        finally:
            self._remove(folder, tree)

    def _remove(self, folder: Path, tree: Path) -> None:
        try:
            _git(self.top, "worktree", "remove", "--force", "--force", str(tree))
        finally:  # also where a second Ctrl-C came meanwhile
            shutil.rmtree(folder, ignore_errors=True)
            _git(self.top, "worktree", "prune")


def open_repository(folder: Path) -> Repository:
    """Return the repository that a folder belongs to.

    Raises:
        UsageError: git is not installed, or the folder is in no repository.
    """
    found = _git(folder, "rev-parse", "--show-toplevel")
    if found.returncode:
        raise UsageError(f"--against: {folder} is not in a git repository ({_last_line(found.stderr)}); run it in the project's folder")
    return Repository(Path(found.stdout.strip()).resolve())


def _asked(folder: Path, *arguments: str) -> str:
    """Return what git printed; raise UsageError with its last line where it failed."""
    done = _git(folder, *arguments)
    if done.returncode:
        raise UsageError(f"--against: git {arguments[0]} failed: {_last_line(done.stderr)}")
    return done.stdout


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    git = shutil.which("git")
    if git is None:
        raise UsageError("--against: git is not installed, or not on PATH; install it, or check against a baseline file")
    # A project's hooks have no business in a temporary tree; within a hook, git names a repository in the environment; and
    # Ctrl-C is for the parent, which lets git finish and then cleans up.
    named = {name: value for name, value in os.environ.items() if name not in {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}}
    return subprocess.run(  # noqa: S603  # git itself, with arguments of our own; a ref comes behind --end-of-options
        [git, "-C", str(folder), "-c", f"core.hooksPath={os.devnull}", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", check=False,
        env=named | {"LC_ALL": "C"}, start_new_session=True,
    )  # fmt: skip


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("fatal: ") if lines else "it said nothing"
