"""`store adapt`: how far one encoder's latents stand for another's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spanbench.show.blocks import Row, Table, Text
from spanbench.show.generate import visible
from spanbench.show.store.rendering import renders

__all__ = ["render_adapt"]

HALF = 0.5
"""R² below which a map loses more of what it is to say than it keeps."""


def _adapt(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    one, other = document["from"], document["to"]
    yield Text(f"spanbench store adapt · {visible(one['store'])} → {visible(other['store'])}", "title")
    sides = [
        Row((name, side["encoder"][:12], f"{side['values']:,}", f"{side['span']:,}", side["dtype"]))
        for name, side in (("from", one), ("to", other))
    ]
    yield Table(("latents", "encoder", "values", "span", "dtype"), tuple(sides), left=frozenset({0, 1, 4}))
    yield Text(
        f"{document['pairs']:,} spans are in both: a map with ridge {document['ridge']:g} was fitted on {document['fitted']:,} of them, "
        f"and measured on the {document['held_out']:,} others (seed {document['seed']})."
    )
    shuffled = f"control: best of {document['shuffles']:,} maps fitted on shuffled pairs"
    rows = (("the map", "r2"), ("control: the map fed zeros", "zero"), (shuffled, "shuffled"))
    yield Table(("R² on held-out spans", "measured"), tuple(Row((text, _r2(document[name]))) for text, name in rows))
    yield Text(_verdict(document))
    if document["fitted"] <= one["values"]:
        yield Text(
            f"Fitted on {document['fitted']:,} pairs, which do not determine maps of {one['values']:,} values: the ridge chooses one of "
            "many. More texts in both stores may make it better.", "note", hang=2,
        )  # fmt: skip


def _r2(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}" if abs(value) < 100 else f"{value:.3g}"


def _verdict(document: Mapping[str, Any]) -> str:
    """Return in plain words what the figures say of the map."""
    said = {
        "unknown": "Unknown: the held-out latents of the target do not differ, so there is nothing to explain.",
        "chance": "The map does not beat its controls: nothing shows that these latents can stand for the other encoder's.",
        "below-mean": "The map beats its controls, but does worse than one constant latent for all spans would: it is of no use.",
        "nearly-exact": "The map beats its controls, and is nearly exact: one encoder's latents are a linear image of the other's.",
    }
    if (known := said.get(document["verdict"])) is not None:
        return known
    left = f"{100 * (1 - document['r2']):.2g}%"
    if document["r2"] < HALF:
        return f"The map beats its controls, but is a poor stand-in: {left} of how the target's latents differ is not in it."
    return f"The map beats its controls; {left} of how the target's latents differ is not in it, so adapted latents are approximate."


render_adapt = renders(_adapt)
