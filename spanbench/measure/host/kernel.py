"""Small files of /proc and /sys. Which of them exist depends on the machine, so a missing one is '' or None, never an error."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ROOT", "cpuinfo", "fields", "listed", "text", "whole"]

ROOT = Path("/")
"""Where /proc and /sys are looked for on a real machine; the tests make up their own."""


_ENOUGH = 16_384  # characters: the first core's block, also with the flags of CPUs to come


def text(path: Path) -> str:
    """Return a file's text without the space around it, or '' where it does not exist or may not be read."""
    try:
        return path.read_bytes().decode(errors="replace").strip()  # half the time of read_text, and a big machine has 1000 such files
    except OSError:  # also of a file that is there: a driver may refuse to answer
        return ""


def whole(path: Path) -> int | None:
    """Return the one whole number that a file holds, or None."""
    return _number(text(path))


def fields(path: Path, separator: str | None = None) -> dict[str, str]:
    """Return the lines 'name<separator>value' of a file; None separates at white space. Of a name met twice, the first."""
    found: dict[str, str] = {}
    for line in text(path).splitlines():
        name, *rest = line.split(separator, maxsplit=1)
        found.setdefault(name.strip(), rest[0].strip() if rest else "")
    return found


def cpuinfo(root: Path = ROOT) -> dict[str, str]:
    """Return the fields of the first core in /proc/cpuinfo, or nothing where there is no such file.

    No more is read than that: the kernel may look at the clock of every core that it lists, which can take long.
    """
    try:
        with (root / "proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            first = file.read(_ENOUGH).split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def listed(ranges: str) -> tuple[int, ...]:
    """Return the numbers of a kernel list such as '0-2,8'; () if it is not one."""
    found: list[int] = []
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        low, high = _number(first), _number(last or first)
        if low is None or high is None:
            return ()
        found += range(low, high + 1)
    return tuple(found)


def _number(word: str) -> int | None:
    word = word.strip()
    return int(word) if word.removeprefix("-").isdecimal() else None
