"""Records of latents in a folder: safetensors shards that are never changed, and an SQLite index that says which of them count.

Bytes in, bytes out: nothing here imports torch.
"""

from spanbench.store.disk.entry import Document, Entry, JsonValue, Kind, RawTensor, Space
from spanbench.store.disk.evict import Freed
from spanbench.store.disk.faults import CorruptStore, NewerStore, NoStore, SpaceMismatch, StaleDocument, StoreBusy, StoreFull
from spanbench.store.disk.finding import Audit, Finding
from spanbench.store.disk.rebuild import audit_folder
from spanbench.store.disk.stats import SpaceStats, Stats
from spanbench.store.disk.store import Store
from spanbench.store.disk.transfer import Copied

__all__ = [
    "Audit",
    "Copied",
    "CorruptStore",
    "Document",
    "Entry",
    "Finding",
    "Freed",
    "JsonValue",
    "Kind",
    "NewerStore",
    "NoStore",
    "RawTensor",
    "Space",
    "SpaceMismatch",
    "SpaceStats",
    "StaleDocument",
    "Stats",
    "Store",
    "StoreBusy",
    "StoreFull",
    "audit_folder",
]
