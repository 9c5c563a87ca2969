"""Reuse of a document: counted on meta against the closed form, then run and timed."""

from __future__ import annotations

from spanbench.run.reuse.asked import Asked, drawn
from spanbench.run.reuse.counted import count_reuse
from spanbench.run.reuse.timed import run_reuse, why_not_run

__all__ = ["Asked", "count_reuse", "drawn", "run_reuse", "why_not_run"]
