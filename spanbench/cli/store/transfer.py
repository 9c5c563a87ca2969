"""`spanbench store export` and `import`: records and documents from one store into another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spanbench.cli.options import Format
from spanbench.cli.output import put
from spanbench.cli.store.options import Folder
from spanbench.show.store import render_copied

if TYPE_CHECKING:
    from spanbench.store.disk import Copied

__all__ = ["export", "import_"]

Target = Annotated[str, typer.Argument(metavar="TARGET", show_default=False, help="The other store's folder; a new one is made")]
Source = Annotated[str, typer.Argument(metavar="SOURCE", show_default=False, help="The other store's folder")]


def export(store: Folder, target: Target, fmt: Format = "table") -> None:
    """Copy all documents and records into another store, such as one on another disk; what it has already is left as it is."""
    from spanbench.store.disk import Store

    with Store.open(Path(store)) as held:
        copied = held.export(Path(target))
    put(render_copied, _told(store, target, copied), fmt)


def import_(store: Folder, source: Source, fmt: Format = "table") -> None:
    """Take all documents and records of another store over; what is there already is left as it is."""
    from spanbench.store.disk import Store

    with Store.open(Path(store), create=True) as held:
        copied = held.import_(Path(source))
    put(render_copied, _told(source, store, copied), fmt)


def _told(source: str, target: str, copied: Copied) -> dict[str, object]:
    documents = {"documents": list(copied.documents), "differing": list(copied.differing)}
    return {"source": source, "target": target, "records": copied.records, **documents}
