"""Committed counts: one line a point and arm, integers only, compared with tolerance 0."""
