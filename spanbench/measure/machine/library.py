"""What computes: torch with its matrix libraries, and the device that it runs on."""

from __future__ import annotations

import re
import sys
from typing import Any

from spanbench.measure.host.memory import available_bytes, total_bytes

__all__ = ["device_of", "torch_build"]

# Lines of torch.__config__.show(), such as 'Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build …'.
_BUILD = {
    "blas": r"BLAS_INFO=(\w+)",
    "mkl": r"Math Kernel Library Version (\S+?)-",
    "onednn": r"(?:MKL-DNN|oneDNN) v(\S+)",
    "openmp": r"OpenMP (\d+)",
}


def torch_build() -> dict[str, Any] | None:
    """Return torch's threads and matrix libraries, if the process has loaded torch: it is not loaded for this."""
    if "torch" not in sys.modules:
        return None
    import torch

    shown = torch.__config__.show()
    built = {name: re.search(pattern, shown) for name, pattern in _BUILD.items()}
    return {
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        **{name: found[1] if found else None for name, found in built.items()},
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "float32_matmul": torch.get_float32_matmul_precision(),
        "cuda": torch.version.cuda,
    }


def device_of(device: str) -> dict[str, Any]:
    """Return what runs the work; a GPU with its name, compute capability and memory."""
    if device.partition(":")[0] != "cuda":
        return {"name": device}
    import torch

    properties = torch.cuda.get_device_properties(device)
    return {
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "processors": properties.multi_processor_count,
        "total_bytes": total_bytes(device),
        "available_bytes": available_bytes(device),
    }
