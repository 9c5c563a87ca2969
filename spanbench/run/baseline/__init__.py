"""The rows of a baseline by running both models on the meta device. Importing this loads no torch: whoever counts does."""

from spanbench.run.baseline.many import counted_rows

__all__ = ["counted_rows"]
