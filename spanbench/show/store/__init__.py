"""`store`: what a document's change or question cost, what a store holds, what is wrong with it, what was freed."""

from __future__ import annotations

from spanbench.show.store.adapt import render_adapt
from spanbench.show.store.care import render_copied, render_freed, render_verify
from spanbench.show.store.change import render_edit, render_refine
from spanbench.show.store.content import render_list
from spanbench.show.store.question import render_query

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
