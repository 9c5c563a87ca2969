"""Counts of a user's own modules held against a committed baseline, for tests (docs/testing.md); pytest_plugin.py has the fixture."""

from spanbench.testing.asserting import Asked, AssertCounts
from spanbench.testing.baseline import BrokenBaseline, Case, read, update

__all__ = ["Asked", "AssertCounts", "BrokenBaseline", "Case", "read", "update"]
