"""Recorded counts, held against what this version counts."""

from spanbench.count.recorded.derived import Derived, audit_counts, derived
from spanbench.count.recorded.files import Ledger, audit_file
from spanbench.count.recorded.texts import Texts

__all__ = ["Derived", "Ledger", "Texts", "audit_counts", "audit_file", "derived"]
