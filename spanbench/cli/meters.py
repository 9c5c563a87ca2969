"""`spanbench meters`: where joules can come from on this machine."""

from __future__ import annotations

from spanbench.cli.options import Format
from spanbench.cli.output import progress, put

__all__ = ["meters"]

DEVICES = ("cpu", "cuda")


def meters(fmt: Format = "table") -> None:
    """List every meter with a live reading, or the reason it is missing and what would help."""
    from spanbench.measure.energy import METERS, Target, best_meter, get_meter
    from spanbench.measure.energy.survey import survey
    from spanbench.show.meters import MeterLine, render_meters

    known = [get_meter(name) for name in METERS if name != "none"]
    devices = DEVICES if get_meter("nvml").probe().available else DEVICES[:1]
    best = {device: best_meter(Target(device)).name for device in devices}
    lines = []
    with progress() as tell:
        for done, found in enumerate(survey(known)):
            tell("reading meters", done, len(known))
            meter, probe = found.meter, found.probe
            lines.append(
                MeterLine(
                    name=meter.name,
                    source=found.source,
                    available=probe.available,
                    default_for=tuple(device for device in devices if best[device] == meter.name),
                    scope=probe.scope,
                    period_s=probe.period_s,
                    min_window_s=meter.min_window_s,
                    watts=found.watts,
                    by=found.by,
                    reason=found.reason,
                    mend=probe.mend,
                )
            )
    put(render_meters, lines, fmt)
