"""Records of latents in a folder: safetensors shards that are never changed, and an SQLite index that says which of them count.

Bytes in, bytes out: nothing here imports torch.
"""

from spanbench.store.disk.entry import Document, Entry, JsonValue, Kind, RawTensor, Space
from spanbench.store.disk.faults import CorruptStore, NewerStore, NoStore, SpaceMismatch, StoreBusy, StoreFull
from spanbench.store.disk.store import Store

__all__ = [
    "CorruptStore",
    "Document",
    "Entry",
    "JsonValue",
    "Kind",
    "NewerStore",
    "NoStore",
    "RawTensor",
    "Space",
    "SpaceMismatch",
    "Store",
    "StoreBusy",
    "StoreFull",
]
