"""The dense arm one token a step, or several at once: keys and values of every token, preallocated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from spanbench.model.dense import Dense
from spanbench.model.past import Past
from spanbench.model.speak.extend import check_reading
from spanbench.model.stack import Resumed
from spanbench.model.state import State
from spanbench.tally import Kept

__all__ = ["DenseSession"]


class DenseSession:
    """A batch of lanes, each with its own number of tokens read (`lengths`), with room for `capacity`."""

    def __init__(self, model: Dense, lengths: Sequence[int], capacity: int) -> None:
        self.model = model
        self.past = Past.blank(model.layers.sizes, lengths, capacity, model.head.weight)

    def take(self, lanes: Sequence[int], ids_WxN: Tensor, state: State) -> None:
        """Let some lanes go on from what a prefill of equal lengths left."""
        self.past.fill(lanes, state.kv["layers"], int(ids_WxN.shape[1]))

    def step(self, ids_B: Tensor) -> Tensor:
        """Read one more token a lane; return the logits of the next (B x V)."""
        self.past.moved = 0
        return self.model.step(ids_B, Resumed(self.past, self.past.spot(range(len(self.past.lengths)))))

    def read(self, ids_BxQ: Tensor) -> Tensor:
        """Read Q >= 1 more tokens of each lane at once; return the logits of the next (B x V). Lanes must be of equal length.

        Raises:
            ValueError: lanes of different lengths, no token, or no room for so many.
        """
        check_reading(self.past.lengths, ids_BxQ)
        self.past.moved = 0
        return self.model.read(ids_BxQ, Resumed(self.past, self.past.grow(int(ids_BxQ.shape[1]))))

    def hold(self, text_BxN: Tensor) -> None:
        """Take the text for what was read: nothing of it is kept as ids."""

    def mark(self) -> Callable[[], None]:
        """Return a call that takes the session back to this point; rows written later are overwritten when it goes on."""
        lengths = list(self.past.lengths)

        def rewind() -> None:
            self.past.lengths = list(lengths)

        return rewind

    def kept(self) -> Kept:
        """Return the bytes of the state by stage, and what the last step read and wrote."""
        return Kept({"layers": self.past.bytes()}, {}, {"layers": self.past.moved_bytes()})
