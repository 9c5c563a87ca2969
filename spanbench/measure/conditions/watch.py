"""The watch over a run: every condition looked at before and after, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from spanbench.measure.caution import Caution
from spanbench.measure.clock import Clock, PerfCounter
from spanbench.measure.conditions.battery import BATTERY
from spanbench.measure.conditions.condition import Condition, Gpus, Place, Unwatched
from spanbench.measure.conditions.foreign import FOREIGN
from spanbench.measure.conditions.frequency import CPU_FREQUENCY, GPU_FREQUENCY
from spanbench.measure.conditions.governor import GOVERNOR
from spanbench.measure.conditions.load import LOAD
from spanbench.measure.conditions.stolen import STOLEN
from spanbench.measure.conditions.swapping import MEMORY_PRESSURE
from spanbench.measure.conditions.threads import THREADS
from spanbench.measure.conditions.throttling import CPU_THROTTLING, GPU_THROTTLING
from spanbench.measure.host.kernel import ROOT
from spanbench.measure.nvml.errors import NvmlError
from spanbench.measure.nvml.library import opened

__all__ = ["CODES", "Watch"]

# The clocks come first of all, while the machine still does what the run made it do.
_CONDITIONS: tuple[Condition[Any], ...] = (
    CPU_FREQUENCY,
    GPU_FREQUENCY,
    GPU_THROTTLING,
    CPU_THROTTLING,
    LOAD,
    STOLEN,
    FOREIGN,
    THREADS,
    GOVERNOR,
    BATTERY,
    MEMORY_PRESSURE,
)

_UNWATCHED = "unwatched"

CODES = (*dict.fromkeys(condition.code for condition in _CONDITIONS), _UNWATCHED)
"""Every code that a watch may give, in the order that it gives them."""


class Watch:
    """Looks at the machine when it starts and when it stops, a few milliseconds each, and does nothing in between.

    Start it after the warm-up, when the clocks are what the work makes them. It never raises, and may be started again;
    as a context manager it leaves what it found in `cautions`. With a GPU the first start also opens NVML.
    """

    def __init__(self, device: str = "cpu", *, root: Path = ROOT, clock: Clock | None = None) -> None:
        self._device, self._root, self._clock = device, root, clock or PerfCounter()
        self._stack = ExitStack()
        self._place = Place(root)
        self._before: list[Any] | None = None
        self.cautions: tuple[Caution, ...] = ()
        """What the last run was disturbed by."""

    def start(self) -> None:
        """Look at the machine before the run."""
        _attempt(self._stack.close)
        self._place = Place(self._root, self._gpus(), self._clock)
        self._before = self._looks()

    def stop(self) -> tuple[Caution, ...]:
        """Look at the machine after the run; return what disturbed it, and `unwatched` for what could not be told.

        Without a start there was no run, and nothing to be said of it.
        """
        before, self._before = self._before, None
        self.cautions = () if before is None else _cautions(list(map(_verdict, _CONDITIONS, before, self._looks())))
        _attempt(self._stack.close)
        return self.cautions

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _looks(self) -> list[Any]:
        return [_attempt(condition.read, self._place) for condition in _CONDITIONS]

    def _gpus(self) -> Gpus:
        if self._device.partition(":")[0] != "cuda":
            return Gpus()
        devices = _attempt(lambda: self._stack.enter_context(opened()).devices(self._device))
        return Gpus(reason=str(devices)) if isinstance(devices, Unwatched) else Gpus(devices)


def _attempt(look: Callable[..., Any], *arguments: Any) -> Any:
    """Return what `look` gives, or why it could not be told, as a value."""
    try:
        return look(*arguments)
    except (Unwatched, NvmlError) as error:
        return Unwatched(str(error))
    except Exception as error:  # noqa: BLE001 - an unusual machine must not cost the run
        return Unwatched(f"{type(error).__name__}: {error}")


def _verdict(condition: Condition[Any], before: Any, after: Any) -> str | Unwatched | None:
    failed: Unwatched | None = next((state for state in (before, after) if isinstance(state, Unwatched)), None)
    verdict: str | Unwatched | None = failed or _attempt(condition.judge, before, after)
    return verdict


def _cautions(verdicts: list[str | Unwatched | None]) -> tuple[Caution, ...]:
    """Return what was found, then one caution a reason for what could not be told: a missing library hides several conditions."""
    found, blind = [], dict[str, list[str]]()
    for condition, verdict in zip(_CONDITIONS, verdicts, strict=True):
        if isinstance(verdict, Unwatched):
            blind.setdefault(str(verdict), []).append(condition.name or condition.code)
        elif verdict is not None:
            found.append(Caution(condition.code, verdict))
    unwatched = [Caution(_UNWATCHED, f"{', '.join(names)} could not be watched: {reason}") for reason, names in blind.items()]
    return (*found, *unwatched)
