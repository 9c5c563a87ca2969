"""`spanbench store adapt`: how far one encoder's latents stand for another's, by a linear map fitted on spans that both have read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanbench.cli.options import Format
from spanbench.cli.output import put
from spanbench.cli.values import share, whole
from spanbench.errors import UsageError
from spanbench.show.store import render_adapt

if TYPE_CHECKING:
    from spanbench.store.adapt import Fit
    from spanbench.store.adapt_pairs import Side

__all__ = ["adapt"]


def ridge_size(given: str | float) -> float:
    """Read a finite number of 0 or more.

    Raises:
        UsageError: it is none.
    """
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise UsageError(f"--ridge {str(given)!r}: must be a number of 0 or more, such as 0.001")
    return value


def _stored(name: str, text: str) -> typer.models.ArgumentInfo:
    info: typer.models.ArgumentInfo = typer.Argument(metavar=name, show_default=False, help=text)
    return info


From = Annotated[str, _stored("FROM", "The store whose latents are to be mapped")]
To = Annotated[str, _stored("TO", "The store of the same texts by another encoder")]
Ridge = Annotated[float, typer.Option(metavar="X", parser=ridge_size, help="Weight of the penalty; it has no unit")]
HeldOut = Annotated[float, typer.Option(metavar="SHARE", parser=share("--held-out"), help="Share of the pairs that the map is tested on")]
Seed = Annotated[int, typer.Option(metavar="INT", parser=whole("--seed"), help="Which pairs these are")]
MapFile = Annotated[str | None, typer.Option("--out", metavar="FILE", help="Write the map to FILE, as safetensors")]


def adapt(
    source: From,
    target: To,
    ridge: Ridge = 1e-3,
    held_out: HeldOut = 0.25,
    seed: Seed = 0,
    out: MapFile = None,
    fmt: Format = "table",
) -> None:
    """Fit a linear map from one encoder's latents to another's on spans that both stores hold, and test it on held-out ones.

    No model is run, and no store is changed: mapped latents are not the other encoder's own, so they are never kept as such.
    """
    from spanbench.store.adapt import evaluate
    from spanbench.store.adapt_pairs import paired, side
    from spanbench.store.disk import Store

    if out is not None:
        from spanbench.store.adapt_file import check_new

        check_new(Path(out))
    with Store.open(Path(source), read_only=True) as one, Store.open(Path(target), read_only=True) as other:
        sides = (side(one, source), side(other, target))
        u_a, u_b = paired(*sides)
    found = evaluate(u_a, u_b, ridge, held_out=held_out, seed=seed)
    notes = _notes(found, ridge, seed)
    if out is not None:
        _keep(out, sides, found, notes)
    put(render_adapt, _told(sides, found, notes) | {"out": out}, fmt)


def _notes(found: Fit, ridge: float, seed: int) -> dict[str, Any]:
    """Return how a map was fitted and how well it did, as it is printed and written beside it."""
    return {
        "source": "measured", "ridge": ridge, "seed": seed, "pairs": found.fitted + found.held_out, "fitted": found.fitted,
        "held_out": found.held_out, "r2": found.r2, "zero": found.zero, "shuffled": found.shuffled, "shuffles": found.shuffles,
        "verdict": found.verdict,
    }  # fmt: skip


def _told(sides: tuple[Side, Side], found: Fit, notes: dict[str, Any]) -> dict[str, Any]:
    widths = found.adapter.weight_ZaxZb.shape
    told = [
        {
            "store": one.folder, "encoder": one.space.fingerprint, "span": one.space.span, "dtype": one.space.dtype, "values": int(width),
        }
        for one, width in zip(sides, widths, strict=True)
    ]  # fmt: skip
    return {"from": told[0], "to": told[1], **notes}


def _keep(out: str, sides: tuple[Side, Side], found: Fit, notes: dict[str, Any]) -> None:
    from spanbench.store.adapt_file import Map, save_map

    save_map(Path(out), Map(found.adapter, sides[0].space, sides[1].space, notes))
    typer.echo(f"wrote the map to {out}", err=True)
