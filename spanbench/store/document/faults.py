"""What can be wrong with a stored document, one exception a cause."""

from __future__ import annotations

from spanbench.errors import SpanbenchError

__all__ = ["MissingLatents", "NotThisModel"]


class MissingLatents(SpanbenchError):
    """Records of a document are not in the store: evicted, or never made. They are never made again unasked."""

    exit_code = 3


class NotThisModel(SpanbenchError):
    """What is stored was made by other weights, sizes or element types than those it is to be used with."""

    exit_code = 3
