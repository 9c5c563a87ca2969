"""Which rows of a point run in a regime: the decoder windows, the token rows in them, the rows that reach the head."""

from __future__ import annotations

from dataclasses import dataclass

from spanbench.point import Point, Regime, Shape

__all__ = ["Group", "Plan"]


@dataclass(frozen=True, slots=True)
class Group:
    """`count` windows of `rows` rows each, from window `first` on."""

    first: int
    count: int
    rows: int

    @property
    def latents_read(self) -> int:
        """Latents c_1 .. c_j that cross-attention lets through, summed over the group's windows j."""
        return self.count * (2 * self.first + self.count - 1) // 2


@dataclass(frozen=True, slots=True)
class Plan:
    """One regime of one point. All rows, windows and spans are those of one prompt."""

    point: Point
    regime: Regime

    @property
    def shape(self) -> Shape:
        """Sizes of both arms."""
        return self.point.shape

    @property
    def batch(self) -> int:
        """B."""
        return self.point.batch

    @property
    def item(self) -> int:
        """Bytes of one number."""
        return self.point.itemsize

    @property
    def spans(self) -> int:
        """K, the complete spans."""
        return self.point.windows.complete

    @property
    def keeps(self) -> bool:
        """Whether the regime keeps a state to go on with."""
        return self.regime == "prefill"

    @property
    def wanted(self) -> int:
        """Rows that go through the head: N in score, 1 in prefill."""
        return self.point.tokens if self.regime == "score" else 1

    @property
    def groups(self) -> tuple[Group, ...]:
        """Decoder windows that run; none of them is empty."""
        w, last = self.point.windows, self.spans
        open_window = Group(last, 1, w.open_rows)
        if self.regime == "prefill" or not last:
            return (open_window,)
        inner = (Group(1, last - 1, w.inner_rows),) if last > 1 else ()
        return (Group(0, 1, w.first_rows), *inner, open_window)

    @property
    def decodes_first(self) -> bool:
        """Whether window 0 runs, the one that reads the learned start instead of a latent."""
        return self.groups[0].first == 0

    @property
    def windows(self) -> int:
        """Decoder windows that run."""
        return sum(group.count for group in self.groups)

    @property
    def bridged(self) -> int:
        """Latents that the bridge turns into prefix slots: those of windows 1 .. K that run."""
        return 0 if self.shape.cross_attention else self.windows - self.decodes_first

    @property
    def decoder_rows(self) -> int:
        """Rows of all windows, prefix slots among them."""
        return sum(group.count * group.rows for group in self.groups)

    @property
    def token_rows(self) -> int:
        """Rows of all windows that are tokens, carried ones among them."""
        return self.decoder_rows - self.shape.prefix * self.windows
