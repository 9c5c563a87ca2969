"""A powercap tree in a folder, as the kernel lays it out, whose counters follow a known energy in driven time."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.measure.energy.sensor import seeded

UNIT_J = 2.0**-14  # Intel's step; the kernel counts it as 61,035 nJ
SERVER_RANGE_UJ = 262_143_328_850  # what such machines show


@dataclass
class FakeZone:
    """A register of 32 bits that is latched about every millisecond; the kernel shows it in microjoules."""

    id: str
    name: str
    share: float = 1.0
    """Its part of the tree's watts."""
    control: str = "intel-rapl"
    joules: float = 5000.0
    mirror: FakeZone | None = None
    """The zone whose counter this one shows again, a few microseconds later."""
    limits_w: tuple[float, ...] = (250.0, 400.0)
    period_s: float = 0.001
    stuck: bool = False
    truth: float = 0.0
    """Joules since the tree was made."""

    @property
    def shown_uj(self) -> int:
        if self.mirror is not None:
            return (self.mirror.shown_uj + 61) % (SERVER_RANGE_UJ + 61)
        return int(self.joules / UNIT_J) % 2**32 * 61035 // 1000


@dataclass
class Tree:
    """The files and the time. `spend` draws power; `sleep` draws the power of rest."""

    root: Path
    zones: list[FakeZone]
    vendor: str = "GenuineIntel"
    flags: str = "fpu sse"
    rest_watts: float = 40.0
    seconds: float = 50.0
    chance: random.Random = field(default_factory=lambda: seeded(3))

    def __post_init__(self) -> None:
        (self.root / "sys/class/powercap").mkdir(parents=True)
        (self.root / "proc").mkdir()
        cpu = f"processor\t: 0\nvendor_id\t: {self.vendor}\nflags\t\t: {self.flags}\n\nprocessor\t: 1\nvendor_id\t: other\n"
        (self.root / "proc/cpuinfo").write_text(cpu, encoding="utf-8")
        self._next = {id(zone): self.seconds + self.chance.random() * zone.period_s for zone in self.zones}
        self.folders = {f"{zone.control}:{zone.id}": self._make(zone) for zone in self.zones}

    def _make(self, zone: FakeZone) -> Path:
        real = self.root / f"sys/devices/virtual/powercap/{zone.control}/{zone.control}:{zone.id}"
        real.mkdir(parents=True)
        files = {"name": zone.name, "max_energy_range_uj": SERVER_RANGE_UJ, "energy_uj": zone.shown_uj, "enabled": 1}
        for index, limit in enumerate(zone.limits_w):
            files |= {f"constraint_{index}_name": "long_term", f"constraint_{index}_max_power_uw": int(limit * 1e6)}
        for name, content in files.items():
            (real / name).write_text(f"{content}\n", encoding="ascii")
        (self.root / "sys/class/powercap" / real.name).symlink_to(os.path.relpath(real, self.root / "sys/class/powercap"))
        return real

    def file(self, zone: str, name: str = "energy_uj") -> Path:
        """Return a file of a zone, such as 'intel-rapl:0:0'."""
        return self.folders[zone] / name

    def remove(self, zone: str) -> None:
        """Take a zone out while the tree is in use."""
        (self.root / "sys/class/powercap" / zone).unlink()
        shutil.rmtree(self.folders[zone])

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.spend(seconds + 5e-5, self.rest_watts)

    def spend(self, seconds: float, watts: float) -> None:
        end = self.seconds + seconds
        for zone in self.zones:
            self._advance(zone, end, watts * zone.share)
        self.seconds = end

    def _advance(self, zone: FakeZone, end: float, watts: float) -> None:
        at, latched = self.seconds, None
        # Of many ticks only the last is ever seen.
        self._next[id(zone)] += max(0, int((end - self._next[id(zone)]) / zone.period_s) - 3) * zone.period_s
        while self._next[id(zone)] <= end:
            zone.joules += watts * (self._next[id(zone)] - at)
            at, latched = self._next[id(zone)], zone.shown_uj
            self._next[id(zone)] += zone.period_s * self.chance.uniform(0.9, 1)
        zone.joules += watts * (end - at)
        zone.truth += watts * (end - self.seconds)
        file = self.file(f"{zone.control}:{zone.id}")
        if latched is not None and not zone.stuck and file.exists():
            # Rewritten in place and to the same length or cut: a reader sees whole numbers, as from the kernel.
            file.write_text(f"{latched}\n", encoding="ascii")


def server() -> list[FakeZone]:
    """Return two packages with memory, and everything that counts their joules again or a part of them."""
    packages = [FakeZone("0", "package-0", 0.5), FakeZone("1", "package-1", 0.3)]
    memory = [FakeZone("0:1", "dram", 0.15, limits_w=(45.0,)), FakeZone("1:0", "dram", 0.05, limits_w=(45.0,))]
    again = [
        FakeZone("2", "psys", 1.4),
        FakeZone("0:0", "core", 0.4),
        FakeZone("0:2", "uncore", 0.05),
        FakeZone("0", "package-0", control="intel-rapl-mmio", mirror=packages[0]),
        FakeZone("0:0", "dram", control="intel-rapl-mmio", mirror=memory[0]),
    ]
    return packages + memory + again


@contextmanager
def without_rights() -> Iterator[None]:
    """Be a user to whom a file of mode 0 is closed; nothing is needed unless the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    try:
        os.seteuid(65534)
    except OSError as error:
        pytest.skip(f"cannot become another user: {error}")
    try:
        yield
    finally:
        os.seteuid(0)
