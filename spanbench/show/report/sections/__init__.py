"""Digests become the sections of a report: series, fits, verdicts."""
