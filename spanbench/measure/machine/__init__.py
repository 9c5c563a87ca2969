"""The machine as a record describes it: what it is, what it is set to, and how busy it is. Plain JSON values, null where unknown."""

from spanbench.measure.machine.commit import git_commit
from spanbench.measure.machine.load import load, others
from spanbench.measure.machine.surroundings import environment

__all__ = ["environment", "git_commit", "load", "others"]
