"""The energy counter checked, in every window, against the power that was sampled meanwhile."""

from __future__ import annotations

from spanbench.measure.caution import Caution
from spanbench.measure.energy.power import PowerWatch
from spanbench.measure.energy.protocol import MeterError

__all__ = ["PowerCheck"]

_APART = 0.05


class PowerCheck:
    """Beside the counter in every window (a `Companion`). `standing` cautions hold for every window.

    Windows shorter than `least_s` are not compared: the sensor's figures may miss their work altogether.
    """

    def __init__(self, watch: PowerWatch | None, least_s: float, standing: tuple[Caution, ...]) -> None:
        self._watch, self._least_s, self._standing = watch, least_s, standing

    def start(self) -> None:
        """Begin to sample, where there is a sensor of power."""
        if self._watch is not None:
            self._watch.start()

    def stop(self) -> None:
        """Note that the window closed."""
        if self._watch is not None:
            self._watch.stop()

    def check(self, joules: float | None, seconds: float) -> tuple[Caution, ...]:
        """Return the standing cautions, and one more where counter and power are too far apart."""
        if self._watch is None:
            return self._standing
        if joules is None or seconds < self._least_s:
            self._watch.cancel()
            return self._standing
        return (*self._standing, *_compared(joules, seconds, self._watch))


def _compared(joules: float, seconds: float, watch: PowerWatch) -> tuple[Caution, ...]:
    """Return a caution where the two are further apart than 5%, beyond what the samples of so short a window can miss."""
    try:
        power = watch.finish()
    except MeterError as error:
        return (Caution("counter-unchecked", f"the energy counter could not be checked against the power: {error}"),)
    apart = abs(power.joules - joules)
    if apart <= _APART * joules + power.edge_joules:
        return ()
    text = f"over {seconds:.3g} s the energy counter gives {joules:.4g} J and the sampled power {power.joules:.4g} J"
    return (Caution("counters-disagree", text),)
