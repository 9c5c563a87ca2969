"""Where every figure of `reuse` comes from: counted, measured, estimated or modelled; by the field that holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spanbench.judge.reuse import Reuse

__all__ = ["FIELDS", "NO_METER", "energy_source", "sourced"]

NO_METER = "estimated"
"""What joules that are not there are called: the weakest claim that a meter makes."""

FIELDS: Mapping[str, Mapping[str, str]] = {
    "edits": dict.fromkeys(("tokens", "encoded", "found", "mixed", "flops_u", "flops_state", "flops_kv", "flops_anew"), "counted"),
    "compositions": dict.fromkeys(("latents", "tokens", "flops_u", "flops_state", "flops_first", "flops_kv", "flops_dense"), "counted"),
    "choices": dict.fromkeys(("flops_u", "flops_state", "flops_choosing"), "counted")
    | dict.fromkeys(("change", "kl", "same_choice"), "measured"),
    "memory": {"bytes": "counted", "per_token": "counted", "disk_bytes": "measured"},
    "crossovers": {"read_bytes": "counted", "saved_flops": "counted", "bytes_per_gigaflop": "counted", "bytes_per_second": "modelled"},
    "strategies": {"stored_bytes": "counted", "read_bytes": "counted", "disk_bytes": "measured"},
}


def energy_source(found: Reuse) -> str:
    """Return what the joules of a result may be called."""
    return found.energy.source if found.energy else NO_METER


def sourced(plain: dict[str, Any], found: Reuse) -> None:
    """Put `sources` into every row of the JSON document: the field, and where its figure comes from."""
    for table, sources in FIELDS.items():
        for row in plain[table]:
            row["sources"] = dict(sources)
    for row in plain["break_even"]:
        row["sources"] = dict.fromkeys(("queries", "ahead_through", "low", "high"), "counted" if row["quantity"] == "flops" else "modelled")
    cost = {"flops": "counted", "bytes_moved": "counted", "weight_bytes": "counted", "seconds": "measured", "joules": energy_source(found)}
    for row in plain["strategies"]:
        row["once"]["sources"], row["query"]["sources"] = dict(cost), dict(cost)
        for sums in row["cumulative"]:
            sums["sources"] = {"flops": "counted", "seconds": "modelled"}
