"""Everything that NVML may refuse with, as one line for the user and one line that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["NvmlError", "is_unsupported", "translated"]

_OLD_DRIVER = "update the NVIDIA driver"
_RESET = "look for Xid in the kernel's log, then reset the GPU or reboot"
_GENERIC = "run nvidia-smi: where it fails too, the driver needs mending"

# By the numbers of nvmlReturn_t (nvml.h), which are part of NVML's ABI: the bindings name only some of them.
_KNOWN: Mapping[int, tuple[str, str]] = {
    3: ("it is not supported by this GPU or driver", _OLD_DRIVER),
    4: (
        "this user has no permission to use the NVIDIA driver",
        "make /dev/nvidiactl and /dev/nvidia0 … readable and writable for this user",
    ),
    9: ("the NVIDIA driver is not loaded", "load it (sudo modprobe nvidia), or reboot if it was just installed"),
    10: ("the NVIDIA driver did not answer in time", _RESET),
    12: (
        "the NVIDIA driver's library libnvidia-ml.so.1 was not found",
        "install the NVIDIA driver; a container needs the NVIDIA container toolkit (--gpus all)",
    ),
    13: ("the NVIDIA driver's library is too old: a function is missing", _OLD_DRIVER),
    15: ("the GPU is lost: it no longer answers on its bus", _RESET),
    16: ("the GPU needs a reset", _RESET),
    17: ("the operating system blocks access to the GPU", "a container needs the NVIDIA container toolkit and its control groups"),
    18: ("the NVIDIA driver's library and its kernel module are of different versions", "reboot, or reload the module nvidia"),
    25: ("the NVIDIA driver's library is too old: it does not know this call's version", _OLD_DRIVER),
    28: ("the GPU was not found", "see which GPUs there are: nvidia-smi -L"),
}

_UNSUPPORTED = frozenset({2, 3, 6, 13, 21, 25, 26})
"""Invalid argument (an unknown field or clock), not supported, not found, no such function, no data, wrong version, deprecated."""


class NvmlError(Exception):
    """NVML, or one of its GPUs, cannot be used; the message is one line, and `mend` says what would help."""

    def __init__(self, reason: str, mend: str | None = None) -> None:
        super().__init__(reason)
        self.mend = mend


def is_unsupported(error: Any) -> bool:
    """Return whether an error of the bindings means that this GPU or driver lacks what was asked for."""
    return getattr(error, "value", None) in _UNSUPPORTED


@contextmanager
def translated(bindings: Any, what: str) -> Iterator[None]:
    """Turn the bindings' errors into NvmlError; `what` is the thing asked for.

    Raises:
        NvmlError: the call failed.
    """
    try:
        yield
    except bindings.NVMLError as error:
        code = int(error.value)
        reason, mend = _KNOWN.get(code, (f"NVML answered {str(error).strip().rstrip('.')!r} (code {code})", _GENERIC))
        raise NvmlError(f"{what}: {reason}", mend) from error
