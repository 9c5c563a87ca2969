"""One GPU: what NVML can say of it, in base units, None where this GPU or driver does not say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeVar

from spanbench.measure.nvml.errors import NvmlError, is_unsupported, translated
from spanbench.measure.nvml.visible import Choice

__all__ = ["Device", "PowerKind"]

PowerKind = Literal["instant", "average", "usage"]
"""Field 186, a reading of one moment; field 185, a mean over the past second; nvmlDeviceGetPowerUsage, the one or the
other by GPU: a mean over a second since Ampere (but GA100), a moment before."""

_T = TypeVar("_T")

_MOST_WATTS = 100_000.0
"""No board draws this: what reads more is a marker for 'not available' or a negative number seen as unsigned."""

_MOST_JOULES = 1e15
"""A 1 kW board would need 30,000 years."""

# nvml.h, nvmlClocksEventReasons: bits that say why the clocks are not as high as they could be.
_REASONS: Mapping[int, str] = {
    0x001: "idle",
    0x002: "application-clocks",
    0x004: "power-cap",
    0x008: "hardware-slowdown",
    0x010: "sync-boost",
    0x020: "thermal",
    0x040: "hardware-thermal",
    0x080: "power-brake",
    0x100: "display-clocks",
    0x200: "board-limit",
    0x400: "reliability",
}


class Device:
    """A GPU of an open library. MIG slices have no sensors of their own: for them every figure is the whole board's.

    Every method raises NvmlError where the GPU is lost or the driver refuses, and returns None where this GPU or
    driver does not know.
    """

    def __init__(self, bindings: Any, handle: Any, choice: Choice) -> None:
        self._nvml, self._handle = bindings, handle
        self.uuid, self.name, self.index = choice.card.uuid, choice.card.name, choice.card.index
        self.instance = choice.instance
        """The UUID of the MIG slice that CUDA would use, or None."""
        self.power_kind: PowerKind | None = None
        """Where the last `power_watts` came from."""

    @property
    def is_mig(self) -> bool:
        """Return whether CUDA sees a MIG slice, whose board others may be using too."""
        return self.instance is not None

    def energy_joules(self) -> float | None:
        """Return the board's energy counter: joules since the driver was loaded."""
        millijoules = self._ask("energy counter", lambda: self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        if millijoules is not None and millijoules / 1e3 > _MOST_JOULES:
            raise NvmlError(f"the energy counter of {self.uuid} reads {millijoules / 1e3:.3g} J, which is impossible")
        return None if millijoules is None else millijoules / 1e3

    def power_watts(self) -> float | None:
        """Return the board's power from the best source there is; `power_kind` then says which.

        The source is settled by the first call that answers.
        """
        kinds: tuple[PowerKind, ...] = ("instant", "average", "usage") if self.power_kind is None else (self.power_kind,)
        for kind in kinds:
            watts = self._power(kind)
            if watts is not None:
                self.power_kind = kind
                return watts
        return None

    def power_limit_watts(self) -> float | None:
        """Return the power limit in force."""
        return _watts(self._ask("power limit", lambda: self._nvml.nvmlDeviceGetEnforcedPowerLimit(self._handle)))

    def clocks_hertz(self) -> dict[str, float | None]:
        """Return the present clocks of the multiprocessors and of the memory."""
        return self._clocks(self._nvml.nvmlDeviceGetClockInfo)

    def max_clocks_hertz(self) -> dict[str, float | None]:
        """Return the highest clocks that the board may reach."""
        return self._clocks(self._nvml.nvmlDeviceGetMaxClockInfo)

    def temperature_celsius(self) -> float | None:
        """Return the die's temperature."""
        sensor = self._nvml.NVML_TEMPERATURE_GPU
        value = self._ask("temperature", lambda: self._nvml.nvmlDeviceGetTemperatureV(self._handle, sensor))
        if value is None:  # drivers before 560 know only the older call
            value = self._ask("temperature", lambda: self._nvml.nvmlDeviceGetTemperature(self._handle, sensor))
        return None if value is None else float(value)

    def throttle_reasons(self) -> tuple[str, ...] | None:
        """Return why the clocks are not higher: 'idle', 'power-cap', 'thermal' and so on; () where nothing holds them."""
        bits = self._ask("throttle reasons", lambda: self._nvml.nvmlDeviceGetCurrentClocksEventReasons(self._handle))
        if bits is None:  # drivers before 535 know only the older name
            bits = self._ask("throttle reasons", lambda: self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle))
        return None if bits is None else tuple(name for bit, name in _REASONS.items() if bits & bit)

    def processes(self) -> tuple[int, ...] | None:
        """Return the ids of the processes that compute on this GPU, as the driver numbers them (outside any container)."""
        # The call without a version raises an error of another family where the driver is older than the bindings.
        found = self._ask("processes", lambda: self._nvml.nvmlDeviceGetComputeRunningProcesses_v3(self._handle))
        if found is None:
            found = self._ask("processes", lambda: self._nvml.nvmlDeviceGetComputeRunningProcesses_v2(self._handle))
        return None if found is None else tuple(int(process.pid) for process in found)

    def utilization(self) -> float | None:
        """Return the share of the past sample period in which a kernel ran, from 0 to 1."""
        rates = self._ask("utilization", lambda: self._nvml.nvmlDeviceGetUtilizationRates(self._handle))
        return None if rates is None else rates.gpu / 100

    def persistence_mode(self) -> bool | None:
        """Return whether the driver stays loaded while nothing uses the GPU."""
        mode = self._ask("persistence mode", lambda: self._nvml.nvmlDeviceGetPersistenceMode(self._handle))
        return None if mode is None else bool(mode)

    def compute_mode(self) -> str | None:
        """Return who may compute on this GPU: 'default', 'exclusive-thread', 'prohibited' or 'exclusive-process'."""
        mode = self._ask("compute mode", lambda: self._nvml.nvmlDeviceGetComputeMode(self._handle))
        names = ("default", "exclusive-thread", "prohibited", "exclusive-process")
        return names[mode] if mode is not None and 0 <= mode < len(names) else None

    def _power(self, kind: PowerKind) -> float | None:
        if kind == "usage":
            return _watts(self._ask("power", lambda: self._nvml.nvmlDeviceGetPowerUsage(self._handle)))
        field = self._nvml.NVML_FI_DEV_POWER_INSTANT if kind == "instant" else self._nvml.NVML_FI_DEV_POWER_AVERAGE
        values = self._ask("power", lambda: self._nvml.nvmlDeviceGetFieldValues(self._handle, [field]))
        return None if values is None else self._field(values[0])

    def _field(self, value: Any) -> float | None:
        """Return the watts of one field, which has a return code of its own."""
        if value.nvmlReturn == self._nvml.NVML_SUCCESS:
            return _watts(value.value.uiVal)
        return self._ask("power", lambda: _refuse(self._nvml, value.nvmlReturn))

    def _clocks(self, call: Callable[[Any, int], int]) -> dict[str, float | None]:
        kinds = {"sm": self._nvml.NVML_CLOCK_SM, "memory": self._nvml.NVML_CLOCK_MEM}
        megahertz = {name: self._ask(f"{name} clock", partial(call, self._handle, kind)) for name, kind in kinds.items()}
        return {name: None if value is None else value * 1e6 for name, value in megahertz.items()}

    def _ask(self, what: str, call: Callable[[], _T]) -> _T | None:
        with translated(self._nvml, f"{what} of {self.uuid}"):
            try:
                return call()
            except self._nvml.NVMLError as error:
                if is_unsupported(error):
                    return None
                raise


def _refuse(bindings: Any, code: int) -> float:
    raise bindings.NVMLError(code)


def _watts(milliwatts: int | None) -> float | None:
    """Return watts, or None for a figure that no board can draw."""
    return None if milliwatts is None or milliwatts / 1e3 > _MOST_WATTS else milliwatts / 1e3
