"""`spanbench store add`: a document's spans are encoded, unless the store has their like, and kept."""

from __future__ import annotations

from pathlib import Path

from spanbench.cli.options import Format, takes_request, without
from spanbench.cli.output import put
from spanbench.cli.store.options import Folder, Kept, Limit, Name, State, Text, Weights
from spanbench.cli.store.told import note_missing, told_of_edit
from spanbench.request import Request
from spanbench.show.store import render_edit

__all__ = ["add"]


@without(regimes=["prefill"], convention=None, batch=None, generate=None)
@takes_request
def add(
    request: Request,
    store: Folder,
    name: Name = None,
    text: Text = None,
    state: State = None,
    kept: Kept = None,
    weights: Weights = None,
    limit: Limit = None,
    fmt: Format = "table",
) -> None:
    """Encode a document and keep its latents; spans that the store holds already, of any document, are found by content."""
    from spanbench.cli.store.opened import library, read_text

    read = read_text(request, text, built_in=True)
    document = name if name is not None else (Path(read.prompt.source).stem if request.prompt not in (None, "-") else "document")
    with library(store, read.point, weights, kept, state=bool(state), create=True, limit=limit) as held:
        done = held.add(document, read.ids)
        missing = {} if held.store.limit is None else held.incomplete()
        note_missing(store, missing)
        put(
            render_edit,
            told_of_edit(store, document, "add", done, read.point, held) | {"limit": held.store.limit, "incomplete": missing},
            fmt,
        )
