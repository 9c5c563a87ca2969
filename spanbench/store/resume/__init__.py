"""Sessions of either arm that outlive the process, and those of prefixes that were read before."""

from spanbench.store.resume.disk import load, load_with_logits, save
from spanbench.store.resume.prefix import PrefixCache, Read
from spanbench.store.resume.snapshot import Snapshot, restore, snapshot

__all__ = ["PrefixCache", "Read", "Snapshot", "load", "load_with_logits", "restore", "save", "snapshot"]
