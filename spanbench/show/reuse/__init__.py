"""What reuse of a document costs, as tables, one JSON document, tidy rows and a plot."""

from __future__ import annotations

from spanbench.show.reuse.page import Shown, data, page, render_reuse
from spanbench.show.reuse.plot import plot_files, plot_format

__all__ = ["Shown", "data", "page", "plot_files", "plot_format", "render_reuse"]
