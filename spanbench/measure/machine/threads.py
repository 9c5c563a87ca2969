"""How many threads compute, how many cores they may have, and which variables were set to say so."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spanbench.measure.host.groups import Group, enclosing
from spanbench.measure.host.kernel import ROOT, text, whole
from spanbench.measure.machine.cpu import usable_cores

__all__ = ["COUNTS", "quota_cores", "thread_counts", "threads", "variables"]

COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS")
"""Variables that each set a number of threads."""

_OTHERS = (
    "OMP_PROC_BIND",
    "OMP_PLACES",
    "OMP_WAIT_POLICY",
    "OMP_DYNAMIC",
    "GOMP_CPU_AFFINITY",
    "KMP_AFFINITY",
    "KMP_BLOCKTIME",
    "MKL_DYNAMIC",
)


def threads(root: Path = ROOT) -> dict[str, Any]:
    """Return torch's threads (null where torch is not loaded), the cores they may use, and the variables as they are set."""
    intra, inter = thread_counts() or (None, None)
    return {
        "intra": intra,
        "inter": inter,
        "usable_cores": usable_cores(),
        "quota_cores": quota_cores(root),
        "variables": variables(),
    }


def thread_counts() -> tuple[int, int] | None:
    """Return torch's threads within and between operations, or None where the process has not loaded torch."""
    if "torch" not in sys.modules:
        return None
    import torch

    return torch.get_num_threads(), torch.get_num_interop_threads()


def variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that set threads, and where they run, in this process's environment."""
    return {name: environ[name] for name in (*COUNTS, *_OTHERS) if name in environ}


def quota_cores(root: Path = ROOT) -> float | None:
    """Return how many cores' worth of time the tightest CPU control group allows; None where none limits it."""
    return min((cores for group in enclosing("cpu", root) if (cores := _quota(group)) is not None), default=None)


def _quota(group: Group) -> float | None:
    """Return quota over period, both in µs; a quota of 'max' (version 2) or -1 (version 1) is none."""
    if group.version == 2:
        quota, period = (*text(group.folder / "cpu.max").split(), "", "")[:2]
    else:
        quota, period = (str(whole(group.folder / f"cpu.cfs_{name}_us")) for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) > 0 else None
