"""What every page, plot and table of a report draws from: a `Report` of sections, each with its series over N.

Nothing here is averaged. A section holds records that share everything but the length of the prompt, so its series may
be drawn against N; two measured records of one point are two dots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spanbench.judge.fits import Fit, Judgement
from spanbench.record import Source

__all__ = [
    "ARMS",
    "Across",
    "Bars",
    "Caution",
    "Dot",
    "Famous",
    "Limits",
    "Report",
    "Roof",
    "Section",
    "Series",
    "Setup",
    "SpanDot",
    "Verdict",
]

SUMMARISED = ("cells_dense", "flops", "seconds", "joules", "peak_bytes", "bytes_compulsory", "bytes_fused", "state_bytes")
"""Quantities that a report draws against N, with the pair's ratio of each."""

DRAWN = frozenset({*SUMMARISED, *(f"ratio:{name}" for name in SUMMARISED)})
"""The names of all their series."""

ARMS = ("token", "latent", "pair")
"""In the order in which everything shows them."""


@dataclass(frozen=True, slots=True, order=True)
class Setup:
    """What all records of a section share; sections are sorted by it."""

    convention: str
    machine: str
    """The device and its threads, as the records describe them; '' for counts, which depend on no machine."""
    device: str
    preset: str
    allocation: str
    changed: str
    """Sizes other than those of preset and allocation, 'mixer.layers=6 …'; '' for none."""
    dtype: str
    batch: int
    tokenizer: str
    compiled: bool
    """Timed under torch.compile."""
    span: int

    @property
    def title(self) -> str:
        """What a heading calls it: 'small · lean · span 32'."""
        parts = [self.preset, self.allocation, f"span {self.span:,}", *([f"batch {self.batch:,}"] if self.batch > 1 else [])]
        more = [self.changed] if self.changed else []
        return " · ".join([*parts, *more, *(["compiled"] if self.compiled else [])])

    @property
    def where(self) -> str:
        """The machine and the precision: 'Intel(R) Xeon(R), 2 cores, 2 threads · float32'."""
        return f"{self.machine or 'counted, on no machine'} · {self.dtype}"


@dataclass(frozen=True, slots=True)
class Dot:
    """One figure at one N, for the whole batch, in the base unit of its quantity.

    `low` and `high` are an arm's range of slots or a ratio's 95% interval; None for counts. `spans` is K: with 0 there is no latent.
    """

    tokens: int
    spans: int
    value: int | float
    low: int | float | None
    high: int | float | None
    source: Source
    by: str
    record: str
    """The record's id."""


@dataclass(frozen=True, slots=True)
class Series:
    """A quantity of an arm in a regime against N, of one source, dots sorted by N. Arm `pair`: quantity 'ratio:…', token ÷ latent.

    `fit` uses the dots with at least one complete span, in both arms. `missing` are the reasons for figures that are null.
    Equal counts of one N are one dot; every noisy figure is a dot of its own. There may be no dot at all.
    """

    arm: str
    regime: str
    quantity: str
    unit: str
    source: Source
    dots: tuple[Dot, ...]
    fit: Fit
    missing: tuple[str, ...] = ()
    generate: int | None = None
    """Tokens that are said: of regime `request` alone, else None."""

    @property
    def by(self) -> tuple[str, ...]:
        """Who gave the figures: counters and meters, sorted."""
        return tuple(sorted({dot.by for dot in self.dots}))


@dataclass(frozen=True, slots=True)
class Bars:
    """FLOPs of an arm by stage at one N, in the order of the flow; the stages sum to `total`."""

    arm: str
    regime: str
    tokens: int
    stages: tuple[tuple[str, int], ...]
    total: int
    generate: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What the machine reached in the record's own run: FLOP/s, B/s from memory, B/s from the last cache (None: not found)."""

    flops_per_second: float
    bytes_per_second: float
    cached_bytes_per_second: float | None
    cache_bytes: int | None


@dataclass(frozen=True, slots=True)
class Roof:
    """One arm on the roofline: FLOP per compulsory byte (counted), FLOP/s reached (counted ÷ measured), and the machine's limits.

    `fraction` is the record's own: the least time at these limits ÷ measured seconds. Only of the dense convention, whose
    FLOPs are those that were executed.
    """

    arm: str
    regime: str
    tokens: int
    intensity: float
    reached: float
    fraction: float | None
    limits: Limits
    record: str


@dataclass(frozen=True, slots=True)
class Famous:
    """The documents' ratio at one N: what one layer mixes, N × N against K × K. Exactly S² where S divides N: it does not grow with N."""

    tokens: int
    spans: int
    ratio: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The documents' "near-constant scaling", judged for one figure of the latent arm: `sentence` says it in full.

    Regime and quantity are '' where it is of several figures that have no exponent, all for one reason.
    """

    regime: str
    quantity: str
    judgement: Judgement
    sentence: str


@dataclass(frozen=True, slots=True)
class Caution:
    """A warning of records: its code ('' for none), its text once, and how many records have one of that code."""

    code: str
    text: str
    records: int


@dataclass(frozen=True, slots=True)
class Section:
    """Records that share a setup. Everything is sorted, so equal records give equal sections."""

    setup: Setup
    records: int
    tokens: tuple[int, ...]
    """Every N, ascending."""
    series: tuple[Series, ...]
    bars: tuple[Bars, ...]
    roofs: tuple[Roof, ...]
    famous: tuple[Famous, ...]
    verdicts: tuple[Verdict, ...]
    cautions: tuple[Caution, ...]
    provenance: tuple[str, ...]
    """Versions, commits and checks, one line each."""

    def find(self, arm: str, regime: str, quantity: str) -> Series | None:
        """Return the series, or None: of several sources the strongest that has dots, of several lengths of answer the shortest."""
        found = [s for s in self.series if (s.arm, s.regime, s.quantity) == (arm, regime, quantity)]
        return next((s for s in found if s.dots), found[0] if found else None)

    @property
    def regimes(self) -> tuple[str, ...]:
        """The regimes that have figures, in the order of the records' own."""
        return tuple(dict.fromkeys(s.regime for s in self.series))


@dataclass(frozen=True, slots=True)
class SpanDot:
    """A ratio at one span."""

    span: int
    dot: Dot


@dataclass(frozen=True, slots=True)
class Across:
    """A pair's ratio against the span, at one N; `setup` is that of its smallest span. At least two spans."""

    setup: Setup
    regime: str
    quantity: str
    tokens: int
    dots: tuple[SpanDot, ...]
    generate: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report. `notes` say what a reader must know of all of it: splits, duplicates, what was left out."""

    records: int
    sections: tuple[Section, ...]
    across: tuple[Across, ...]
    notes: tuple[str, ...]

    def of_convention(self, convention: str) -> Sequence[Section]:
        """Return the sections of one convention."""
        return [section for section in self.sections if section.setup.convention == convention]
