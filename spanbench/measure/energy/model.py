"""Joules that are modelled, not measured: e_flop·FLOP + e_byte·bytes + P0·t, from counts and published constants.

The form is that of Choi, Bedard, Fowler and Vuduc, "A Roofline Model of Energy", IPDPS 2013. Models of this form that
were fitted to one machine miss by 11–14% on work they have not seen (arXiv 2506.14551, 2603.26435); this one is
fitted to none, so it ranks designs and does not stand in for a meter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from spanbench.measure.clock import Clock, PerfCounter
from spanbench.measure.energy.constants import CPU, Board, Constant, Constants, load
from spanbench.measure.energy.protocol import MeterError, Probe, Reading, Session, Source, Window

__all__ = ["Coefficients", "Interval", "ModelMeter", "coefficients"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and what it is known within."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Coefficients:
    """The model's three coefficients on one device: J/FLOP, J/B and the watts it draws whatever it computes."""

    device: str
    flop: Interval
    byte: Interval
    static: Interval | None
    """None where the device's rated power is not known: its static power is then inside `flop`, at the peak rate."""

    def joules(self, flops: int, bytes: int, seconds: float) -> Interval:  # noqa: A002 - named as `Cost` names it
        """Return e_flop·FLOP + e_byte·bytes + P0·t in joules, each end from the same end of all three."""
        static = self.static or Interval(0.0, 0.0, 0.0)
        terms = ((self.flop, flops), (self.byte, bytes), (static, seconds))
        return Interval(*(sum(getattr(one, end) * amount for one, amount in terms) for end in ("value", "low", "high")))

    def text(self) -> str:
        """Return the coefficients with their intervals, for the record and the footnote."""
        static = f"{_text(self.static, 1)} W static" if self.static else "static power not told apart"
        return f"{self.device}: {_text(self.flop, 1e12)} pJ/FLOP, {_text(self.byte, 1e12)} pJ/B, {static}"


class ModelMeter:
    """Joules of the counted work alone, from the arms' counts, the window's seconds and published constants.

    `dtype` is torch's name ('float32'), `device` is 'cpu' or a GPU's name as its driver gives it. A window without
    counts has no joules; an idle window has the static power's, where that is known.
    """

    name = "model"
    source: Source = "modelled"
    note = (
        "joules are modelled, e_flop·FLOP + e_byte·bytes + P0·t with published constants: they restate the counts, "
        "each weight's byte counted once, and no sensor was read"
    )
    min_window_s = 0.0

    def __init__(self, dtype: str = "float32", device: str = CPU, *, clock: Clock | None = None) -> None:
        self._dtype, self._device, self._clock = dtype, device, clock

    def probe(self) -> Probe:
        """Return whether the constants of this dtype and device are published."""
        try:
            coefficients(self._dtype, self._device)
        except MeterError as error:
            return Probe(available=False, reason=str(error), mend="choose another dtype, or a meter that reads a sensor")
        return Probe(available=True, scope="work")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open nothing.

        Raises:
            MeterError: no constant of this dtype or device is published.
        """
        yield _Modelled(coefficients(self._dtype, self._device), self._dtype, self._clock or PerfCounter())


class _Modelled:
    def __init__(self, known: Coefficients, dtype: str, clock: Clock) -> None:
        self._known, self._clock = known, clock
        self._window: Window | None = None
        self._opened = 0.0
        self.by = f"model, {dtype} on {known.text()}"

    def begin(self, window: Window) -> None:
        self._window, self._opened = window, self._clock.now()

    def end(self) -> Reading:
        seconds, window, self._window = self._clock.now() - self._opened, self._window, None
        if window is None:
            raise MeterError("no window is open")
        if seconds < 0:
            raise MeterError(f"its clock went back by {-seconds:.3g} s")
        if window.repeats == 0:
            return self._idle(seconds)
        if window.cost is None:
            return Reading(None, "the work of this window was not counted, so it cannot be modelled")
        return _reading(self._known.joules(window.repeats * window.cost.flops, window.repeats * window.cost.bytes, seconds))

    def _idle(self, seconds: float) -> Reading:
        if self._known.static is None:
            return Reading(None, "nothing ran, and the static power of this device is not known")
        return _reading(self._known.joules(0, 0, seconds))


def coefficients(dtype: str, device: str = CPU) -> Coefficients:
    """Return the model's coefficients for a dtype on a device ('cpu', or a GPU's name as its driver gives it).

    On a known board P0 is a share of its rated watts, and e_flop what is left of them at its peak rate: at best the
    arithmetic alone, at worst all watts at the best attained rate. A server CPU and an unknown GPU have no rated power
    here, so P0 is left out and e_flop is the whole of watts / peak.

    Raises:
        MeterError: no energy of an operation of this dtype, or no peak rate of it on this device, is published.
    """
    constants = load()
    floor = constants.arithmetic.get(dtype)
    if floor is None:
        raise MeterError(f"no energy of a {dtype} operation is published; known: {', '.join(constants.arithmetic)}")
    board = constants.board(device)
    if device != CPU and board is None:
        return _of_any_gpu(constants, device, dtype, floor)
    rated = constants.rated(dtype, device)
    if isinstance(rated, str):
        raise MeterError(rated)
    high = rated.high / constants.attained.low
    if board is None:
        return Coefficients("a server CPU", Interval(rated.value, floor.low, high), _interval(constants.memory["ddr"]), None)
    return _of_board(constants, board, Interval(rated.value, floor.low, high))


def _of_board(constants: Constants, board: Board, whole: Interval) -> Coefficients:
    share = constants.static
    flop = replace(whole, value=max(whole.value * (1 - share.value), whole.low))
    static = Interval(board.watts * share.value, board.watts * share.low, board.watts * share.high)
    return Coefficients(f"{board.name} board", flop, _interval(constants.memory[board.memory]), static)


def _of_any_gpu(constants: Constants, device: str, dtype: str, floor: Constant) -> Coefficients:
    """Return the spread of all boards in the table."""
    whole = sorted(board.watts / board.peak[dtype] for board in constants.boards if dtype in board.peak)
    flop = Interval(whole[len(whole) // 2], floor.low, whole[-1] / constants.attained.low)
    kinds = [constants.memory[kind] for kind in ("hbm", "gddr6")]
    byte = Interval(kinds[0].value, min(kind.low for kind in kinds), max(kind.high for kind in kinds))
    return Coefficients(f"{device}, not in the table (the spread of its {len(whole)} boards)", flop, byte, None)


def _interval(constant: Constant) -> Interval:
    return Interval(constant.value, constant.low, constant.high)


def _reading(joules: Interval) -> Reading:
    return Reading(joules.value, low=joules.low, high=joules.high)


def _text(interval: Interval, scale: float) -> str:
    return f"{interval.value * scale:.3g} ({interval.low * scale:.3g}–{interval.high * scale:.3g})"
