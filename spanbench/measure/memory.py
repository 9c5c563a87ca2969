"""Memory that is really left to this process: what the kernel has free, and what a control group still allows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["available_bytes", "total_bytes"]

_ROOT = Path("/")

# Of a memory control group: limit, use, and the key of memory.stat that says how much of the use is file cache
# that the kernel drops at need (version 1 counts a group's children under total_*).
_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def available_bytes(device: str = "cpu", root: Path = _ROOT) -> int | None:
    """Return the bytes that can still be allocated on `device` ('cpu', 'cuda', 'cuda:1'), or None if unknown.

    On the CPU it is the smallest of MemAvailable and what each enclosing control group (v1 or v2) has left; `root`
    is where /proc and /sys are looked for. On CUDA it is the driver's figure.
    """
    if device.partition(":")[0] == "cuda":
        return _cuda(device)[0]
    return min([*_meminfo(root, "MemAvailable"), *(limit - used for limit, used in _groups(root))], default=None)


def total_bytes(device: str = "cpu", root: Path = _ROOT) -> int | None:
    """Return the bytes that `device` has for this process in all: its memory, or a tighter control-group limit."""
    if device.partition(":")[0] == "cuda":
        return _cuda(device)[1]
    return min([*_meminfo(root, "MemTotal"), *(limit for limit, _ in _groups(root))], default=None)


def _cuda(device: str) -> tuple[int, int]:
    """Return free and total bytes of a CUDA device."""
    import torch

    free, total = torch.cuda.mem_get_info(device)
    return free, total


def _meminfo(root: Path, key: str) -> Iterator[int]:
    """Yield the bytes of one line of /proc/meminfo, or nothing where there is none."""
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        if name == key and rest.split():
            yield int(rest.split()[0]) * 1024


def _groups(root: Path) -> Iterator[tuple[int, int]]:
    """Yield (limit, bytes in use that cannot be dropped) of every limited memory group that holds this process."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _chain(root / "sys/fs/cgroup", path, _V2)
        elif "memory" in controllers.split(","):
            yield from _chain(root / "sys/fs/cgroup/memory", path, _V1)


def _chain(mount: Path, path: str, names: tuple[str, str, str]) -> Iterator[tuple[int, int]]:
    """Yield limit and use of a group and its ancestors: each one's limit binds.

    Inside a container the path may be the host's and not exist here; the mount's own root is then the group.
    """
    group = PurePosixPath(path.lstrip("/"))
    for part in (group, *group.parents) if group.parts else (group,):
        limit, used, key = (_text(mount / part / name).strip() for name in (names[0], names[1], "memory.stat"))
        if limit.isdecimal() and used.isdecimal():  # an unlimited group says 'max'
            yield int(limit), int(used) - _droppable(key, names[2])


def _droppable(stat: str, key: str) -> int:
    fields = dict(line.split(maxsplit=1) for line in stat.splitlines() if " " in line)
    value = fields.get(key, "")
    return int(value) if value.isdecimal() else 0


def _text(path: Path) -> str:
    """Return a file's text, or '' where it does not exist or may not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
