"""Parts of a schedule, run one after another, and what came out of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from spanbench.measure.energy.protocol import IDLE
from spanbench.measure.pair.result import Blocks, Rest, SlotResult
from spanbench.measure.pair.schedule import Kind, Part, slots_of
from spanbench.measure.pair.slot import Arm, Stage, run_slot

__all__ = ["Runner"]


class Runner:
    """Runs blocks and rests, and remembers every one of them."""

    def __init__(
        self,
        arms: Sequence[Arm],
        repeats: Mapping[str, int],
        stage: Stage,
        *,
        null: Arm,
        rest_s: float,
        sleep: Callable[[float], None],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        both = dict(zip("AB", arms, strict=True))
        self._arms: Mapping[Kind, Mapping[str, Arm]] = {"pair": both, "pilot": both, "null": {"A": null, "B": null}}
        self._rest_s, self._sleep, self._progress = rest_s, sleep, progress
        self._blocks: dict[Kind, list[tuple[str, tuple[int, ...], tuple[SlotResult, ...]]]] = {kind: [] for kind in self._arms}
        self._done = 0
        self.stage, self.repeats = stage, repeats
        self.sequence: list[str] = []
        self.rests: list[Rest] = []

    def run(self, run: Sequence[Part], *, later: int = 0) -> None:
        """Run all parts in order; `later` is how many slots are known to follow, for the progress."""
        total = self._done + slots_of(run) + later
        for part in run:
            self.sequence.append(str(part))
            if part.kind == "rest":
                self.rests.append(self._rest())
            else:
                self._blocks[part.kind].append((part.letters, *self._block(part, total)))

    def blocks(self, kind: Kind) -> Blocks:
        """Return the blocks of one kind that have run."""
        found = self._blocks[kind]
        return Blocks(
            order=tuple(letters for letters, _, _ in found),
            slots=tuple(slot for _, _, slots in found for slot in slots),
            places=tuple(place for _, places, _ in found for place in places),
        )

    def _block(self, part: Part, total: int) -> tuple[tuple[int, ...], tuple[SlotResult, ...]]:
        slots, first = [], self._done
        for letter in part.letters:
            arm = self._arms[part.kind][letter]
            slots.append(run_slot(arm, self.repeats[arm.name], self.stage))
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, total)
        return tuple(range(first, self._done)), tuple(slots)

    def _rest(self) -> Rest:
        """Sleep through one window, with the device's context open as it is in a slot."""
        self.stage.synchronize()
        self.stage.meter.begin(IDLE)
        opened = self.stage.clock.now()
        self._sleep(self._rest_s)
        seconds = self.stage.clock.now() - opened
        return Rest(seconds, self.stage.meter.end())
