"""Records become a `Report`: duplicates once, split by what may not be drawn together, and every split said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from spanbench.record import Record
from spanbench.show.report.reading.digest import Digest, digest, distinct
from spanbench.show.report.sections.section import section
from spanbench.show.report.summary import Across, Report, Section, Series, Setup, SpanDot

__all__ = ["build", "summarise"]

_APART = "each has sections of its own, nothing is mixed or averaged."


def summarise(records: Iterable[Record], notes: Sequence[str] = ()) -> Report:
    """Return the report of some records; the same records in another order give an equal one."""
    return build(distinct([digest(record) for record in records]), notes)


def build(digests: Sequence[Digest], notes: Sequence[str] = ()) -> Report:
    """Return the report of sorted, distinct records; `notes` of how they were read come first."""
    machines = sorted({d.setup.machine for d in digests if d.measured})
    groups: dict[Setup, list[Digest]] = {}
    for d in digests:
        groups.setdefault(replace(d.setup, machine=_machine(d, machines)), []).append(d)
    sections = tuple(section(setup, groups[setup]) for setup in sorted(groups))
    return Report(len(digests), sections, tuple(_across(sections)), (*notes, *_splits(sections, machines)))


def _machine(d: Digest, machines: Sequence[str]) -> str:
    """Return whose figures they are. Counts are the same anywhere: they stand beside what was measured, if that was on one machine."""
    if d.measured:
        return d.setup.machine
    return machines[0] if len(machines) == 1 else ""


def _splits(sections: Sequence[Section], machines: Sequence[str]) -> Iterator[str]:
    conventions = sorted({s.setup.convention for s in sections})
    if len(conventions) > 1:
        yield f"The records have {len(conventions)} conventions ({', '.join(conventions)}): {_APART}"
    if len(machines) > 1:
        yield f"The records were measured on {len(machines)} machines ({'; '.join(machines)}): {_APART}"


def _across(sections: Sequence[Section]) -> Iterator[Across]:
    """Yield each ratio against the span, of sections that differ in nothing else."""
    groups: dict[Setup, list[Section]] = {}
    for one in sections:
        groups.setdefault(replace(one.setup, span=0), []).append(one)
    for group in groups.values():
        if len(group) > 1:
            yield from _ratios(sorted(group, key=lambda s: s.setup.span))


def _ratios(group: Sequence[Section]) -> Iterator[Across]:
    keys = dict.fromkeys(_key(s) for one in group for s in one.series if s.arm == "pair")
    for key in keys:
        found = [(one.setup.span, s) for one in group for s in one.series if s.arm == "pair" and _key(s) == key]
        tokens = _best_tokens([s for _, s in found])
        dots = tuple(SpanDot(span, dot) for span, s in found for dot in s.dots if dot.tokens == tokens and dot.spans)
        if tokens is not None and len({dot.span for dot in dots}) > 1:
            yield Across(group[0].setup, key[0], key[1], tokens, dots, key[3])


def _key(s: Series) -> tuple[str, str, str, int | None]:
    return (s.regime, s.quantity, s.source, s.generate)


def _best_tokens(found: Sequence[Series]) -> int | None:
    """Return the N that most spans have a latent at; of several, the longest."""
    lengths = Counter(n for s in found for n in {dot.tokens for dot in s.dots if dot.spans})
    return max(lengths, key=lambda n: (lengths[n], n), default=None)
