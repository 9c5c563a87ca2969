"""NVML opened and closed, and the GPUs that the work would run on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from spanbench.measure.nvml.device import Device
from spanbench.measure.nvml.errors import NvmlError, is_unsupported, translated
from spanbench.measure.nvml.visible import Card, choose

__all__ = ["Library", "NvmlError", "opened"]

_T = TypeVar("_T")


@contextmanager
def opened() -> Iterator[Library]:
    """Open NVML, and close it again. Opening twice is allowed: NVML counts.

    Raises:
        NvmlError: the bindings, the driver's library or the driver are missing, too old or out of reach.
    """
    try:
        import pynvml
    except ImportError as error:
        raise NvmlError(f"the Python bindings of NVML cannot be imported ({error})", "pip install nvidia-ml-py") from error
    with translated(pynvml, "NVML cannot be opened"):
        pynvml.nvmlInit()
    try:
        yield Library(pynvml)
    finally:
        with suppress(pynvml.NVMLError):  # a driver that is gone needs no closing
            pynvml.nvmlShutdown()


class Library:
    """NVML while it is open."""

    def __init__(self, bindings: Any) -> None:
        self._nvml = bindings
        self.driver: str | None = self._text(bindings.nvmlSystemGetDriverVersion)
        self.nvml: str | None = self._text(bindings.nvmlSystemGetNVMLVersion)
        cuda = self._text(bindings.nvmlSystemGetCudaDriverVersion_v2)
        self.cuda: str | None = f"{int(cuda) // 1000}.{int(cuda) % 1000 // 10}" if cuda else None
        """The newest CUDA that the driver supports."""
        self.assumption: str | None = None
        """What `devices` had to assume about the order of unlike GPUs, or None."""

    def devices(self, wanted: str | None = None) -> tuple[Device, ...]:
        """Return the GPUs that CUDA would use, or the one that `wanted` ('cuda', 'cuda:1') names.

        Raises:
            NvmlError: there is no such GPU, or one does not answer.
        """
        handles = self._handles()
        cards = [self._card(index, handle) for index, handle in enumerate(handles)]
        live = _live_uuids()
        setting = os.environ.get("CUDA_VISIBLE_DEVICES")
        chosen = choose(cards, setting, wanted, live)
        self.assumption = None if live else _assumption(cards, setting)
        return tuple(Device(self._nvml, handles[choice.card.index], choice) for choice in chosen)

    def _handles(self) -> list[Any]:
        with translated(self._nvml, "the GPUs cannot be listed"):
            count = self._nvml.nvmlDeviceGetCount()
        handles = []
        for index in range(count):
            with translated(self._nvml, f"GPU {index} does not answer"):
                handles.append(self._nvml.nvmlDeviceGetHandleByIndex(index))
        return handles

    def _card(self, index: int, handle: Any) -> Card:
        with translated(self._nvml, f"GPU {index} does not answer"):
            uuid, name = self._nvml.nvmlDeviceGetUUID(handle), self._nvml.nvmlDeviceGetName(handle)
        return Card(index, uuid, name, self._instances(handle))

    def _instances(self, handle: Any) -> tuple[str, ...]:
        """Return the UUIDs of the board's MIG slices; none where it has none or cannot have any."""
        mode = self._or_none(lambda: self._nvml.nvmlDeviceGetMigMode(handle))
        if mode is None or mode[0] != self._nvml.NVML_DEVICE_MIG_ENABLE:
            return ()
        most = self._or_none(lambda: self._nvml.nvmlDeviceGetMaxMigDeviceCount(handle)) or 0
        uuids = (self._or_none(partial(self._instance, handle, place)) for place in range(most))
        return tuple(uuid for uuid in uuids if uuid is not None)

    def _instance(self, handle: Any, place: int) -> str:
        return str(self._nvml.nvmlDeviceGetUUID(self._nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)))

    def _text(self, call: Callable[[], Any]) -> str | None:
        value = self._or_none(call)
        return None if value is None else str(value)

    def _or_none(self, call: Callable[[], _T]) -> _T | None:
        """Return what `call` gives; None where the driver lacks it."""
        try:
            return call()
        except self._nvml.NVMLError as error:
            if is_unsupported(error):
                return None
            with translated(self._nvml, "NVML does not answer"):
                raise


def _live_uuids() -> list[str] | None:
    """Return the UUIDs of torch's GPUs, in its order, if it runs CUDA already: CUDA is not started for this."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return [str(torch.cuda.get_device_properties(index).uuid) for index in range(torch.cuda.device_count())]


def _assumption(cards: list[Card], setting: str | None) -> str | None:
    """Return what is taken for granted where GPUs are unlike and CUDA, not asked yet, may put the fastest first."""
    by_uuid = setting is not None and setting.startswith(("GPU-", "MIG-"))
    if by_uuid or len({card.name for card in cards}) < 2 or os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID":
        return None
    return "the GPUs are unlike and taken in the order of their bus: set CUDA_DEVICE_ORDER=PCI_BUS_ID, or name them by UUID"
