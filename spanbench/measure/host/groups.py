"""The control groups that hold this process: the limits of each of them, and of their parents, bind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from spanbench.measure.host.kernel import ROOT, text

__all__ = ["Group", "enclosing"]


@dataclass(frozen=True, slots=True)
class Group:
    """A folder of control files, and which version of the interface they speak (1 or 2)."""

    folder: Path
    version: int


def enclosing(controller: str, root: Path = ROOT) -> Iterator[Group]:
    """Yield the groups of `controller` ('memory', 'cpu') that hold this process, each with its parents."""
    for line in text(root / "proc/self/cgroup").splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if not controllers:
            yield from _chain(root / "sys/fs/cgroup", path, 2)
        elif controller in controllers.split(","):
            yield from _chain(root / "sys/fs/cgroup" / controller, path, 1)


def _chain(mount: Path, path: str, version: int) -> Iterator[Group]:
    """Yield a group and its parents.

    Inside a container the path may be the host's and not exist here; the mount's own root is then the group.
    """
    group = PurePosixPath(path.lstrip("/"))
    for part in (group, *group.parents) if group.parts else (group,):
        yield Group(mount / part, version)
