"""What goes wrong only where strategies are run."""

from __future__ import annotations

from spanbench.errors import SpanbenchError

__all__ = ["DifferentAnswers"]


class DifferentAnswers(SpanbenchError):
    """Two strategies of one arm answer one query differently, so they cannot be compared."""

    exit_code = 3
