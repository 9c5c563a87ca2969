"""`store`: what a document's change or question cost, what a store holds, what is wrong with it, what was freed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from spanbench.show.blocks import Cell, Page, Row, Table, Text
from spanbench.show.formats import render
from spanbench.show.generate import visible
from spanbench.units import full, ratio_text, short

__all__ = [
    "render_adapt",
    "render_copied",
    "render_edit",
    "render_freed",
    "render_list",
    "render_query",
    "render_refine",
    "render_verify",
]

MOST = 40
"""Findings that are told one by one."""
HALF = 0.5
"""R² below which a map loses more of what it is to say than it keeps."""


class _Render(Protocol):
    def __call__(self, document: Mapping[str, Any], fmt: str = "table", width: int = 80, colour: bool = False) -> str: ...


def _renders(blocks: Callable[[Mapping[str, Any]], Iterator[Text | Table]], rows: str | None = None) -> _Render:
    """Return what prints a document: its blocks to readers; as CSV the rows of one of its lists, or itself as one row."""

    def rendered(document: Mapping[str, Any], fmt: str = "table", width: int = 80, colour: bool = False) -> str:
        tidy: Sequence[Mapping[str, Any]] = document[rows] if rows else [_flat(document)]
        return render(Page(tuple(blocks(document)), document, tuple(tidy)), fmt, width, colour)

    return rendered


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in document.items() if not isinstance(value, (dict, list))}
    return plain | {f"{name}.{inner}": value for name, held in document.items() if isinstance(held, dict) for inner, value in held.items()
                    if not isinstance(value, (dict, list))}  # fmt: skip


def _flops(value: int) -> Cell:
    return Cell(short("flops", value), full("flops", value))


def _bytes(value: int) -> Cell:
    return Cell(short("peak_bytes", value), full("peak_bytes", value))


# ---- what a change cost ---------------------------------------------------------------------------------------------

_SPANS = {
    "spans": "complete spans",
    "kept": "stand where they stood",
    "found": "found by content",
    "encoded": "encoded now",
    "dropped": "of the old text, no more in it",
}


def _edit(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    name = visible(document["document"])
    yield Text(f"spanbench store {document['operation']} · {name} in {visible(document['store'])}", "title")
    yield Text(
        f"{document['tokens']:,} tokens: {document['spans']:,} spans of {document['point']['span']:,}, and {document['open']:,} open."
    )
    rows = [Row((text, f"{document[key]:,}")) for key, text in _SPANS.items()]
    rows += [
        Row(("mixer rows from the first change on", f"{document['behind']:,}")),
        Row(("mixer rows computed now", f"{document['mixed']:,}")),
    ]
    yield Table(("what", "number"), tuple(rows))
    spent = (
        ("encoder", document["flops_encoder"]),
        ("encoder, all spans anew", document["flops_encoder_anew"]),
        ("mixer", document["flops_mixer"]),
    )
    yield Table(("FLOPs, dense convention", "counted"), tuple(Row((text, _flops(value))) for text, value in spent))
    yield from _narrowed(document)
    if not document["state"]:
        yield Text("No mixer state is kept (--state keeps it): whoever opens the document mixes all of its rows.", "note", hang=2)


def _narrowed(document: Mapping[str, Any]) -> Iterator[Text]:
    lost = document["narrowed"]
    if lost["values"] and lost["max_abs"]:
        relative = "unknown" if lost["relative"] is None else f"{lost['relative']:.2e}"
        yield Text(
            f"Kept as {document['dtype']}, narrower than the model's {document['point']['dtype']}: reconstruction error at most "
            f"{lost['max_abs']:.2e}, relative root mean square {relative}.", "note", hang=2,
        )  # fmt: skip


def _refine(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    yield Text(f"spanbench store refine · {visible(document['document'])} in {visible(document['store'])}", "title")
    yield Text(
        f"{document['spans']:,} spans mixed {document['passes'] + 1:,} times, each time over what came out before: "
        f"{document['rows']:,} mixer rows, {document['mixed']:,} of them computed now."
    )
    spent = (("mixer", document["flops_mixer"]), ("mixer, all rows anew", document["flops_mixer_anew"]))
    yield Table(("FLOPs, dense convention", "counted"), tuple(Row((text, _flops(value))) for text, value in spent))
    yield Text(
        f"spanbench store query goes on from pass {document['passes']:,} (--passes 0: from the first); what is read behind the document is "
        "mixed once. A change of the document forgets its passes; refining it again computes only rows behind the change.",
        "note", hang=2,
    )  # fmt: skip


# ---- what a question cost -------------------------------------------------------------------------------------------


def _query(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    yield Text(f"spanbench store query · {visible(document['document'])} in {visible(document['store'])}", "title")
    yield Text(
        f"{document['query_tokens']:,} tokens behind {document['tokens']:,}: {document['spans_found']:,} spans found, "
        f"{document['spans_encoded']:,} encoded; {document['rows_found']:,} mixer rows found, {document['rows_mixed']:,} computed."
    )
    warm = document["flops_open"] + document["flops_read"]
    rows = [
        Row(("open the document", _flops(document["flops_open"]))),
        Row(("read the question", _flops(document["flops_read"]))),
        Row((f"say {len(document['ids']):,} tokens", _flops(document["flops_say"]))),
        Row(("open and read together", _flops(warm))),
        Row(("read both without a store", _flops(document["flops_anew"]))),
        Row(("without ÷ with", ratio_text(document["flops_anew"] / warm))),
    ]
    yield Table(("FLOPs, dense convention", "counted"), tuple(rows))
    if document["use"] == "u":
        yield Text("Only latents are kept of this document: all of its mixer rows were computed again.", "note", hang=2)
    if document["passes"]:
        yield Text(
            f"The document's mixer rows are those of extra pass {document['passes']:,}, as --refine made them; reading both without "
            "a store is counted with one pass.", "note", hang=2,
        )  # fmt: skip
    yield Text("The answer:")
    yield Text(visible(document["text"]))


# ---- what a store holds ---------------------------------------------------------------------------------------------


def _list(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    held = document["documents"]
    yield Text(f"spanbench store list · {visible(document['store'])}", "title")
    rows = [_document(one) for one in held]
    if rows:
        yield Table(("document", "tokens", "spans", "open", "missing", "dtype", "state"), tuple(rows), left=frozenset({0, 5, 6}))
    else:
        yield Text("No document; spanbench store add adds one.")
    kinds = [
        Row((one["kind"], one["fingerprint"][:12], f"{one['span']:,}", one["dtype"], f"{one['records']:,}", _bytes(one["raw_bytes"])))
        for one in document["spaces"]
    ]
    yield Table(("records", "made by", "span", "dtype", "number", "bytes"), tuple(kinds), left=frozenset({0, 1, 3}))
    raw, disk = document["raw_bytes"], document["disk_bytes"]
    over = f", {100 * (disk / raw - 1):.1f}% over the tensors" if raw else ""
    yield Text(f"{short('peak_bytes', disk)} on disk{over}.")
    if any(one["missing"] for one in held):
        yield Text("Missing spans were evicted; spanbench store edit --restore encodes them again.", "note", hang=2)


def _document(one: Mapping[str, Any]) -> Row:
    numbers = (f"{one[name]:,}" for name in ("tokens", "spans", "open", "missing"))
    return Row((visible(one["document"]), *numbers, one["dtype"], "yes" if one["state"] else "no"))


# ---- what is wrong, freed, copied -----------------------------------------------------------------------------------


def _verify(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    yield Text(f"spanbench store verify · {visible(document['store'])}", "title")
    size = short("peak_bytes", document["raw_bytes"])
    yield Text(f"{document['records']:,} records in {document['shards']:,} shards are what was written ({size}).")
    for one in document["findings"][:MOST]:
        lost = f" ({one['lost']:,} records lost)" if one["lost"] else ""
        done = "repaired" if one["repaired"] else "wrong" if one["harm"] else "left over"
        yield Text(f"{done}: {one['where']}: {one['what']}{lost}", hang=2)
    if len(document["findings"]) > MOST:
        yield Text(f"and {len(document['findings']) - MOST:,} more; --format json lists all")
    if not document["findings"]:
        yield Text("Index and shards agree both ways.")


def _freed(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    yield Text(f"spanbench store gc · {visible(document['store'])}", "title")
    rows = [
        Row(("records evicted", f"{document['evicted']:,}", "")),
        Row(("files left over", f"{document['leftovers']:,}", "")),
        Row(("shards before, after", f"{document['shards_before']:,}", f"{document['shards_after']:,}")),
        Row(("bytes before, after", _bytes(document["bytes_before"]), _bytes(document["bytes_after"]))),
    ]
    yield Table(("what", "number", "after"), tuple(rows))
    for name, missing in document["incomplete"].items():
        yield Text(
            f"{visible(name)} has no latent of {missing:,} spans any more; spanbench store edit --restore encodes them again.", hang=2
        )
    if document["limit"] and document["bytes_after"] > document["limit"]:
        yield Text(f"Over the limit of {document['limit']:,} bytes, by {document['bytes_after'] - document['limit']:,}.", "note", hang=2)
    if document["damaged"]:
        yield Text(f"{document['damaged']:,} shards are not whole and were left as they are; spanbench store verify tells more.", "note")


def _copied(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    yield Text(f"{document['records']:,} records of {visible(document['source'])} are new in {visible(document['target'])}.")
    if document["documents"]:
        yield Text(f"New documents: {', '.join(map(visible, document['documents']))}.", hang=2)
    for name in document["differing"]:
        yield Text(f"{visible(name)} was not copied: {visible(document['target'])} has other content of this name.", "note", hang=2)


# ---- how far one encoder's latents stand for another's --------------------------------------------------------------


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


render_adapt = _renders(_adapt)
render_edit = _renders(_edit)
render_refine = _renders(_refine)
render_query = _renders(_query)
render_list = _renders(_list, "documents")
render_verify = _renders(_verify, "findings")
render_freed = _renders(_freed)
render_copied = _renders(_copied)
