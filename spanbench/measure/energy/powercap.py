"""Which of Linux's powercap zones hold joules of their own: CPU packages and their memory, each counted once.

Names and scopes are those of the kernel's drivers/powercap/intel_rapl_common.c (AMD's zones carry Intel's names too):
`package-N` is a package; `psys`, the platform's supply, counts the packages again; `core` and `uncore` are parts of a
package; `dram` beneath a package is outside it. The control type `intel-rapl-mmio` shows the same packages once more.

`package-N-die-M` is a die with a counter of its own on Intel's multi-die parts. On AMD and Hygon the counter belongs to
the package, and kernels without commit 26096aed255f show it once for each die.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spanbench.measure.energy.protocol import MeterError
from spanbench.measure.host.kernel import cpuinfo

__all__ = ["CLASS", "Found", "Refused", "Zone", "find_zones", "microjoules"]

CLASS = Path("sys/class/powercap")

_TOP = re.compile(r"intel-rapl:[0-9a-f]+")  # the kernel numbers zones in hexadecimal
_PACKAGE = re.compile(r"package-(\d+)(?:-die-(\d+))?")
_PACKAGE_WIDE = frozenset({"AuthenticAMD", "HygonGenuine"})

_PACKAGE_MOST_W, _DRAM_MOST_W = 1000.0, 300.0
"""More than any package or the memory of one draws: where a zone states no limit, and above which a limit is a placeholder."""
_ABOVE_LIMIT = 2.0  # limits hold for a mean over milliseconds to minutes
_SHORTEST_RANGE_S = 2.0  # a counter that wraps within this cannot be followed
_MIRROR_UJ = 1_000_000  # two dies of one package whose counters lie this close, of some 10^11, show one counter


@dataclass(frozen=True, slots=True)
class Zone:
    """A counter that is to be counted."""

    name: str
    """'package-0', 'package-0 dram'."""
    part: str
    """'cpu-package:0', 'cpu-dram:0'."""
    path: Path
    modulus_uj: int
    """One more than the counter's highest value, in microjoules: what it loses when it wraps."""
    peak_watts: float

    @property
    def range_s(self) -> float:
        """Return the shortest time in which the counter can wrap, in seconds."""
        return self.modulus_uj * 1e-6 / self.peak_watts


@dataclass(frozen=True, slots=True)
class Refused:
    """A zone that should be counted and cannot be."""

    name: str
    reason: str
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What is counted, and what is missing from it. Zones that count others' joules again appear in neither."""

    zones: tuple[Zone, ...]
    refused: tuple[Refused, ...]


def find_zones(root: Path) -> Found:
    """Return the zones beneath `root` that together hold each joule of the packages and their memory once."""
    zones: list[Zone] = []
    refused = [Refused(folder.name, f"{folder / 'name'} cannot be read, so what it counts is unknown") for folder in _nameless(root)]
    for folder, name in _packages(root):
        for path, zone_name in [(folder, name), *_memory(folder, name)]:
            try:
                zones.append(_zone(path, zone_name))
            except PermissionError:
                refused.append(Refused(zone_name, f"only root may read {path / 'energy_uj'}", denied=True))
            except MeterError as error:
                refused.append(Refused(zone_name, str(error)))
    return Found(_without_mirrors(zones), tuple(refused))


def microjoules(path: Path) -> int:
    """Return the whole number, 0 or more, that a file of a zone holds.

    Raises:
        PermissionError: it may not be read.
        MeterError: it cannot be read for another reason, or holds anything else.
    """
    try:
        text = path.read_bytes().strip()
    except PermissionError:
        raise
    except OSError as error:
        raise MeterError(f"{path} cannot be read ({error.strerror})") from error
    if not text.isdigit():
        raise MeterError(f"{path} holds {text[:40].decode(errors='replace')!r} where a number belongs")
    return int(text)


def _packages(root: Path) -> list[tuple[Path, str]]:
    """Return folder and name of each package's zone, or of each of its dies'; a name that comes twice is a mirror."""
    folders = sorted(_children(root / CLASS, _TOP), key=lambda folder: int(folder.name.partition(":")[2], 16))
    named: dict[str, Path] = {}
    for folder in folders:
        name = _name(folder)
        if _PACKAGE.fullmatch(name):
            named.setdefault(name, folder)
    package_wide = cpuinfo(root).get("vendor_id") in _PACKAGE_WIDE
    kept = [name for package in dict.fromkeys(map(_package, named)) for name in _of(package, named, package_wide=package_wide)]
    return [(named[name], name) for name in kept]


def _nameless(root: Path) -> list[Path]:
    """Return the zones that do not say what they are."""
    return [folder for folder in sorted(_children(root / CLASS, _TOP)) if folder.is_dir() and not _name(folder)]


def _of(package: str, names: Iterable[str], *, package_wide: bool) -> list[str]:
    """Return the one zone that holds all of a package, or else those of its dies."""
    own = [name for name in names if _package(name) == package]
    return [package] if package in own else own[:1] if package_wide else own


def _package(name: str) -> str:
    return name.partition("-die-")[0]


def _memory(package: Path, name: str) -> list[tuple[Path, str]]:
    """Return the package's memory zone, if it has one."""
    children = _children(package.parent, re.compile(re.escape(package.name) + r":[0-9a-f]+"))
    found = [child for child in sorted(children) if _name(child) == "dram"]
    return [(child, f"{name} dram") for child in found[:1]]


def _children(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    try:
        return [child for child in folder.iterdir() if pattern.fullmatch(child.name)]
    except OSError:
        return []


def _name(folder: Path) -> str:
    try:
        return (folder / "name").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _zone(path: Path, name: str) -> Zone:
    """Return a zone that can be read.

    Raises:
        PermissionError: its counter may not be read.
        MeterError: a file of it cannot be read or is senseless.
    """
    highest = microjoules(path / "max_energy_range_uj")
    memory = name.endswith(" dram")
    # The kernel scales a register of 32 bits: its highest value is one step short of where it wraps.
    zone = Zone(name, _part(name), path, highest + max(1, round(highest / (2**32 - 1))), _peak_watts(path, memory=memory))
    if zone.range_s < _SHORTEST_RANGE_S:
        raise MeterError(f"{path / 'max_energy_range_uj'} holds {highest}: the counter would wrap too often to be followed")
    if microjoules(path / "energy_uj") > highest:
        raise MeterError(f"{path / 'energy_uj'} holds more than the counter's range, {highest}")
    return zone


def _part(name: str) -> str:
    place = name.removeprefix("package-").removesuffix(" dram")
    return f"cpu-dram:{place}" if name.endswith(" dram") else f"cpu-package:{place}"


def _peak_watts(path: Path, *, memory: bool) -> float:
    """Return the most that a zone is taken to draw: twice its highest limit, or a figure above all hardware."""
    most = _DRAM_MOST_W if memory else _PACKAGE_MOST_W
    limits = []
    for file in _children(path, re.compile(r"constraint_\d+_(max_power|power_limit)_uw")):
        try:
            limits.append(microjoules(file) * 1e-6)
        except (MeterError, PermissionError):  # an unknown limit only makes the bound wider
            continue
    return min(_ABOVE_LIMIT * max((limit for limit in limits if 1 <= limit <= most), default=most), most)


def _without_mirrors(zones: Iterable[Zone]) -> tuple[Zone, ...]:
    """Return the zones less those dies, with their memory, that show an earlier die's counter again."""
    kept: list[Zone] = []
    mirrors: set[str] = set()
    for zone in zones:
        die = zone.name.removesuffix(" dram")
        if zone.name != die and die in mirrors:
            continue
        if any(_package(other.name) == _package(die) and _mirrors(other, zone) for other in kept if " " not in other.name):
            mirrors.add(die)
        else:
            kept.append(zone)
    return tuple(kept)


def _mirrors(first: Zone, other: Zone) -> bool:
    """Return whether two zones of one package show one counter: the other's value lies between two of the first's."""
    if " " in other.name or first.modulus_uj != other.modulus_uj:
        return False
    before, between, after = (microjoules(zone.path / "energy_uj") for zone in (first, other, first))
    grown = (after - before) % first.modulus_uj
    return before > 0 and (between - before + _MIRROR_UJ) % first.modulus_uj <= grown + 2 * _MIRROR_UJ
