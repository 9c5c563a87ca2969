"""A made-up machine of two cores on which nothing is wrong; a test changes what it is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from spanbench.measure.caution import Caution
from spanbench.measure.conditions import Watch
from tests.measure.driven import World
from tests.measure.host.test_memory import tree

CORES = "sys/devices/system/cpu"

QUIET: dict[str, object] = {
    "proc/vmstat": "nr_free_pages 7\npswpin 100\npswpout 200",
    f"{CORES}/online": "0-1",
    f"{CORES}/cpufreq/policy0/scaling_governor": "performance",
    f"{CORES}/cpu0/cpufreq/scaling_cur_freq": 2_000_000,
    f"{CORES}/cpu1/cpufreq/scaling_cur_freq": 4_000_000,
    f"{CORES}/cpu0/cpufreq/cpuinfo_max_freq": 4_000_000,
    f"{CORES}/cpu1/cpufreq/cpuinfo_max_freq": 4_000_000,
    f"{CORES}/cpu0/thermal_throttle/core_throttle_count": 3,
    f"{CORES}/cpu0/thermal_throttle/package_throttle_count": 5,
    f"{CORES}/cpu1/thermal_throttle/core_throttle_count": 0,
    f"{CORES}/cpu1/thermal_throttle/package_throttle_count": 5,
    "sys/class/power_supply/AC/type": "Mains",
    "sys/class/power_supply/AC/online": 1,
    "sys/class/power_supply/BAT0/type": "Battery",
    "sys/class/power_supply/BAT0/status": "Full",
}


def stat(user: int = 0, system: int = 0, idle: int = 0, stolen: int = 0) -> str:
    """Return /proc/stat in ticks of 10 ms."""
    return f"cpu  {user} 0 {system} {idle} 0 0 0 {stolen} 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0"


def own(user: int = 0, ended_children: int = 0, core: int = 1, name: str = "a (sp) an") -> str:
    """Return a process's stat: ticks in fields 14 and 16, the core in field 39."""
    fields = ["S", *["0"] * 10, str(user), "0", str(ended_children), "0", *["0"] * 21, str(core), "0"]
    return f"77 ({name}) {' '.join(fields)}"


@dataclass
class Machine:
    """The tree and the clock that a watch is given."""

    root: Path
    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        self.set(QUIET | {"proc/stat": stat(), "proc/self/stat": own()})

    def set(self, files: dict[str, object]) -> None:
        """Write files; None deletes one."""
        tree(self.root, {name: content for name, content in files.items() if content is not None})
        for name in (name for name, content in files.items() if content is None):
            (self.root / name).unlink()

    def run(self, during: dict[str, object], seconds: float = 10.0) -> tuple[Caution, ...]:
        """Return the cautions of a run in which `during` comes to be."""
        watch = Watch(root=self.root, clock=self.world)
        watch.start()
        self.world.seconds += seconds
        self.set(during)
        return watch.stop()

    def codes(self, during: dict[str, object], seconds: float = 10.0) -> list[str]:
        return [caution.code for caution in self.run(during, seconds)]
