"""`spanbench store`: documents as latents on disk, found by what they mean, edited, asked, checked and packed."""

from __future__ import annotations

import typer

from spanbench.cli.store.adapt import adapt
from spanbench.cli.store.add import add
from spanbench.cli.store.care import gc, listing, remove, verify
from spanbench.cli.store.edit import edit
from spanbench.cli.store.query import query
from spanbench.cli.store.transfer import export, import_

__all__ = ["store_app"]

store_app = typer.Typer(
    name="store",
    help="Keep documents as latents on disk, ask and edit them.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=False,
)
store_app.command("add", short_help="Encode a document and keep its latents.")(add)
store_app.command("query", short_help="Ask a stored document: its spans are not encoded again.")(query)
store_app.command("edit", short_help="Change a document: only what must be is encoded again.")(edit)
store_app.command("remove", short_help="Forget a document.")(remove)
store_app.command("list", short_help="List documents, records and bytes.")(listing)
store_app.command("verify", short_help="Check every record, and repair what can be.")(verify)
store_app.command("gc", short_help="Evict what was used longest ago, and pack the rest.")(gc)
store_app.command("export", short_help="Copy documents and their records into another store.")(export)
store_app.command("import", short_help="Take over all of another store.")(import_)
store_app.command("adapt", short_help="Map one encoder's latents to another's.")(adapt)
