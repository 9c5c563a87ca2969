"""No meter: time alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from spanbench.measure.energy.protocol import Probe, Reading, Session, Source, Window

__all__ = ["NullMeter"]


class NullMeter:
    """Always available, and never gives a joule."""

    name = "none"
    source: Source = "estimated"  # stands behind no figure; the weakest claim a meter can make
    note = ""
    min_window_s = 0.0

    def probe(self) -> Probe:
        """Return that nothing is needed."""
        return Probe(available=True)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open nothing."""
        yield _Nothing()


class _Nothing:
    by = "none"

    def begin(self, window: Window) -> None:
        pass

    def end(self) -> Reading:
        return Reading(None, "no meter was asked for")
