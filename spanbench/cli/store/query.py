"""`spanbench store query`: a question behind a stored document, whose spans are read from the store and not encoded again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanbench.cli.options import Format, takes_request, without
from spanbench.cli.output import put
from spanbench.cli.store.options import Doc, Folder, Kept, State, Text, Weights
from spanbench.cli.values import whole
from spanbench.errors import UsageError
from spanbench.request import Request
from spanbench.show.store import render_query

if TYPE_CHECKING:
    from spanbench.cli.store.opened import Read
    from spanbench.store.document import Library

__all__ = ["query"]

Passes = Annotated[
    int | None,
    typer.Option(
        "--passes",
        metavar="P",
        parser=whole("--passes"),
        show_default=False,
        help="Go on from the state of extra mixer pass P, see edit --refine [default: the document's last]",
    ),
]


@without(regimes=["request"], convention=None, batch=None)
@takes_request
def query(
    request: Request,
    store: Folder,
    doc: Doc,
    text: Text = None,
    state: State = None,
    passes: Passes = None,
    kept: Kept = None,
    weights: Weights = None,
    fmt: Format = "table",
) -> None:
    """Read a question behind a stored document, say an answer, and tell what it cost; nothing is encoded but the question's spans."""
    from spanbench.cli.store.opened import library, read_text

    read = read_text(request, text)
    with library(store, read.point, weights, kept, state=bool(state), create=False) as held:
        put(render_query, _asked(store, doc, read, held, state, passes, request.tokenizer), fmt)


def _asked(
    store: str, doc: str, read: Read, held: Library, state: bool | None, passes: int | None, tokenizer: str | None
) -> dict[str, Any]:
    import torch

    from spanbench.cli.store.told import told_of_query
    from spanbench.model.speak import Sampler, talk
    from spanbench.run.detokenize import detokenizers

    manifest = held.manifest(doc)
    use = "state" if (manifest.mixer is not None if state is None else state) else "u"
    extra = _passes(passes, manifest.passes, use)
    point = replace(read.point, tokens=len(manifest.ids))
    with torch.inference_mode():
        session, _ = held.session(doc, len(read.ids) + point.generate, use=use, passes=extra)
        logits = session.read(torch.tensor([list(read.ids)], device=point.device))
        said = [int(ids[0]) for ids in talk(session, logits, point.generate, Sampler(seed=point.seed))]
    voice = detokenizers(tokenizer)()
    text = "".join([*(voice.feed(token) for token in said), voice.finish()])
    return told_of_query(store, doc, len(manifest.ids), len(read.ids), point, held, use, said, text) | {"passes": extra}


def _passes(asked: int | None, last: int, use: str) -> int:
    """Return the extra mixer pass whose rows are used: the one asked for, or the last; none where all rows are mixed anew.

    Raises:
        UsageError: a negative number, or extra passes without mixer state.
    """
    if asked is None:
        return last if use == "state" else 0
    if asked < 0:
        raise UsageError(f"--passes {asked}: must be 0 or more")
    if asked and use != "state":
        raise UsageError(f"--passes {asked}: extra passes are mixer state; refine the document, and leave --no-state out")
    return asked
