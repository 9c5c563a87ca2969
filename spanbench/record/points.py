"""The point of a record, as the point that it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spanbench.errors import UsageError
from spanbench.point import Point, Shape, Stack

__all__ = ["recorded_point"]

_STACKS = ("token", "encoder", "mixer", "decoder")


def recorded_point(plain: Mapping[str, Any]) -> Point:
    """Return a record's point, checked as any other is.

    Raises:
        UsageError: it lacks a field, has an unknown one, or sizes that no model can have.
    """
    try:
        sizes: dict[str, Any] = {key: Stack(**value) if key in _STACKS else value for key, value in plain["shape"].items()}
        return Point(**{**plain, "shape": Shape(**sizes), "regimes": tuple(plain["regimes"])})
    except KeyError as error:
        raise UsageError(f"point: {error} is missing") from None
    except (TypeError, AttributeError, ArithmeticError) as error:  # a field too many or too few, or of another type
        raise UsageError(f"point: {str(error).replace('.__init__()', '')}") from None
