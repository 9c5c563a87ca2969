"""Reports of any record files: one intermediate, the `Report` of summary.py, and exporters that read it. No torch."""
