"""What can be wrong with a stored document, one exception a cause."""

from __future__ import annotations

from shlex import quote

from spanbench.errors import SpanbenchError, UsageError

__all__ = ["MissingLatents", "NotThisModel", "check_mixer", "refining", "restoring", "taken"]


class MissingLatents(SpanbenchError):
    """Records of a document are not in the store: evicted, or never made. They are never made again unasked."""

    exit_code = 3


class NotThisModel(SpanbenchError):
    """What is stored was made by other weights, sizes or element types than those it is to be used with."""

    exit_code = 3


def restoring(name: str, *, state: bool = False) -> str:
    """Return the hint that names what makes a document's records again, latents or (with `state`) mixer rows, too."""
    return f"spanbench store edit STORE {quote(name)} --restore{' --state' if state else ''} makes them again"


def refining(name: str, passes: int) -> str:
    """Return the hint that names what makes rows of extra mixer passes."""
    return f"spanbench store edit STORE {quote(name)} --refine {passes} makes them"


def check_mixer(name: str, theirs: str | None, ours: str) -> None:
    """Refuse mixer rows of another mixer; None stands for none.

    Raises:
        NotThisModel: another mixer made those of the document.
    """
    if theirs not in {None, ours}:
        raise NotThisModel(
            f"document {name!r}: its mixer rows were made by mixer {str(theirs)[:12]}, this model's is {ours[:12]}; take that model, or "
            "the latents alone (--no-state; use='u')"
        )


def taken(name: str) -> UsageError:
    """Return the error of a name that another document has."""
    return UsageError(f"document {name!r}: is there already; edit it, or remove it first")
