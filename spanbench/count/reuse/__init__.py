"""What it costs to read a document again, in closed form: extension, what is stored, edits. Imports no torch."""

from __future__ import annotations

from spanbench.count.reuse.extension import extension, from_u
from spanbench.count.reuse.extent import Extent
from spanbench.count.reuse.stored import Stored, stored_bytes

__all__ = ["Extent", "Stored", "extension", "from_u", "stored_bytes"]
