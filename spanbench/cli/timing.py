"""Options of whatever is timed: how long and how well, with which meter, and what is measured beside the pair."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from spanbench.cli.values import completed, seconds, share, whole

__all__ = [
    "DEFAULT_PRECISION",
    "DEFAULT_SECONDS",
    "METERS",
    "Co2",
    "Compile",
    "Limits",
    "MaxTime",
    "Meter",
    "Peak",
    "Precision",
    "Stages",
    "Strict",
    "Threads",
]

DEFAULT_SECONDS = 36.0
DEFAULT_PRECISION = 0.03
METERS = ("auto", "nvml", "nvml-power", "rapl", "codecarbon", "model", "none")
"""For help and completion, which import no meter; a test holds them to the meters there are."""


def _option(metavar: str, parser: Any, text: str, default: str = "") -> Any:
    return typer.Option(metavar=metavar, parser=parser, show_default=False, help=f"{text} [default: {default}]" if default else text)


MaxTime = Annotated[float, _option("SECONDS", seconds("--max-time"), "Time for all timed slots together", f"{DEFAULT_SECONDS:g}")]
Precision = Annotated[
    float, _option("SHARE", share("--precision"), "Half-width that the 95% interval of a ratio should have", f"{DEFAULT_PRECISION:.0%}")
]
Meter = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        autocompletion=completed(METERS),
        show_default=False,
        help=f"Where joules come from: {', '.join(METERS)}, or a sum A+B; see `spanbench meters` [default: {METERS[0]}]",
    ),
]
Threads = Annotated[int | None, _option("N", whole("--threads"), "Threads of torch [default: torch's choice]")]
Compile = Annotated[bool, typer.Option("--compile", help="Time both arms under torch.compile, in score and prefill")]
Stages = Annotated[bool, typer.Option("--stages", help="Time encoder, mixer, bridge, decoder and head by themselves too")]
Co2 = Annotated[
    str | None,
    typer.Option("--co2", metavar="COUNTRY|INTENSITY", help="Add grams of CO2 equivalent: a country such as FRA, or '56 g/kWh'"),
]
Limits = Annotated[
    bool, typer.Option("--limits/--no-limits", help="Measure this machine's matrix peak and bandwidth [default: do]", show_default=False)
]
Peak = Annotated[
    bool, typer.Option("--peak/--no-peak", help="Measure peak memory, each arm in a process of its own [default: do]", show_default=False)
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 4 where a ratio is inconclusive")]
