"""The boards that a meter reads: their counters and their sensors of power, with NVML's errors as a meter's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import fsum

from spanbench.measure.caution import Caution
from spanbench.measure.energy.power import Sensor
from spanbench.measure.energy.protocol import MeterError, Probe
from spanbench.measure.nvml.device import Device, PowerKind
from spanbench.measure.nvml.errors import NvmlError
from spanbench.measure.nvml.library import Library, opened

__all__ = ["NOMINAL_PERIOD_S", "Boards", "Missing", "joules_of", "open_boards", "peak_watts", "probed"]

NOMINAL_PERIOD_S = 0.1
"""How often most boards renew their figures (arXiv 2312.02741: 100 ms, on a V100 20 ms)."""

_POWER_MEND = "--meter nvml-power integrates the power of a GPU without the counter"

_OVERSHOOT = 1.25
"""Times the power limit, a board's peak: the limit is held on average, and sensors read up to 18% high (arXiv 2312.02741)."""

# How far back a figure looks, in seconds: nvml.h gives a mean over one second for field 185, and for nvmlDeviceGetPowerUsage
# since Ampere; a reading of one moment is at most a mean over its period.
_MEMORY_S: dict[PowerKind, float] = {"instant": NOMINAL_PERIOD_S, "average": 1.0, "usage": 1.0}

_KIND_TEXT: dict[PowerKind, str] = {
    "instant": "power field 186, of one moment",
    "average": "power field 185, a mean over one second",
    "usage": "nvmlDeviceGetPowerUsage, a mean over up to one second",
}


class Missing(MeterError):
    """The meter cannot be used here; `mend` says what would help."""

    def __init__(self, reason: str, mend: str | None = None) -> None:
        super().__init__(reason)
        self.mend = mend


class Boards:
    """The boards of the work, each once: two MIG slices of one board share its sensors."""

    def __init__(self, library: Library, devices: Sequence[Device]) -> None:
        self.devices = tuple({device.uuid: device for device in devices}.values())
        self._library = library

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the names of the pieces of hardware, one a board."""
        return tuple(f"gpu:{device.uuid}" for device in self.devices)

    @property
    def text(self) -> str:
        """Return driver and boards, for the record."""
        names = ", ".join(f"{device.name} {device.uuid}" for device in self.devices)
        parts = (f"driver {self._library.driver or 'unknown'}", names, self._library.assumption)
        return "; ".join(part for part in parts if part)

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """Return what holds for every window: a MIG slice has no sensor of its own."""
        shared = [device.uuid for device in self.devices if device.is_mig]
        text = f"{', '.join(shared)}: the work runs on a MIG slice, and the joules are the whole board's, its other slices included"
        return (Caution("mig-board", text),) if shared else ()

    def require_counter(self) -> None:
        """Raise unless every board gives its energy counter: support is found by asking, whatever the architecture.

        Raises:
            Missing: a board does not.
        """
        lacking = [device.uuid for device in self.devices if joules_of(device) is None]
        if lacking:
            raise Missing(f"{', '.join(lacking)}: this GPU or driver has no energy counter", _POWER_MEND)

    def sensor(self) -> Sensor:
        """Return all boards' power as one sensor.

        Raises:
            Missing: a board does not give its power.
        """
        for device in self.devices:
            _watts_of(device)
        kinds = {device.power_kind for device in self.devices if device.power_kind is not None}
        memory = max(_MEMORY_S[kind] for kind in kinds)
        peaks = [peak_watts(device) for device in self.devices]
        known = [peak for peak in peaks if peak is not None]
        total = fsum(known) if len(known) == len(peaks) else None
        return Sensor(lambda: fsum(_watts_of(device) for device in self.devices), NOMINAL_PERIOD_S, memory, total)

    @property
    def power_text(self) -> str:
        """Return where the power comes from, once it was read."""
        return " and ".join(sorted({_KIND_TEXT[device.power_kind] for device in self.devices if device.power_kind is not None}))


def peak_watts(device: Device) -> float | None:
    """Return the most that the board can draw in a period, or None where it does not give its power limit."""
    limit = _or_missing(device.power_limit_watts)
    return _OVERSHOOT * limit if limit else None


def joules_of(device: Device) -> float | None:
    """Return the board's energy counter, None where it has none.

    Raises:
        Missing: the board does not answer.
    """
    return _or_missing(device.energy_joules)


def _watts_of(device: Device) -> float:
    watts = _or_missing(device.power_watts)
    if watts is None:
        raise Missing(f"{device.uuid}: this GPU or driver gives no power reading")
    if watts <= 0:
        raise Missing(f"{device.uuid} reads {watts:g} W, which no running GPU draws")
    return watts


def _or_missing(read: Callable[[], float | None]) -> float | None:
    try:
        return read()
    except NvmlError as error:
        raise Missing(str(error), error.mend) from error


@contextmanager
def open_boards(device: str | None) -> Iterator[Boards]:
    """Open NVML and the boards of `device` ('cuda', 'cuda:1'), or of every GPU that CUDA may see.

    Raises:
        Missing: NVML or the GPU cannot be used.
    """
    try:
        with opened() as library:
            yield Boards(library, library.devices(device))
    except NvmlError as error:
        raise Missing(str(error), error.mend) from error


def probed(device: str | None, check: Callable[[Boards], object], period_s: float) -> Probe:
    """Return a probe of the boards that `check` finds fit."""
    try:
        with open_boards(device) as boards:
            check(boards)
            return Probe(available=True, period_s=period_s, scope="gpu-board", parts=boards.parts)
    except Missing as error:
        return Probe(available=False, reason=str(error), mend=error.mend)
