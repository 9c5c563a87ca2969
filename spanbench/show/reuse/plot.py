"""Cumulative cost against the number of queries, both axes logarithmic: FLOPs as counted, and seconds where they were measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from spanbench.errors import UsageError
from spanbench.judge.reuse import Reuse, Strategy
from spanbench.show.report.plots.picture import Axis, Curve, Mark, Picture, Role, thinned
from spanbench.show.report.svg.draw import draw_png, draw_svg
from spanbench.units import short

__all__ = ["pictures", "plot_files", "plot_format"]

Drawn = Literal["svg", "png"]

LOOKS: dict[str, tuple[str, Role]] = {
    "dense": ("dense, no cache (or tokens on disk)", "documents"),
    "dense-kv-ram": ("dense, KV in RAM or on disk", "token"),
    "latent": ("latent, no store", "cells"),
    "latent-u": ("latent, u on disk", "joules"),
    "latent-state": ("latent, u + mixer KV", "latent"),
}
"""One curve for strategies of equal FLOPs."""

TIMED: dict[str, tuple[str, Role]] = {
    "dense": ("dense, no cache", "documents"),
    "dense-kv-ram": ("dense, KV in RAM", "token"),
    "latent": ("latent, no store", "cells"),
    "latent-u": ("latent, u on disk", "joules"),
    "latent-state": ("latent, u + mixer KV", "latent"),
}
"""In seconds disk and memory differ: one of each two is drawn, under its own name (there are five looks for curves)."""


def plot_format(path: str) -> Drawn:
    """Return what a file's name asks for.

    Raises:
        UsageError: neither .svg nor .png.
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending == "svg":
        return "svg"
    if ending == "png":
        return "png"
    raise UsageError(f"--plot {path!r}: must end in .svg or .png")


def plot_files(found: Reuse, path: str) -> list[tuple[Path, bytes]]:
    """Return each file and its content: the FLOPs under the name given, the seconds beside it as NAME-seconds."""
    fmt, whole = plot_format(path), Path(path)
    drawn = []
    for picture in pictures(found):
        name = whole if picture.y.quantity == "flops" else whole.with_name(f"{whole.stem}-seconds{whole.suffix}")
        drawn.append((name, draw_png(picture) if fmt == "png" else draw_svg(picture).encode()))
    return drawn


def pictures(found: Reuse) -> Iterator[Picture]:
    """Yield the plots of one point."""
    yield _picture(found, "flops", "FLOP", "counted")
    if found.timed:
        yield _picture(found, "seconds", "time [s]", "modelled")


def _picture(found: Reuse, quantity: Literal["flops", "seconds"], label: str, source: Literal["counted", "modelled"]) -> Picture:
    point, most = found.point, max(found.queries)
    curves = [
        _curve(found.strategy(name), text, role, _counts(found.queries), quantity, source)
        for name, (text, role) in _looks(quantity).items()
    ]
    caption = {
        "counted": f"Source: counted (closed form). Convention {found.convention}.",
        "modelled": "Source: modelled from measured medians, once + queries × warm query; dense tokens and KV on disk are in the table.",
    }[source]
    return Picture(
        name=f"reuse-{quantity}",
        kind=quantity,
        section=0,
        title=f"What {most:,} {'query' if most == 1 else 'queries'} of one document cost, together",
        where=f"{point['preset']} · {point['allocation']} · N {point['tokens']:,} · S {point['span']:,} · {found.query_tokens:,} a query",
        description=f"Both axes logarithmic. {_described(found, quantity)}",
        caption=caption,
        x=Axis("queries of the document", "tokens"),
        y=Axis(label, quantity),
        curves=tuple(curve for curve in curves if curve.marks),
    )


def _looks(quantity: str) -> dict[str, tuple[str, Role]]:
    return LOOKS if quantity == "flops" else TIMED


def _counts(queries: Sequence[int]) -> list[int]:
    """Return 1, 2, 5, 10 … up to the largest number asked for, and those asked for."""
    most, steps = max(queries), {1, *queries}
    decade = 1
    while decade <= most:
        steps |= {step for step in (decade, 2 * decade, 5 * decade) if step <= most}
        decade *= 10
    return sorted(steps)


def _curve(one: Strategy, label: str, role: Role, counts: Sequence[int], quantity: str, source: Literal["counted", "modelled"]) -> Curve:
    costs = [one.flops(count) if quantity == "flops" else one.seconds(count) for count in counts]
    marks = tuple(Mark(count, cost, source) for count, cost in zip(counts, costs, strict=True) if cost is not None)
    return Curve(label, role, source, thinned(marks))


def _described(found: Reuse, quantity: str) -> str:
    most = max(found.queries)
    told = []
    for name, (label, _) in _looks(quantity).items():
        one = found.strategy(name)
        cost = one.flops(most) if quantity == "flops" else one.seconds(most)
        if cost is not None:
            told.append(f"{label}: {short(quantity, cost)}")
    return f"After {most:,}: {'; '.join(told)}."
