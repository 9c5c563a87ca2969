"""How the text of an option becomes a value, and which values a shell offers to complete."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable

from spanbench.errors import UsageError
from spanbench.point import check_choice
from spanbench.show.formats import FORMATS

__all__ = ["completed", "completed_list", "format_name", "seconds", "share", "whole"]

LEAST_SHARE = 1e-4
"""No machine repeats itself more closely than this."""
MOST_SECONDS = 1e7
"""Four months."""

_PLAIN = re.compile(r"[ -^`-~]+")  # Python would also read 1_0 and the digits of other scripts
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")  # beyond 18 digits no size of anything fits a machine


def whole(option: str) -> Callable[[str | int], int]:
    """Return a parser of whole numbers that names its option where the text is none; a default comes as a number."""

    def parse(given: str | int) -> int:
        text = str(given)
        if not _INTEGER.fullmatch(text):
            raise UsageError(f"{option} {text!r}: must be a whole number of at most 18 digits")
        return int(text)

    return parse


def seconds(option: str) -> Callable[[str | float], float]:
    """Return a parser of a positive, finite number of seconds."""

    def parse(given: str | float) -> float:
        try:
            value = float(given)
        except ValueError:
            value = math.nan
        if not 0 < value <= MOST_SECONDS or not _PLAIN.fullmatch(str(given)):
            raise UsageError(f"{option} '{given}': must be a positive number of seconds, at most {MOST_SECONDS:,.0f}")
        return value

    return parse


def share(option: str) -> Callable[[str | float], float]:
    """Return a parser of a share between 0 and 1, given as 0.03 or as 3%."""

    def parse(given: str | float) -> float:
        text = str(given).strip()
        try:
            value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            value = math.nan
        if not LEAST_SHARE <= value < 1 or not _PLAIN.fullmatch(text):
            raise UsageError(f"{option} '{given}': must lie between {LEAST_SHARE:g} and 1, such as 0.03 or 3%")
        return value

    return parse


def format_name(text: str) -> str:
    """Check the name of a format before any work is done."""
    check_choice("--format", text, FORMATS)
    return text


def completed(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Return what completes an option's value: the names that begin like it."""
    known = list(names)
    return lambda incomplete: [name for name in known if name.startswith(incomplete)]


def completed_list(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Return what completes the last name of a list 'a,b'."""
    known = list(names)

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in known if name.startswith(last)]

    return complete
