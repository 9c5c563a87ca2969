"""`spanbench store edit`: a document is changed, and only what must be is encoded again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from spanbench.cli.options import Format, takes_request, without
from spanbench.cli.output import put
from spanbench.cli.store.options import Doc, Folder, Kept, State, Text, Weights, position
from spanbench.cli.store.told import told_of_edit
from spanbench.cli.values import whole
from spanbench.errors import UsageError
from spanbench.request import Request
from spanbench.show.generate import visible
from spanbench.show.store import render_edit

if TYPE_CHECKING:
    from spanbench.cli.store.opened import Read
    from spanbench.store.document import Edited, Library

__all__ = ["edit"]

Replace = Annotated[int | None, position("--replace", "Put the text in the place of as many tokens from position P on")]
Insert = Annotated[int | None, position("--insert", "Put the text in front of position P")]
Delete = Annotated[int | None, position("--delete", "Take tokens out from position P on; --count says how many")]
Count = Annotated[int | None, position("--count", "How many tokens --delete takes out [default: 1]")]
Refine = Annotated[
    int | None,
    typer.Option(
        "--refine",
        metavar="N",
        parser=whole("--refine"),
        show_default=False,
        help="Mix the document N extra times, over the mixer's own outputs, and keep that state; the text stays",
    ),
]
Append = Annotated[bool, typer.Option("--append", help="Put the text behind the last token")]
Restore = Annotated[bool, typer.Option("--restore", help="Encode again what was evicted of the document")]


@without(regimes=["prefill"], convention=None, batch=None, generate=None)
@takes_request
def edit(
    request: Request,
    store: Folder,
    doc: Doc,
    replaced: Replace = None,
    inserted: Insert = None,
    deleted: Delete = None,
    count: Count = None,
    append: Append = False,
    restore: Restore = False,
    refined: Refine = None,
    text: Text = None,
    state: State = None,
    kept: Kept = None,
    weights: Weights = None,
    fmt: Format = "table",
) -> None:
    """Change a document, and tell what was encoded again, found by content and mixed again."""
    from spanbench.cli.store.opened import library, read_text

    places = {"replace": replaced, "insert": inserted, "delete": deleted, "refine": refined}
    operation = _operation(places, append=append, restore=restore)
    if count is not None and operation != "delete":
        raise UsageError(f"--count {count}: belongs to --delete")
    wants_text = operation not in {"delete", "restore", "refine"}
    if not wants_text and (text is not None or request.prompt is not None):
        raise UsageError(f"--{operation}: takes no text")
    if not wants_text and request.tokens is not None:
        raise UsageError(
            f"--tokens {request.tokens}: --{operation} takes no text{'; --count says how many' if operation == 'delete' else ''}"
        )
    if refined is not None:
        _refine(request, store, doc, refined, state, weights, kept, fmt)
        return
    read = read_text(request if wants_text else replace(request, tokens=1), text, built_in=not wants_text)
    with library(store, read.point, weights, kept, state=bool(state), create=False) as held:
        held.state, passes = _keeps_state(held, doc, state), held.manifest(doc).passes
        done = _edited(held, doc, operation, places.get(operation) or 0, read, 1 if count is None else count)
        if passes:
            again = f"its {passes} extra mixer passes were of what it was before; --refine {passes} makes them again."
            typer.echo(f"{visible(doc)}: {again}", err=True)
        put(render_edit, told_of_edit(store, doc, operation, done, read.point, held), fmt)


def _operation(places: dict[str, int | None], *, append: bool, restore: bool) -> str:
    """Return the one operation that was asked for.

    Raises:
        UsageError: none, or more than one.
    """
    flags = [name for name, wanted in (("append", append), ("restore", restore)) if wanted]
    asked = [*(name for name, place in places.items() if place is not None), *flags]
    if len(asked) != 1:
        got = " and ".join(f"--{name}" for name in asked) or "nothing"
        raise UsageError(f"edit: {got} was given; give one of --replace P, --insert P, --delete P, --append, --restore, --refine N")
    return asked[0]


def _refine(
    request: Request, store: str, doc: str, passes: int, state: bool | None, weights: str | None, kept: str | None, fmt: str
) -> None:
    from spanbench.cli.store.refined import refine

    if state is False:
        raise UsageError("--refine: extra passes are mixer state; leave --no-state out")
    refine(request, store, doc, passes, weights, kept, fmt)


def _keeps_state(held: Library, doc: str, state: bool | None) -> bool:
    return held.manifest(doc).mixer is not None if state is None else state


def _edited(held: Library, doc: str, operation: str, place: int, read: Read, count: int) -> Edited:
    if operation == "append":
        return held.append(doc, read.ids)
    if operation == "restore":
        return held.restore(doc)
    if operation == "delete":
        return held.delete(doc, place, count)
    return held.replace(doc, place, read.ids) if operation == "replace" else held.insert(doc, place, read.ids)
