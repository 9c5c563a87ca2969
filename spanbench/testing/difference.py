"""Where two cases differ, in words: the first module in the order of execution, then the totals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spanbench.testing.case import QUANTITIES, Case

__all__ = ["changed_modules", "described"]


def changed_modules(old: Case, new: Case) -> list[str]:
    """Return the modules whose FLOPs differ, in the order in which the new ones finished; then those that no longer run."""
    order = dict.fromkeys([*new.modules, *old.modules])
    return [path for path in order if old.modules.get(path, 0) != new.modules.get(path, 0)]


def described(old: Case, new: Case, reasons: Mapping[str, str]) -> list[str]:
    """Return a line for each thing that differs, the telling one first; none where the cases are equal."""
    changed = changed_modules(old, new)
    lines = [_module(path, old.modules.get(path, 0), new.modules.get(path, 0)) for path in changed[:1]]
    lines += _quantities(old, new, reasons)
    if changed[1:]:
        lines.append(f"and the FLOPs of {len(changed) - 1} more module{'' if len(changed) == 2 else 's'}, those around it among them")
    return lines


def _module(path: str, old: int, new: int) -> str:
    where = f"in module {path!r}" if path else "in the module itself"
    return f"FLOPs first differ {where}: {_change(old, new)}"


def _quantities(old: Case, new: Case, reasons: Mapping[str, str]) -> Iterator[str]:
    for key in QUANTITIES:
        before, after = old.quantities[key], new.quantities[key]
        if before != after:
            why = f" ({reasons[key]})" if after is None and key in reasons else ""
            yield f"{key}: {_change(before, after)}{why}"


def _change(old: int | None, new: int | None) -> str:
    """Return old → new, the difference, and its share of the old."""
    if old is None or new is None:
        return f"{_text(old)} → {_text(new)}"
    share = f", {100 * (new - old) / old:+.3g}%" if old else ""
    return f"{old:,} → {new:,} ({'more' if new > old else 'fewer'}: {new - old:+,}{share})"


def _text(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"
