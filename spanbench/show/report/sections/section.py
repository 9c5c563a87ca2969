"""Records that share a setup become a `Section`: series against N, bars of stages, roofs, verdicts, and what was said of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from spanbench.show.report.reading.digest import Digest
from spanbench.show.report.sections.alike import groups_of
from spanbench.show.report.sections.roofs import bars_of, roofs_of
from spanbench.show.report.sections.series import series_of
from spanbench.show.report.sections.verdicts import verdicts
from spanbench.show.report.summary import Caution, Famous, Section, Setup

__all__ = ["MOST_NAMED", "section"]

MOST_NAMED = 24
"""Versions or commits in one line; there are fewer checks than that."""

_CODE = re.compile(r"\[([a-z0-9-]+)\]$")
_NUMBER = re.compile(r"[0-9][0-9.,]*")


def section(setup: Setup, digests: Sequence[Digest]) -> Section:
    """Return the section of sorted records that share `setup`."""
    groups = groups_of(digests)
    series = tuple(series_of(groups))
    return Section(
        setup=setup,
        records=len(digests),
        tokens=tuple(sorted({d.tokens for d in digests})),
        series=series,
        bars=tuple(bars_of(digests)),
        roofs=tuple(roofs_of(groups)),
        famous=tuple(_famous(setup.span, sorted({d.tokens for d in digests}))),
        verdicts=tuple(verdicts(series)),
        cautions=tuple(_cautions(digests)),
        provenance=tuple(_provenance(digests)),
    )


def _famous(span: int, tokens: Iterable[int]) -> Iterator[Famous]:
    """Yield the documents' ratio where there is at least one latent to mix."""
    yield from (Famous(n, n // span, n**2 / (n // span) ** 2) for n in tokens if n >= span)


def _cautions(digests: Sequence[Digest]) -> Iterator[Caution]:
    """Yield each warning once: by its code, or by its words where it has none."""
    seals: dict[str, set[str]] = {}
    for d in digests:
        for text in d.warnings:
            seals.setdefault(text, set()).add(d.seal)
    found: dict[tuple[str, str], list[str]] = {}
    for text in seals:
        code = match[1] if (match := _CODE.search(text)) else ""
        found.setdefault((code, "" if code else _NUMBER.sub("#", text)), []).append(text)
    for (code, _), texts in sorted(found.items()):
        yield Caution(code, min(texts), len(set().union(*(seals[text] for text in texts))))


def _provenance(digests: Sequence[Digest]) -> Iterator[str]:
    packages = [d.environment.get("packages") or {} for d in digests]
    for name in ("spanbench", "torch", "codecarbon"):
        yield from _line(name, (p.get(name) for p in packages))
    yield from _line("commit", (str(d.environment.get("commit") or "")[:12] for d in digests))
    yield from _line("sweep engine", ((d.environment.get("sweep") or {}).get("engine") for d in digests))
    yield from _line("checked, tolerance 0", (check for d in digests for check in d.verified))
    unchecked = sum(not d.verified for d in digests)
    if unchecked:
        yield f"not checked: {unchecked} of {len(digests)} records"


def _line(what: str, values: Iterable[Any]) -> Iterator[str]:
    known = sorted({str(value) for value in values if value})
    if known:
        more = f" and {len(known) - MOST_NAMED:,} more" if len(known) > MOST_NAMED else ""
        yield f"{what}: {', '.join(known[:MOST_NAMED])}{more}"
