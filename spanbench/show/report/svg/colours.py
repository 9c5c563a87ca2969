"""Colours and marks of the plots: told apart by all eyes (Okabe and Ito, 2008), and never by colour alone.

A plot is drawn in the light colours. On a page each becomes a CSS variable with its light value as it is here and a
dark one beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spanbench.show.report.plots.picture import Role

__all__ = ["COLOURS", "GRID", "INK", "MARKS", "MUTED", "ON_STAGE", "PAPER", "STAGES", "Colour"]


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour by its name in CSS, on light paper and on dark."""

    name: str
    light: str
    dark: str


PAPER = Colour("paper", "#ffffff", "#16181d")
INK = Colour("ink", "#1b1b1b", "#ececec")
MUTED = Colour("muted", "#575757", "#b0b0b0")
GRID = Colour("grid", "#dedede", "#3a3d44")

_BLUE = Colour("blue", "#0072b2", "#56b4e9")
_RED = Colour("red", "#d55e00", "#ff9d5c")
_GREEN = Colour("green", "#00805d", "#3ddcab")
_PINK = Colour("pink", "#a8537f", "#eba9cc")

COLOURS: Mapping[Role, Colour] = {
    "token": _BLUE, "latent": _RED, "documents": INK, "cells": _GREEN, "flops": _BLUE, "seconds": _RED, "joules": _PINK,
}  # fmt: skip

MARKS: Mapping[Role, str] = {
    "token": "circle", "latent": "square", "documents": "cross",
    "cells": "diamond", "flops": "circle", "seconds": "square", "joules": "triangle",
}  # fmt: skip
"""The shape of a mark."""

STAGES: Mapping[str, str] = {
    "embedding": "#c9c9c9", "encoder": "#56b4e9", "mixer": "#e69f00", "bridge": "#f0e442", "decoder": "#35c08f",
    "layers": "#a9bdd6", "head": "#d98cb3",
}  # fmt: skip
"""In the order of the flow. Light enough for black text on them, on light paper and on dark."""
ON_STAGE = "#000000"
