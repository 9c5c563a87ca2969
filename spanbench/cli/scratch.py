"""A temporary folder that no end of the process outlives, but kill -9."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from spanbench.cli.interrupt import also_on_leaving

__all__ = ["scratch_folder"]


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """Yield a new folder, which is gone afterwards, also where a signal ends the process within."""
    folder = Path(tempfile.mkdtemp(prefix=f"spanbench-{name}-"))
    remove = partial(shutil.rmtree, folder, ignore_errors=True)
    with also_on_leaving(remove):
        try:
            yield folder
        finally:
            remove()
