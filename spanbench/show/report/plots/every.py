"""Every plot of a report, in an order that puts first what is asked first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from spanbench.show.report.plots.growth import growth_pictures
from spanbench.show.report.plots.picture import Picture
from spanbench.show.report.plots.ratios import across_pictures, ratio_pictures
from spanbench.show.report.plots.roofline import roofline_pictures
from spanbench.show.report.plots.stages import stage_pictures
from spanbench.show.report.summary import Report, Section

__all__ = ["KINDS", "by_weight", "pictures", "weightiest"]

KINDS = ("ratios", "flops", "across", "seconds", "stages", "cells_dense", "joules", "roofline")
"""Kinds of plots, the one that answers most first: where not all can be shown, the later are left out."""

_OF_A_SECTION: tuple[Callable[[Section, int, str], Iterator[Picture]], ...] = (
    ratio_pictures, growth_pictures, stage_pictures, roofline_pictures,
)  # fmt: skip


def pictures(report: Report) -> list[Picture]:
    """Return every plot of a report: section by section, then those across sections. Names are unique."""
    names = _names(report.sections)
    own = [
        picture for place, section in enumerate(report.sections) for make in _OF_A_SECTION for picture in make(section, place, names[place])
    ]
    return sorted(own, key=lambda picture: (picture.section, KINDS.index(picture.kind))) + list(across_pictures(report, names))


def by_weight(found: Sequence[Picture]) -> list[int]:
    """Return the places of plots, those that answer most first: a kind of every section before the next kind."""
    return sorted(range(len(found)), key=lambda at: (KINDS.index(found[at].kind), at))


def weightiest(found: Sequence[Picture], most: int) -> list[Picture]:
    """Return at most so many plots in the order they came in, those that answer most."""
    kept = set(by_weight(found)[:most])
    return [picture for at, picture in enumerate(found) if at in kept]


def _names(sections: Sequence[Section]) -> Mapping[int, str]:
    """Return a name for each section that is fit for a file; those that would be equal are numbered."""
    names: dict[int, str] = {}
    taken: dict[str, int] = {}
    for place, section in enumerate(sections):
        slug = re.sub(r"[^a-z0-9]+", "-", section.setup.title.lower()).strip("-")[:80]
        taken[slug] = taken.get(slug, 0) + 1
        names[place] = slug if taken[slug] == 1 else f"{slug}--{taken[slug]}"
    return names
