"""What can be wrong with a baseline, each with its exit code."""

from __future__ import annotations

from typing import ClassVar

from spanbench.errors import SpanbenchError

__all__ = ["BaselineBroken", "BaselineChanged"]


class BaselineBroken(SpanbenchError):
    """A line of a baseline that cannot be what was written: the message names the file and the line."""

    exit_code: ClassVar[int] = 3


class BaselineChanged(SpanbenchError):
    """What is counted now is not what the baseline has."""

    exit_code: ClassVar[int] = 1
