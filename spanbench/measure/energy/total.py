"""A sum of meters that count different hardware, such as the CPU packages and the GPU boards."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import combinations

from spanbench.measure.energy.protocol import Marked, Meter, MeterError, Probe, Reading, Scope, Session, Source, Window

__all__ = ["Total"]

_WEAKEST_FIRST: tuple[Source, ...] = ("modelled", "estimated", "measured")
_DISJOINT: frozenset[Scope] = frozenset({"gpu-board", "cpu-package"})
"""Pieces of hardware. What counts a platform, a machine or the work alone counts joules of these again, or of neither."""


class Total:
    """The joules of several meters together; unknown as soon as one of them is."""

    def __init__(self, meters: Sequence[Meter]) -> None:
        self._meters = tuple(meters)
        self.name = "+".join(meter.name for meter in self._meters)

    @property
    def source(self) -> Source:
        """Return the weakest source of all parts."""
        return min((meter.source for meter in self._meters), key=_WEAKEST_FIRST.index)

    @property
    def note(self) -> str:
        """Return all that must be known of the parts."""
        return "; ".join(dict.fromkeys(meter.note for meter in self._meters if meter.note))

    @property
    def min_window_s(self) -> float:
        """Return the longest of the windows that the parts need, in seconds."""
        return max(meter.min_window_s for meter in self._meters)

    def probe(self) -> Probe:
        """Return whether all parts are there and may be added."""
        probes = {meter.name: meter.probe() for meter in self._meters}  # a meter given twice is one, and refused below
        for name, probe in probes.items():
            if not probe.available:
                return Probe(available=False, reason=f"{name}: {probe.reason}", mend=probe.mend)
        clash = _clash(probes)
        if clash is not None:
            return Probe(available=False, reason=clash)
        periods = [probe.period_s for probe in probes.values() if probe.period_s is not None]
        scopes = list(dict.fromkeys(probe.scope for probe in probes.values()))
        return Probe(
            available=True,
            period_s=max(periods, default=None),
            scope=scopes[0] if len(scopes) == 1 else "machine",
            parts=tuple(part for probe in probes.values() for part in probe.parts),
        )

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Make all parts ready.

        Raises:
            MeterError: a part could not be made ready, or the parts may not be added.
        """
        probe = self.probe()
        if not probe.available:
            raise MeterError(probe.reason)
        with ExitStack() as stack:
            parts: list[tuple[Meter, Session]] = []
            for meter in self._slowest_first():
                try:
                    parts.append((meter, stack.enter_context(meter.session())))
                except MeterError as error:
                    raise MeterError(f"{meter.name}: {error}") from error
            yield _Sum(parts)

    def _slowest_first(self) -> list[Meter]:
        """Return the meters so that the one that waits the shortest is begun last and ended first: the others wait outside its ticks."""
        return sorted(self._meters, key=lambda meter: -(meter.probe().period_s or 0.0))


def _clash(probes: Mapping[str, Probe]) -> str | None:
    """Return why these may not be added, or None: every joule must be counted by one of them at most."""
    if len(probes) < 2:
        return "a sum needs two different meters"
    for name, probe in probes.items():
        if probe.scope not in _DISJOINT:
            return f"{name} counts {_SCOPES[probe.scope]}: its joules cannot be added to those of single pieces of hardware"
    for (name, probe), (other, its) in combinations(probes.items(), 2):
        shared = sorted(set(probe.parts) & set(its.parts))
        if shared:
            return f"{name} and {other} both count {', '.join(shared)}"
        if probe.scope == its.scope and not (probe.parts and its.parts):
            return f"{name} and {other} both count {_SCOPES[probe.scope]}, and do not say which"
    return None


_SCOPES: Mapping[Scope, str] = {
    "gpu-board": "GPU boards",
    "cpu-package": "CPU packages",
    "platform": "the whole platform",
    "machine": "the whole machine",
    "work": "the work alone",
    "none": "nothing",
}


class _Sum:
    """All parts' sessions as one; `parts` come with the one that waits the longest first.

    Parts wait for their ticks one after the other, but all windows open together once the last part is ready, and
    close together before any part waits again.
    """

    def __init__(self, parts: Sequence[tuple[Meter, Session]]) -> None:
        self._parts = sorted(parts, key=lambda part: not isinstance(part[1], Marked))  # stable: those that cannot wait come last
        self.by = " + ".join(session.by for _, session in self._parts)

    def begin(self, window: Window) -> None:
        for meter, session in self._parts:
            try:
                session.begin(window)
            except MeterError as error:
                raise MeterError(f"{meter.name}: {error}") from error
        for marked in self._marked():
            marked.open()

    def end(self) -> Reading:
        for marked in self._marked():
            marked.close()
        # Those without a mark close their window in `end`: before the others wait.
        readings = [(meter, _ended(session)) for meter, session in reversed(self._parts)]
        for meter, reading in readings:
            if reading.joules is None or not (math.isfinite(reading.joules) and reading.joules > 0):
                reason = reading.reason if reading.joules is None else f"read {reading.joules:g} J, which nothing that runs draws"
                return Reading(None, f"{meter.name}: {reason}")
        return _added([reading for _, reading in readings])

    def _marked(self) -> list[Marked]:
        return [session for _, session in self._parts if isinstance(session, Marked)]


def _ended(session: Session) -> Reading:
    """Return a part's reading; whatever it raises is a reason, so that the other parts are ended too."""
    try:
        return session.end()
    except MeterError as error:
        return Reading(None, str(error))
    except Exception as error:  # noqa: BLE001 - the Guard outside would catch it, but the other parts would stay open
        return Reading(None, f"{type(error).__name__}: {error}")


def _added(readings: Sequence[Reading]) -> Reading:
    def total(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return math.fsum(known) if len(known) == len(values) else None

    return Reading(
        total([reading.joules for reading in readings]),
        low=total([reading.low for reading in readings]),
        high=total([reading.high for reading in readings]),
        cautions=tuple(caution for reading in readings for caution in reading.cautions),
    )
