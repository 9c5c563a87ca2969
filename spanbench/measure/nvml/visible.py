"""Which GPUs CUDA would use: CUDA_VISIBLE_DEVICES and torch's device names, resolved to boards by UUID.

The list's grammar is CUDA's: the first entry that is negative, unknown or ambiguous ends it, and an entry given twice
empties it (CUDA C++ Programming Guide, "CUDA Environment Variables"; the same rules as in `torch.cuda.device_count`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from spanbench.measure.nvml.errors import NvmlError

__all__ = ["Card", "Choice", "choose", "visible"]

_NUMBER = re.compile(r"[+-]?\d+")
_WANTED = re.compile(r"cuda(?::(\d+))?")
_LIST = "see which GPUs there are: nvidia-smi -L"


@dataclass(frozen=True, slots=True)
class Card:
    """One board as NVML lists it; `instances` are the UUIDs of its MIG slices."""

    index: int
    uuid: str
    name: str
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """A board that CUDA would use, and the MIG slice of it where it would use only that."""

    card: Card
    instance: str | None = None


def choose(cards: Sequence[Card], setting: str | None, wanted: str | None = None, live: Sequence[str] | None = None) -> tuple[Choice, ...]:
    """Return the boards in CUDA's order: all visible ones, or the one that `wanted` ('cuda', 'cuda:1') names.

    `setting` is CUDA_VISIBLE_DEVICES, None where it is not set. `live` are the UUIDs that a running CUDA lists; they
    settle the order where they are known.

    Raises:
        NvmlError: there is no such GPU; the message says what hides it.
    """
    if not cards:
        raise NvmlError("the NVIDIA driver lists no GPU", _LIST)
    seen = _by_uuid(cards, live) if live else visible(cards, setting)
    if not seen:
        raise _hidden(cards, setting)
    return seen if wanted is None else (_wanted(seen, wanted),)


def visible(cards: Sequence[Card], setting: str | None) -> tuple[Choice, ...]:
    """Return what CUDA_VISIBLE_DEVICES leaves visible, in its order."""
    if setting is None:
        return tuple(Choice(card, next(iter(card.instances), None)) for card in cards)
    by_uuid = setting.startswith(("GPU-", "MIG-"))
    found: list[Choice] = []
    for entry in setting.split(","):
        choice = _by_prefix(cards, entry, setting[:4]) if by_uuid else _by_number(cards, entry)
        if choice is None:
            break
        if choice in found:
            return ()
        found.append(choice)
    return tuple(found)


def _by_number(cards: Sequence[Card], entry: str) -> Choice | None:
    """Return the card of that number; what follows the digits is ignored, as by C's strtol."""
    number = _NUMBER.match(entry.strip())
    index = int(number[0]) if number else -1
    return Choice(cards[index], next(iter(cards[index].instances), None)) if 0 <= index < len(cards) else None


def _by_prefix(cards: Sequence[Card], entry: str, kind: str) -> Choice | None:
    """Return the only card (or MIG slice) whose UUID starts with `entry`."""
    if not entry.startswith(kind):
        return None
    if kind == "GPU-":
        found = [Choice(card, next(iter(card.instances), None)) for card in cards if card.uuid.startswith(entry)]
    else:
        found = [Choice(card, uuid) for card in cards for uuid in card.instances if uuid.startswith(entry)]
    return found[0] if len(found) == 1 else None


def _by_uuid(cards: Sequence[Card], live: Sequence[str]) -> tuple[Choice, ...]:
    """Return the boards that a running CUDA lists, by the hexadecimal part of their UUIDs."""
    known = {_bare(card.uuid): Choice(card, next(iter(card.instances), None)) for card in cards}
    known |= {_bare(uuid): Choice(card, uuid) for card in cards for uuid in card.instances}
    missing = [uuid for uuid in live if _bare(uuid) not in known]
    if missing:
        raise NvmlError(f"CUDA uses a GPU that NVML does not list ({missing[0]})", _LIST)
    return tuple(known[_bare(uuid)] for uuid in live)


def _bare(uuid: str) -> str:
    return uuid.removeprefix("GPU-").removeprefix("MIG-").lower()


def _wanted(seen: Sequence[Choice], wanted: str) -> Choice:
    match = _WANTED.fullmatch(wanted)
    if match is None:
        raise NvmlError(f"{wanted} is no NVIDIA GPU", "NVML reads devices named cuda or cuda:NUMBER")
    index = int(match[1] or 0)
    if index >= len(seen):
        raise NvmlError(f"{wanted} does not exist: CUDA sees {len(seen)} GPU{'s' * (len(seen) > 1)}, cuda:0 to cuda:{len(seen) - 1}", _LIST)
    return seen[index]


def _hidden(cards: Sequence[Card], setting: str | None) -> NvmlError:
    if setting is None or not setting.strip():
        return NvmlError("CUDA_VISIBLE_DEVICES is empty, which hides every GPU", "unset it, or name a GPU in it")
    return NvmlError(f"CUDA_VISIBLE_DEVICES={setting} leaves none of the {len(cards)} GPUs of this machine visible", _LIST)
