"""What a store's folder is and is not: the checks before anything in it is read or written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spanbench.store.disk.faults import CorruptStore, NoStore
from spanbench.store.disk.index import Index
from spanbench.store.disk.index_file import INDEX
from spanbench.store.disk.paper import PAPER
from spanbench.store.disk.shard import SUFFIX, TEMPORARY

__all__ = ["check_folder", "leftovers", "open_index", "paper_names", "shard_names"]

OWN = (INDEX, f"{INDEX}-journal", f"{INDEX}.rebuilt", f"{INDEX}.rebuilt-journal")


def open_index(folder: Path, *, create: bool, read_only: bool) -> Index:
    """Open the index of a store; `create` makes a store in a new or empty folder.

    Raises:
        NoStore, NewerStore, CorruptStore: see `Store.open`.
    """
    with _named(folder):
        check_folder(folder, create=create)
        index = Index(folder / INDEX, read_only=read_only)
    if index.empty:
        index.create() if create else _refuse_empty(index, folder)
    return index


def _refuse_empty(index: Index, folder: Path) -> None:
    """Refuse an index without tables: what is left of a store whose making was interrupted, or of a damaged one."""
    index.close()
    if shard_names(folder) or paper_names(folder):
        raise CorruptStore(f"{str(folder)!r}: its index is empty, its shards are not; spanbench store verify --repair rebuilds it")
    raise NoStore(f"{str(folder)!r} is no store yet; spanbench store add makes one")


def check_folder(folder: Path, *, create: bool) -> None:
    """Refuse a place that is no store, and cannot become one.

    Raises:
        NoStore: what it is instead.
        OSError: it cannot be read.
    """
    if folder.is_symlink() and not folder.exists():
        raise NoStore(f"{str(folder)!r} is a link to {str(folder.readlink())!r}, which does not exist; name a folder")
    if folder.exists() and not folder.is_dir():
        raise NoStore(f"{str(folder)!r} is a file; name a folder")
    if not folder.exists():
        _make(folder, create=create)
    elif not (folder / INDEX).exists():
        _check_without_index(folder, create=create)


def _make(folder: Path, *, create: bool) -> None:
    if not create:
        raise NoStore(f"{str(folder)!r}: there is no such folder; spanbench store add makes a store")
    if not folder.parent.is_dir():
        raise NoStore(f"the folder {str(folder.parent)!r} of {str(folder)!r} does not exist; make it first")
    folder.mkdir(exist_ok=True)


def _check_without_index(folder: Path, *, create: bool) -> None:
    if shard_names(folder) or paper_names(folder):
        raise CorruptStore(f"{str(folder)!r} has shards of a store, but its index is gone; spanbench store verify --repair rebuilds it")
    if not create:
        raise NoStore(f"{str(folder)!r} is not a store; name the folder of one")
    if not all(_is_own(path) for path in folder.iterdir()):
        raise NoStore(f"{str(folder)!r} holds something other than a store; name a new or empty folder")


def _is_own(path: Path) -> bool:
    return path.name in OWN or path.name.startswith(TEMPORARY)


def shard_names(folder: Path) -> list[str]:
    """Return the names, without suffix, of all files that are named like shards."""
    return sorted(path.stem for path in folder.glob(f"*{SUFFIX}") if _is_named(path))


def paper_names(folder: Path) -> list[str]:
    """Return the names of all files that are named like documents' files."""
    return sorted(path.name for path in folder.glob(f"*{PAPER}") if _is_named(path))


def _is_named(path: Path) -> bool:
    named = len(path.stem) == 16 and all(letter in "0123456789abcdef" for letter in path.stem)
    return named and path.is_file()


def leftovers(folder: Path) -> list[Path]:
    """Return files of writes that were never finished."""
    return sorted(path for path in folder.iterdir() if path.name.startswith(TEMPORARY) or path.name.startswith(f"{INDEX}.rebuilt"))


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise NoStore(f"{str(folder)!r} cannot be used ({why}); name a folder that you may read and write") from None
    except ValueError as error:  # a name with a null character
        raise NoStore(f"{str(folder)!r} cannot be used ({error}); name a folder") from None
