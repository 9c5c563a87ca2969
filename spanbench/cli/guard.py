"""What this machine cannot do is refused before any of it is begun: ids beyond memory, sizes beyond torch, a missing GPU."""

from __future__ import annotations

from pathlib import Path

from spanbench.count.distinct import Distinct
from spanbench.count.formula import closed_form
from spanbench.errors import NotEnoughMemory, UsageError
from spanbench.measure.host.memory import available_bytes
from spanbench.point import REGIMES, Point
from spanbench.prompt import BYTES_PER_TOKEN, Prompt
from spanbench.request import Request, point_of
from spanbench.tally import Convention
from spanbench.units import short

__all__ = ["check_device", "checked_point"]

LARGEST = 2**58
"""Most elements of anything that is counted: torch addresses 2^63 bytes, and widest copies take 8 bytes an element."""


def checked_point(request: Request, times: int = 1) -> tuple[Point, Prompt, Convention]:
    """Return what `point_of` does, once it is known that the ids fit in memory and that torch can count the sizes.

    `times` is how many times as long a prompt will be cut as well.

    Raises:
        NotEnoughMemory: the ids alone do not fit.
        UsageError: whatever else cannot be.
    """
    _check_ids(request, times)
    point, prompt, convention = point_of(request)
    _check_countable(point, times)
    return point, prompt, convention


def _check_ids(request: Request, times: int) -> None:
    tokens = request.row_tokens or _file_bytes(request.prompt)
    needed, free = (tokens + request.generate) * max(request.batch, 1) * times * BYTES_PER_TOKEN, available_bytes()
    if free is not None and needed > free:
        raise NotEnoughMemory(
            f"--tokens {tokens} --batch {request.batch}: the ids alone need about {short('peak_bytes', needed)}, "
            f"{short('peak_bytes', free)} are free; take fewer tokens or a smaller batch"
        )


def _file_bytes(path: str | None) -> int:
    """Return at most how many tokens a file gives: one a byte; 0 where that is not known."""
    try:
        return Path(path).stat().st_size if path not in (None, "-") else 0
    except (OSError, ValueError):  # reading it will say what is wrong
        return 0


def _check_countable(point: Point, times: int) -> None:
    nothing = Distinct(0, 0, dict.fromkeys(REGIMES, 0))
    for regime in REGIMES:  # no step is larger than a prefill
        for stages in closed_form(point, regime, nothing).values():
            total = stages["total"]
            if max(total.params, total.scores_dense * times**2) > LARGEST:
                raise UsageError(
                    f"--tokens {point.tokens} --span {point.span} --batch {point.batch}: too large to count, "
                    f"with {total.params} parameters and {total.scores_dense} attention scores in {regime}; take smaller sizes"
                )


def check_device(device: str) -> None:
    """Refuse to run on a GPU that is not there.

    Raises:
        UsageError: which GPUs there are.
    """
    if device == "cpu":
        return
    import torch

    if not torch.cuda.is_available():
        why = "no NVIDIA GPU can be used here" if torch.version.cuda else "this build of torch has no CUDA"
        raise UsageError(f"--device {device}: {why}; take --device cpu, or only count with --no-run")
    index, count = int(device.partition(":")[2] or 0), torch.cuda.device_count()
    if index >= count:
        raise UsageError(f"--device {device}: there is no such GPU; take one of {', '.join(f'cuda:{i}' for i in range(count))}")
