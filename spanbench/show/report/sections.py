"""Records that share a setup become a `Section`: series against N, bars of stages, roofs, verdicts, and what was said of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from spanbench.judge.fits import fit
from spanbench.point import ALL_REGIMES
from spanbench.record import SOURCES, Source
from spanbench.show.report.digest import Digest
from spanbench.show.report.skim import DRAWN, SUMMARISED
from spanbench.show.report.summary import Bars, Caution, Dot, Famous, Limits, Roof, Section, Series, Setup
from spanbench.show.report.verdicts import verdicts

__all__ = ["section"]

_ARMS = ("token", "latent", "pair")
_STAGES = ("embedding", "encoder", "mixer", "bridge", "decoder", "layers", "head")
_CODE = re.compile(r"\[([a-z0-9-]+)\]$")
_NUMBER = re.compile(r"[0-9][0-9.,]*")

Key = tuple[str, str, str, str, int | None]
"""Arm, regime, quantity, source, and the tokens said."""


def section(setup: Setup, digests: Sequence[Digest]) -> Section:
    """Return the section of sorted records that share `setup`."""
    series = tuple(_series(digests))
    return Section(
        setup=setup,
        records=len(digests),
        tokens=tuple(sorted({d.tokens for d in digests})),
        series=series,
        bars=tuple(_bars(digests)),
        roofs=tuple(roof for d in digests for roof in _roofs(d)),
        famous=tuple(_famous(setup.span, sorted({d.tokens for d in digests}))),
        verdicts=tuple(verdicts(series)),
        cautions=tuple(_cautions(digests)),
        provenance=tuple(_provenance(digests)),
    )


def _series(digests: Sequence[Digest]) -> Iterator[Series]:
    found: dict[Key, list[tuple[Digest, Mapping[str, Any]]]] = {}
    for d in digests:
        for m in d.figures:
            if m["stage"] == "total" and m["quantity"] in DRAWN:
                found.setdefault((m["arm"], m["regime"], m["quantity"], m["source"], _said(d, m["regime"])), []).append((d, m))
    for key in sorted(found, key=_series_order):
        yield _one_series(key, found[key])


def _said(d: Digest, regime: str) -> int | None:
    return int(d.point["generate"]) if regime == "request" else None


def _series_order(key: Key) -> tuple[Any, ...]:
    arm, regime, quantity, source, said = key
    base = SUMMARISED.index(quantity.removeprefix("ratio:"))
    return (ALL_REGIMES.index(regime), base, _ARMS.index(arm), SOURCES.index(source), said or 0)


def _one_series(key: Key, rows: Sequence[tuple[Digest, Mapping[str, Any]]]) -> Series:
    arm, regime, quantity, source, said = key
    dots = sorted((_dot(d, m) for d, m in _distinct(rows) if m["value"] is not None), key=lambda dot: (dot.tokens, dot.value))
    fitted = [dot for dot in dots if dot.spans]
    return Series(
        arm, regime, quantity, rows[0][1]["unit"], cast("Source", source), tuple(dots),
        fit([dot.tokens for dot in fitted], [dot.value for dot in fitted]),
        tuple(sorted({m["reason"] for _, m in rows if m["value"] is None})), said,
    )  # fmt: skip


def _dot(d: Digest, m: Mapping[str, Any]) -> Dot:
    return Dot(d.tokens, d.tokens // d.setup.span, m["value"], m["low"], m["high"], m["source"], m["by"], d.id)


def _distinct(rows: Sequence[tuple[Digest, Mapping[str, Any]]]) -> Iterable[tuple[Digest, Mapping[str, Any]]]:
    """Return the rows that are dots of their own: a count that several records have is one dot, since it is the same count."""
    if rows[0][1]["source"] != "counted":
        return rows
    kept: dict[object, tuple[Digest, Mapping[str, Any]]] = {}
    for row in rows:
        kept.setdefault((row[0].tokens, row[1]["value"]), row)
    return kept.values()


def _bars(digests: Sequence[Digest]) -> Iterator[Bars]:
    """Yield FLOPs by stage; records of one N have the same, and give one."""
    seen: dict[tuple[Any, ...], Bars] = {}
    alike = {(d.tokens, d.point["generate"], tuple(d.point["regimes"])): d for d in reversed(digests)}  # the first of each
    for d in alike.values():
        flops = {(m["arm"], m["regime"], m["stage"]): m["value"] for m in d.figures if m["quantity"] == "flops"}
        for (arm, regime, stage), total in flops.items():
            if stage == "total" and total is not None:
                stages = tuple((name, int(value)) for name in _STAGES if (value := flops.get((arm, regime, name))))
                said = _said(d, regime)
                place = (ALL_REGIMES.index(cast("Any", regime)), d.tokens, _ARMS.index(arm), said or 0)
                seen.setdefault(place, Bars(arm, regime, d.tokens, stages, int(total), said))
    yield from (seen[place] for place in sorted(seen))


def _roofs(d: Digest) -> Iterator[Roof]:
    """Yield where each arm stood under the limits that its own run measured; only executed FLOPs have a place there."""
    limits = _limits(d.environment.get("limits"))
    if limits is None or d.setup.convention != "dense":
        return
    totals = {(m["arm"], m["regime"], m["quantity"]): m["value"] for m in d.figures if m["stage"] == "total"}
    for arm, regime, quantity in totals:
        flops, moved, took = (totals.get((arm, regime, name)) for name in ("flops", "bytes_compulsory", "seconds"))
        if quantity == "seconds" and flops and moved and took:
            yield Roof(arm, regime, d.tokens, flops / moved, flops / took, totals.get((arm, regime, "roofline_fraction")), limits, d.id)


def _limits(found: Any) -> Limits | None:
    if not isinstance(found, Mapping):
        return None
    rate, memory = found.get("flops_per_second"), found.get("bandwidth") or {}
    if not rate or not memory.get("bytes_per_second"):
        return None
    return Limits(rate, memory["bytes_per_second"], memory.get("cached_bytes_per_second"), memory.get("cache_bytes"))


def _famous(span: int, tokens: Iterable[int]) -> Iterator[Famous]:
    """Yield the documents' ratio where there is at least one latent to mix."""
    yield from (Famous(n, n // span, n**2 / (n // span) ** 2) for n in tokens if n >= span)


def _cautions(digests: Sequence[Digest]) -> Iterator[Caution]:
    """Yield each warning once: by its code, or by its words where it has none."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for d in digests:
        for text in d.warnings:
            code = match[1] if (match := _CODE.search(text)) else ""
            found.setdefault((code, "" if code else _NUMBER.sub("#", text)), []).append((text, d.seal))
    for code, words in sorted(found):
        said = found[code, words]
        yield Caution(code, min(text for text, _ in said), len({seal for _, seal in said}))


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
        yield f"{what}: {', '.join(known)}"
