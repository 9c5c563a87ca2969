"""A baseline put in a file at once: a reader finds the old one or the new one, never a part."""

from __future__ import annotations

from pathlib import Path

from spanbench.errors import UsageError
from spanbench.files import why, write_whole

__all__ = ["check_new", "write_text"]


def check_new(path: str, option: str, *, force: bool) -> None:
    """Refuse, before any work is done, a file that could not be made, or that is there already.

    Raises:
        UsageError: what stands in the way.
    """
    place = Path(path)
    if place.is_dir():
        raise UsageError(f"{option} {path!r}: is a folder; name a file in it, such as {str(place / 'baseline.jsonl')!r}")
    if not place.parent.is_dir():
        raise UsageError(f"{option} {path!r}: the folder {str(place.parent)!r} does not exist; make it first")
    if place.exists() and not place.is_file():
        raise UsageError(f"{option} {path!r}: is no ordinary file; name one")
    if place.exists() and not force:
        raise UsageError(f"{option} {path!r}: is there already; spanbench baseline update counts it anew, --force replaces it")


def write_text(path: str, text: str, option: str = "--out", *, new: bool = False) -> None:
    """Write a text beside the file, have it on the disk, and put it in the file's place; a `new` file replaces none.

    Raises:
        UsageError: it cannot be written; the file is then as it was.
    """
    try:
        write_whole(Path(path), [text.encode("utf-8")], new=new)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise UsageError(f"{option} {path!r}: cannot be written ({why(error)}); it is as it was") from None
