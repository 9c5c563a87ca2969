"""Keep freed memory in the process while it is timed.

By default glibc returns large blocks to the kernel when they are freed, and the next forward faults them in again, page by
page: 64,000 faults a forward of the dense arm of `small` at 2048 tokens, about a tenth of its time, and none of the latent
arm, whose tensors are small. A server would not work like that, and the difference is not the architectures'.
"""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST = 2**31 - 1  # mallopt takes an int


def keep_freed_memory() -> bool:
    """Ask the C library to serve large blocks from a heap that it does not give back; return whether it agreed.

    For the rest of the process. Only glibc knows how; elsewhere nothing is changed.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return all(mallopt(option, _LARGEST) == 1 for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD))
