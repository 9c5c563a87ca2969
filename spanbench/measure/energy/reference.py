"""Two references that need no run: the floor of the arithmetic and its bytes, and a board at its rated power and peak rate.

Neither is a measurement, and neither is a bound on what a meter will read. The floor leaves out everything but the
arithmetic units and the compulsory bytes; the board assumes that it draws its rated power while it does nothing but
products at its peak rate.
"""

from __future__ import annotations

from dataclasses import dataclass

from spanbench.measure.energy.constants import CPU, Constant, load

__all__ = ["LEFT_OUT", "Modelled", "arithmetic_floor", "board_reference", "boards", "memory_of"]

LEFT_OUT = (
    "bytes are the compulsory ones, each weight and each activation once: caches that miss, registers, on-chip wires, "
    "instruction fetch, leakage, cooling and the host are left out"
)
"""What the counted bytes and the arithmetic do not have in them; it belongs beside every figure of `arithmetic_floor`."""


@dataclass(frozen=True, slots=True)
class Modelled:
    """Joules from published constants: never measured. `value` is None, with a `reason`, where no constant is published.

    `low` and `high` are the ends of the constants' intervals. Both arms share the constants, so the ends of two arms
    may not be mixed in a ratio.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    joules_arithmetic: float | None = None
    joules_memory: float | None = None
    memory_share: float | None = None
    """Memory ÷ (memory + arithmetic), with its interval below; None where they cannot be told apart."""
    memory_share_low: float | None = None
    memory_share_high: float | None = None
    citation: str = ""
    reason: str | None = None


def arithmetic_floor(flops: int, bytes: int, dtype: str, memory: str = "hbm") -> Modelled:  # noqa: A002 - named as `Cost` names it
    """Return the least joules of the counted work in 7 nm: e_flop·FLOP + e_byte·bytes (Jouppi et al., ISCA 2021, Table 2).

    A multiply and an add are two FLOPs, so e_flop is half the energy of the pair. `memory` is the kind that the bytes
    cross: 'hbm', 'gddr6' or 'ddr'. `LEFT_OUT` says what is not in it.

    Raises:
        ValueError: a count is negative, or the kind of memory is unknown.
    """
    constants = load()
    if memory not in constants.memory:
        raise ValueError(f"memory must be one of {', '.join(constants.memory)}, got {memory!r}")
    if flops < 0 or bytes < 0:
        raise ValueError(f"counts must be 0 or more, got {flops} FLOP and {bytes} B")
    per_flop = constants.arithmetic.get(dtype)
    if per_flop is None:
        return Modelled(None, reason=f"no energy of a {dtype} operation at 7 nm is published")
    return _sum(per_flop, flops, constants.memory[memory], bytes)


def board_reference(flops: int, dtype: str, board: str) -> Modelled:
    """Return the joules of `flops` at a board's rated power and peak rate: FLOP · watts / peak.

    `board` is a name of `boards()` or a device's name as its driver gives it; 'cpu' is a server CPU. `low` is the
    arithmetic alone (None where it is not published), `high` takes the least rate that the best product attains. The
    whole board is in it, so memory and arithmetic cannot be told apart.

    Raises:
        ValueError: the count is negative.
    """
    if flops < 0:
        raise ValueError(f"a count must be 0 or more, got {flops} FLOP")
    constants = load()
    rated = constants.rated(dtype, board)
    if isinstance(rated, str):
        return Modelled(None, reason=rated)
    floor = constants.arithmetic.get(dtype)
    return Modelled(
        value=flops * rated.value,
        low=flops * floor.low if floor is not None else None,
        high=flops * rated.high / constants.attained.low,
        citation=f"{rated.citation} ({rated.checked})",
    )


def memory_of(device: str) -> str:
    """Return the kind of memory of a device ('cpu', or a GPU's name as its driver gives it); of an unknown GPU, 'hbm'."""
    if device == CPU:
        return "ddr"
    board = load().board(device)
    return board.memory if board is not None else "hbm"


def boards() -> tuple[str, ...]:
    """Return the names that `board_reference` knows, and 'cpu'."""
    return load().devices()


def _sum(per_flop: Constant, flops: int, per_byte: Constant, moved: int) -> Modelled:
    arithmetic, memory = flops * per_flop.value, moved * per_byte.value
    low, high = (flops * per_flop.low, moved * per_byte.low), (flops * per_flop.high, moved * per_byte.high)
    return Modelled(
        value=arithmetic + memory,
        low=sum(low),
        high=sum(high),
        joules_arithmetic=arithmetic,
        joules_memory=memory,
        memory_share=_share(memory, arithmetic),
        memory_share_low=_share(low[1], high[0]),
        memory_share_high=_share(high[1], low[0]),
        citation="; ".join(dict.fromkeys((per_flop.citation, per_byte.citation))),
    )


def _share(memory: float, arithmetic: float) -> float | None:
    return memory / (memory + arithmetic) if memory + arithmetic > 0 else None
